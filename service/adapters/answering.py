"""Parts that all adapters share: fields, models by language, and errors in each API's shape."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, get_type_hints

from fastapi import Path
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from tagbelt.inference import Annotation
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import read_json
from tagbelt.service.api.problems import MEDIA_TYPE, ProblemError
from tagbelt.service.api.tagging import Answer, ItemFault, Query, ask, check_count
from tagbelt.service.api.v1 import SCORE_DIGITS
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tagbelt.service.private_logging import log_failure
from tagbelt.service.shortage import DETAIL, is_shortage


def _text_or_texts(value: Any) -> Any:
    if isinstance(value, str | list):
        return value
    raise PydanticCustomError("text_or_texts", "Give a text, or a list of texts")


# What a list holds is checked item by item.
TextOrTexts = Annotated[
    Any,
    AfterValidator(_text_or_texts),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A text, or a list of texts whose items are not checked yet."""

# Bounded, since an error quotes them.
Name = Annotated[str, Field(max_length=200)]
Names = Annotated[list[Name], Field(max_length=1000)]


ModelName = Annotated[str, Path(description="A model: its name, or name@version.", examples=["en"])]
Version = Annotated[str, Path(description="A version of the model.", examples=["1"])]


def listed(given: Any) -> list[Any]:
    """The items of a `TextOrTexts`."""
    return given if isinstance(given, list) else [given]


def models_of(registry: Registry, language: str | None) -> list[Served]:
    """The models for a language tag such as `en` or `zh-TW`, the fittest first; None: all.

    Those with the very tag come first, then those of the same language, then those that state
    no language; of equals the default model. Each name stands for its current version.
    """
    snapshot = registry.snapshot
    current = [snapshot.meaning(name).served for name in snapshot.current]
    models = list(dict.fromkeys([snapshot.default_model, *current]))
    if language is None:
        return models
    wanted = _tag(language)
    exact = [one for one in models if _tag(one.info.language) == wanted]
    same = [one for one in models if _primary(one.info.language) == _primary(language)]
    silent = [one for one in models if not one.info.language]
    return list(dict.fromkeys([*exact, *same, *silent]))


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")


def _primary(language: str) -> str:
    return _tag(language).partition("-")[0]


JSON = "application/json"


class AdapterRoute(APIRoute):
    """A route that answers every problem in the shape of the API it speaks.

    The framework describes an endpoint that has a `body`, and this class calls it with the body,
    the request and what stands in the path. It leaves others to the framework.
    """

    @staticmethod
    def refusal(_: Request, error: ProblemError) -> Response:
        """A problem in the API's own shape: `{"error": ...}`, with the status it has everywhere."""
        body = json.dumps({"error": error.detail})
        return Response(body, error.kind.status, media_type=JSON, headers=error.headers)

    @staticmethod
    async def read(request: Request, schema: Any) -> Any:
        """The body, as `schema` has it. Raises ProblemError."""
        return await read_json(request, schema)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that the framework calls for each request."""
        endpoint: Any = self.endpoint
        schema = get_type_hints(endpoint).get("body")
        plain = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if schema is None:
                    return await plain(request)
                body = await self.read(request, schema)
                response: Response = await endpoint(body, request, **request.path_params)
                return response
            except ProblemError as error:
                return self.refusal(request, error)
            except Exception as error:
                log_failure("an adapter failed", error)
                if is_shortage(error):
                    return self.refusal(request, ProblemError(problems.NOT_READY, DETAIL))
                detail = "the request could not be answered; the fault is the server's"
                return self.refusal(request, ProblemError(problems.INTERNAL, detail))

        return handle


def described_errors(
    schema: type[BaseModel], media_type: str = JSON
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an adapter's errors: its own shape, or a problem.

    What is refused before it reaches the adapter (a missing key, say) is a problem.
    """
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    content = {media_type: {"schema": schema.model_json_schema()}, MEDIA_TYPE: problem}
    return {
        429: {"description": "Overloaded", "content": dict(content)},
        "default": {
            "description": "An error, as this API tells it; before it is reached, as a problem",
            "content": content,
        },
    }


async def ask_except(request: Request, query: Query, faults: Mapping[int, ItemFault]) -> Answer:
    """As `ask`, with the outcome of some items known already. Raises ProblemError."""
    check_count(len(query.items), query.field, request.app.state.settings)
    if not faults:
        return await ask(request, query)
    good = [item for place, item in enumerate(query.items) if place not in faults]
    answer = await ask(request, replace(query, items=good))
    rest = iter(answer.outcomes)
    outcomes = [faults.get(place) or next(rest) for place in range(len(query.items))]
    return Answer(outcomes, [answer.served[0]] * len(outcomes), answer.warnings)


def all_good(answer: Answer, field: str, *, single: bool) -> Sequence[Annotation]:
    """The annotations, for an API that has no errors of single items.

    Raises the ProblemError of the first item that could not be tagged.
    """
    good: list[Annotation] = []
    for place, outcome in enumerate(answer.outcomes):
        if isinstance(outcome, ItemFault):
            where = field if single else f"{field}/{place}"
            raise ProblemError(outcome.kind, f"{where}: {outcome.detail}")
        good.append(outcome)
    return good


def rounded(probability: float) -> float:
    """A score as replies give it."""
    return round(probability, SCORE_DIGITS)

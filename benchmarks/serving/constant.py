"""The service with one more endpoint, which validates the same requests and answers a constant.

    python -m benchmarks.serving.constant serve [MODELS] ...

It takes what `tagbelt serve` takes. The constant is the reply to one sentence, so that a request
to POST /constant costs what one to /v1/tag does, but for the tagging.
"""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from benchmarks.serving.workload import CONSTANT
from tagbelt.commands.cli import main
from tagbelt.service.api import v1
from tagbelt.service.api.bodies import JsonRoute
from tagbelt.service.api.schemas import TagRequest
from tagbelt.service.api.tagging import Answer
from tagbelt.service.models.registry import Registry
from tagbelt.service.process import server

SENTENCE = (
    "Angela Merkel visited the Toyota works in Nagoya on Monday , where she met engineers of the "
    "company and spoke ."
)


def add_constant(app: FastAPI) -> FastAPI:
    """Put the endpoint in front of the others, where finding it costs least."""
    answered: list[tuple[bytes, dict[str, str]]] = []

    async def constant(body: TagRequest, request: Request) -> Response:  # noqa: ARG001
        if not answered:
            answered.append(_reply(request.app.state.registry))
        content, headers = answered[0]
        return Response(content, media_type="application/json", headers=headers)

    router = APIRouter(route_class=JsonRoute)
    router.add_api_route(CONSTANT, constant, methods=["POST"])
    (route,) = (route for route in router.routes if isinstance(route, APIRoute))
    app.router.routes.insert(0, route)
    return app


def _reply(registry: Registry) -> tuple[bytes, dict[str, str]]:
    """Return the default model's answer to the sentence."""
    served = registry.get(None)
    annotations = served.tagger.annotate_items([served.tagger.tokenize(SENTENCE)])
    answer, request = Answer(annotations, [served]), TagRequest(text=SENTENCE)
    return v1.reply(request, v1.query_of(request), answer), answer.headers


def install() -> None:
    """Have servers of this process made with the endpoint."""
    make = server.open_app
    server.open_app = lambda settings, models: add_constant(make(settings, models))


if __name__ == "__main__":
    install()
    main()

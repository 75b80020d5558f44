"""AWS Comprehend's DetectEntities and BatchDetectEntities, as its JSON protocol speaks them."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body, Header, Request
from fastapi.openapi.models import Example
from pydantic_core import to_json
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from tagbelt.inference import Annotation
from tagbelt.service.adapters.answering import (
    AdapterRoute,
    all_good,
    ask_except,
    described_errors,
    models_of,
    rounded,
)
from tagbelt.service.adapters.comprehend_shapes import (
    BatchDetectEntitiesReply,
    BatchDetectEntitiesRequest,
    ComprehendError,
    DetectEntitiesReply,
    DetectEntitiesRequest,
)
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import check_encoding, parse_aside
from tagbelt.service.api.problems import Kind, ProblemError
from tagbelt.service.api.tagging import Answer, ItemFault, Query, ask, rendered

MEDIA_TYPE = "application/x-amz-json-1.1"
TARGET_HEADER = "x-amz-target"
TARGET_PREFIX = "Comprehend_20171127."
MAX_DOCUMENTS = 25
MAX_BYTES = 100_000
"""UTF-8 bytes of one text."""

# The types of Comprehend's built-in model, by the labels that come closest; the rest are OTHER.
ENTITY_TYPES = {
    **dict.fromkeys(("PER", "PERSON"), "PERSON"),
    **dict.fromkeys(("LOC", "LOCATION", "GPE", "FAC"), "LOCATION"),
    **dict.fromkeys(("ORG", "ORGANIZATION"), "ORGANIZATION"),
    **dict.fromkeys(("DATE", "TIME"), "DATE"),
    **dict.fromkeys(("QUANTITY", "CARDINAL", "ORDINAL", "PERCENT", "MONEY"), "QUANTITY"),
    **dict.fromkeys(("PRODUCT", "COMMERCIAL_ITEM"), "COMMERCIAL_ITEM"),
    **dict.fromkeys(("WORK_OF_ART", "TITLE"), "TITLE"),
    "EVENT": "EVENT",
}
OTHER = "OTHER"

_ENDPOINT = re.compile(r"arn:[^:]*:comprehend:[^:]*:[^:]*:entity-recognizer-endpoint/(.+)")

_UNKNOWN_OPERATION = Kind("", 400, "Unknown operation", "")
_LANGUAGE = Kind("", 400, "Unsupported language", "")
_TEXT_SIZE = Kind("", 400, "Text too long", "")
_BATCH_SIZE = Kind("", 400, "Too many documents", "")
# AWS's name and status of each kind of problem; the rest are by status.
_ERRORS: dict[Kind, tuple[str, int]] = {
    _UNKNOWN_OPERATION: ("UnknownOperationException", 400),
    _LANGUAGE: ("UnsupportedLanguageException", 400),
    _TEXT_SIZE: ("TextSizeLimitExceededException", 400),
    _BATCH_SIZE: ("BatchSizeLimitExceededException", 400),
    problems.TOO_LONG: ("TextSizeLimitExceededException", 400),
    problems.BODY_TOO_LARGE: ("TextSizeLimitExceededException", 413),
    problems.TOO_MANY_ITEMS: ("BatchSizeLimitExceededException", 400),
    problems.MALFORMED: ("SerializationException", 400),
    problems.UNKNOWN_MODEL: ("ResourceUnavailableException", 404),
    problems.OVERLOADED: ("TooManyRequestsException", 429),
    problems.NOT_READY: ("ServiceUnavailableException", 503),
    problems.DEADLINE: ("RequestTimeoutException", 504),
}
# ErrorCode of one document of a batch.
_ITEM_ERRORS = {
    _TEXT_SIZE: "TEXT_SIZE_LIMIT_EXCEEDED",
    problems.TOO_LONG: "TEXT_SIZE_LIMIT_EXCEEDED",
    problems.INTERNAL: "INTERNAL_SERVER_ERROR",
}
_ITEM_ERROR = "INVALID_REQUEST"


class ComprehendRoute(AdapterRoute):
    """A route with AWS's errors."""

    @staticmethod
    def refusal(request: Request, error: ProblemError) -> Response:
        """The error as an exception that AWS's SDKs know."""
        name, status = error_of(error.kind)
        headers = {**(error.headers or {}), **request_ids(request), "x-amzn-errortype": name}
        body = json.dumps({"__type": name, "Message": error.detail})
        return Response(body, status, media_type=MEDIA_TYPE, headers=headers)

    @staticmethod
    async def read(request: Request, _: Any) -> Any:
        """The body, as the operation that the request names has it. Raises ProblemError."""
        schema = operation(request.headers.get(TARGET_HEADER, ""))
        check_encoding(request)
        return await parse_aside(request, await request.body(), schema)


class TargetedRoute(ComprehendRoute):
    """A route for requests that name an operation of AWS's; others go elsewhere."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this is the route of a request."""
        if any(name == TARGET_HEADER.encode() for name, _ in scope.get("headers", ())):
            return super().matches(scope)
        return Match.NONE, {}


def request_ids(request: Request) -> dict[str, str]:
    """The header in which AWS's SDKs look for the request's id."""
    known = request.scope.get("state", {}).get("request_id")
    return {"x-amzn-requestid": known or str(uuid4())}


def error_of(kind: Kind) -> tuple[str, int]:
    """AWS's name and status of a kind of problem."""
    if kind in _ERRORS:
        return _ERRORS[kind]
    if kind.status >= 500:
        return "InternalServerException", 500
    return "InvalidRequestException", 400


OPERATIONS: dict[str, type[DetectEntitiesRequest] | type[BatchDetectEntitiesRequest]] = {
    TARGET_PREFIX + "DetectEntities": DetectEntitiesRequest,
    TARGET_PREFIX + "BatchDetectEntities": BatchDetectEntitiesRequest,
}
"""The shape of the body for each target of the header."""


def operation(target: str) -> type[DetectEntitiesRequest] | type[BatchDetectEntitiesRequest]:
    """Return the shape of an operation's body. Raises ProblemError for one that is not ours."""
    if target not in OPERATIONS:
        detail = f"{target!r} is no operation here, only: {', '.join(OPERATIONS)}"
        raise ProblemError(_UNKNOWN_OPERATION, detail)
    return OPERATIONS[target]


EXAMPLES: dict[str, Example] = {
    "DetectEntities": {
        "value": {"Text": "Angela Merkel visited Toyota in Nagoya.", "LanguageCode": "en"}
    },
    "BatchDetectEntities": {
        "value": {"TextList": ["Angela Merkel visited Toyota.", "Nagoya"], "LanguageCode": "en"}
    },
}


class ComprehendResponse(JSONResponse):
    """A reply in AWS's JSON, made already."""

    media_type = MEDIA_TYPE

    def render(self, content: bytes) -> bytes:
        """The body."""
        return content


Members = Callable[[], dict[str, Any]]
Operation = DetectEntitiesRequest | BatchDetectEntitiesRequest
_Body = Annotated[Operation, Body(media_type=MEDIA_TYPE, openapi_examples=EXAMPLES)]
_Target = Annotated[
    str | None,
    Header(description="The operation.", json_schema_extra={"enum": [*OPERATIONS]}),
]

# Where the API's clients send their requests, "/", others come in too; it is described at /aws/.
root_router = APIRouter(route_class=TargetedRoute, include_in_schema=False)
router = APIRouter(
    route_class=ComprehendRoute,
    tags=["AWS Comprehend"],
    default_response_class=ComprehendResponse,
    responses=described_errors(ComprehendError, MEDIA_TYPE),
)


@root_router.post("/")
@router.post("/aws", include_in_schema=False)
@router.post(
    "/aws/",
    summary="AWS Comprehend: detect entities",
    response_model=DetectEntitiesReply | BatchDetectEntitiesReply,
)
async def call(body: _Body, request: Request, x_amz_target: _Target = None) -> Response:  # noqa: ARG001
    """DetectEntities and BatchDetectEntities. POST / with the header X-Amz-Target is the same.

    The access key id is the API key; the signature is not checked. Clients that speak RPC v2 CBOR
    post to /service/Comprehend_20171127/operation/{operation}.
    """
    answer, members = await answered(body, request)
    content = await rendered(answer, lambda: to_json(members()))
    return ComprehendResponse(content, headers={**answer.headers, **request_ids(request)})


async def answered(body: Operation, request: Request) -> tuple[Answer, Members]:
    """The answer to an operation, and what makes its reply's members. Raises ProblemError."""
    if isinstance(body, BatchDetectEntitiesRequest):
        return await _detect_batch(body, request)
    return await _detect(body, request)


async def _detect(body: DetectEntitiesRequest, request: Request) -> tuple[Answer, Members]:
    if body.Bytes is not None or body.DocumentReaderConfig is not None:
        raise ProblemError(problems.INVALID, "only plain text is read: send it as Text")
    if body.Text is None:
        raise ProblemError(problems.INVALID, "Text is missing")
    if fault := _size_fault(body.Text):
        raise ProblemError(fault.kind, fault.detail)
    model = _model(request, body)
    answer = await ask(request, Query([body.Text], model=model, field="Text"))
    (annotation,) = all_good(answer, "Text", single=True)
    types = ENTITY_TYPES if body.EndpointArn is None else None
    return answer, lambda: {"Entities": entities(annotation, types)}


async def _detect_batch(
    body: BatchDetectEntitiesRequest, request: Request
) -> tuple[Answer, Members]:
    if len(body.TextList) > MAX_DOCUMENTS:
        detail = f"TextList holds {len(body.TextList)} texts and the limit is {MAX_DOCUMENTS}"
        raise ProblemError(_BATCH_SIZE, detail)
    faults = {i: fault for i, text in enumerate(body.TextList) if (fault := _size_fault(text))}
    model = _speaker(request, body.LanguageCode)
    query = Query(body.TextList, model=model, field="TextList")
    answer = await ask_except(request, query, faults)
    return answer, lambda: batch_members(answer)


def _size_fault(text: object) -> ItemFault | None:
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else 0
    if size <= MAX_BYTES:
        return None
    return ItemFault(_TEXT_SIZE, f"the text has {size} bytes in UTF-8 and the limit is {MAX_BYTES}")


def _model(request: Request, body: DetectEntitiesRequest) -> str:
    """The name of the model that a request chooses. Raises ProblemError."""
    if body.EndpointArn is not None:
        match = _ENDPOINT.fullmatch(body.EndpointArn)
        if match is None:
            form = "arn:aws:comprehend:REGION:ACCOUNT:entity-recognizer-endpoint/NAME"
            raise ProblemError(problems.INVALID, f"EndpointArn must be {form}")
        return match[1]
    if body.LanguageCode is None:
        raise ProblemError(problems.INVALID, "LanguageCode is missing, and so is EndpointArn")
    return _speaker(request, body.LanguageCode)


def _speaker(request: Request, language: str) -> str:
    registry = request.app.state.registry
    for served in models_of(registry, language):
        return served.name
    spoken = sorted({served.info.language for served in models_of(registry, None)})
    detail = f"no model is for the language {language!r}; there are models for: {', '.join(spoken)}"
    raise ProblemError(_LANGUAGE, detail)


def entities(annotation: Annotation, types: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """Return the API's answer for one text. `types` maps labels; None leaves them as they are."""
    return [
        {
            "Score": rounded(entity.score),
            "Type": entity.label if types is None else types.get(entity.label.upper(), OTHER),
            "Text": entity.text,
            "BeginOffset": entity.start,
            "EndOffset": entity.end,
        }
        for entity in annotation.entities
    ]


def batch_members(answer: Answer) -> dict[str, Any]:
    """Return the API's answer for several texts."""
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for index, outcome in enumerate(answer.outcomes):
        if isinstance(outcome, ItemFault):
            code = _ITEM_ERRORS.get(outcome.kind, _ITEM_ERROR)
            errors.append({"Index": index, "ErrorCode": code, "ErrorMessage": outcome.detail})
        else:
            results.append({"Index": index, "Entities": entities(outcome, ENTITY_TYPES)})
    return {"ResultList": results, "ErrorList": errors}

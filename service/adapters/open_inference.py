"""The Open Inference Protocol (KServe's V2) over REST, with Triton's binary tensor extension."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.openapi.models import Example
from starlette.responses import JSONResponse, Response

from tagbelt.service.adapters import open_inference_shapes as shapes
from tagbelt.service.adapters.answering import (
    JSON,
    AdapterRoute,
    ModelName,
    Version,
    ask_except,
    described_errors,
)
from tagbelt.service.adapters.open_inference_bodies import (
    columns,
    joined,
    read_request,
    texts_of,
    wanted_outputs,
)
from tagbelt.service.adapters.open_inference_shapes import INPUT, OUTPUTS, InferRequest
from tagbelt.service.adapters.tensors import BYTES
from tagbelt.service.api.bodies import check_encoding
from tagbelt.service.api.tagging import Answer, Query, rendered
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import AUTO

LENGTH_HEADER = "inference-header-content-length"
OCTETS = "application/octet-stream"
SERVER_NAME = "tagbelt"


class OpenInferenceRoute(AdapterRoute):
    """A route that reads the protocol's bodies."""

    @staticmethod
    async def read(request: Request, _: Any) -> Any:
        """The body, with binary data or without. Raises ProblemError."""
        check_encoding(request)
        return await read_request(request, request.headers.get(LENGTH_HEADER))


router = APIRouter(
    prefix="/v2",
    route_class=OpenInferenceRoute,
    tags=["Open Inference Protocol"],
    responses=described_errors(shapes.OpenInferenceError),
)

EXAMPLES: dict[str, Example] = {"Two texts": {"value": shapes.EXAMPLE}}
_Body = Annotated[InferRequest, Body(openapi_examples=EXAMPLES)]
# Besides JSON.
_BINARY = {"requestBody": {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/", include_in_schema=False)
@router.get("", summary="Open Inference: the server", response_model=shapes.ServerMetadata)
async def server(request: Request) -> Response:
    """The server's name and version, and the extensions it speaks."""
    return JSONResponse(
        {
            "name": SERVER_NAME,
            "version": request.app.version,
            "extensions": [shapes.BINARY_EXTENSION],
        }
    )


@router.get(
    "/health/live", summary="Open Inference: is it alive?", response_model=shapes.ServerLive
)
async def live() -> Response:
    """The same as /livez."""
    return JSONResponse({"live": True})


@router.get(
    "/health/ready",
    summary="Open Inference: is it ready?",
    response_model=shapes.ServerReady,
    responses={503: {"model": shapes.ServerReady, "description": "It cannot answer now"}},
)
async def ready(request: Request) -> Response:
    """The same as /readyz."""
    trouble = await request.app.state.health.trouble()
    return JSONResponse({"ready": trouble is None}, 200 if trouble is None else 503)


@router.get(
    "/models/{name}/ready",
    summary="Open Inference: is a model ready?",
    response_model=shapes.ModelReady,
    responses={503: {"model": shapes.ModelReady, "description": "It cannot answer now"}},
)
async def model_ready(request: Request, name: ModelName) -> Response:
    """Whether the model answers; 404 when it is not served."""
    return await _readiness(request, name)


@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="Open Inference: is a version ready?",
    response_model=shapes.ModelReady,
    responses={503: {"model": shapes.ModelReady, "description": "It cannot answer now"}},
)
async def version_ready(request: Request, name: ModelName, version: Version) -> Response:
    """Whether the version answers; 404 when it is not served."""
    return await _readiness(request, f"{name}@{version}")


@router.get(
    "/models/{name}",
    summary="Open Inference: describe a model",
    response_model=shapes.ModelMetadata,
)
async def model(request: Request, name: ModelName) -> Response:
    """The model's versions, and the tensors it takes and gives."""
    return _metadata(request, name)


@router.get(
    "/models/{name}/versions/{version}",
    summary="Open Inference: describe a version",
    response_model=shapes.ModelMetadata,
)
async def version(request: Request, name: ModelName, version: Version) -> Response:
    """The same as for the model, where that version is served."""
    return _metadata(request, f"{name}@{version}")


@router.post(
    "/models/{name}/infer",
    summary="Open Inference: tag",
    response_model=shapes.InferResponse,
    openapi_extra=_BINARY,
)
async def infer(body: _Body, request: Request, name: ModelName) -> Response:
    """Tags the texts of the tensor `text`. Offsets are in code points.

    With the header Inference-Header-Content-Length the body is that much JSON and then binary
    tensors, as in the reply when binary outputs are asked for.
    """
    return await _infer(body, request, name)


@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Open Inference: tag with a version",
    response_model=shapes.InferResponse,
    openapi_extra=_BINARY,
)
async def infer_version(
    body: _Body, request: Request, name: ModelName, version: Version
) -> Response:
    """The same as for the model, by one of its versions."""
    return await _infer(body, request, f"{name}@{version}")


def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def _readiness(request: Request, name: str) -> Response:
    served = _registry(request).get(name)
    trouble = await request.app.state.health.trouble()
    members = {"name": served.name, "ready": trouble is None}
    return JSONResponse(members, 200 if trouble is None else 503)


def _metadata(request: Request, name: str) -> Response:
    registry = _registry(request)
    served = registry.get(name)
    versions = [one.served.version for one in registry.snapshot.versions(served.name)]
    outputs = [
        {"name": output, "datatype": datatype, "shape": [-1]}
        for output, datatype in OUTPUTS.items()
    ]
    return JSONResponse(
        {
            "name": served.name,
            "versions": versions,
            "platform": shapes.PLATFORM,
            "inputs": [{"name": INPUT, "datatype": BYTES, "shape": [-1]}],
            "outputs": outputs,
        }
    )


async def _infer(body: InferRequest, request: Request, model: str) -> Response:
    wanted = wanted_outputs(body)
    items, faults = texts_of(body, request.app.state.settings)
    answer = await ask_except(request, Query(items, model=model, field=INPUT), faults)
    head = _model_members(answer, model)
    if body.id is not None:
        head["id"] = body.id
    # How much of the reply is JSON is known when it is made, maybe in a thread.
    lengths: list[int] = []

    def render() -> bytes:
        content, length = joined(head, columns(answer.outcomes), wanted)
        lengths.append(length)
        return content

    content = await rendered(answer, render)
    if lengths == [len(content)]:
        return Response(content, media_type=JSON, headers=answer.headers)
    headers = {**answer.headers, LENGTH_HEADER: str(lengths[0])}
    return Response(content, media_type=OCTETS, headers=headers)


def _model_members(answer: Answer, asked: str) -> dict[str, str]:
    first, *others = dict.fromkeys(answer.served)
    if others or asked == AUTO:
        return {"model_name": asked}
    return {"model_name": first.name, "model_version": first.version}

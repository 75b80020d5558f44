"""The endpoints that tell of the models."""

from typing import Any

from fastapi import APIRouter, Request

from service.describe import errors
from service.models.registry import Registry
from service.models.served import Served
from service.schemas import ModelCard, ModelList

router = APIRouter()


@router.get(
    "/v1/models",
    tags=["models"],
    summary="List the models",
    response_model=ModelList,
    responses=errors(),
)
async def models(request: Request) -> dict[str, Any]:
    """The models that are served, and which one answers when a request names none."""
    registry: Registry = request.app.state.registry
    return {
        "default": registry.default,
        "models": [_card(served) for served in registry.served],
    }


@router.get(
    "/v1/models/{name}",
    tags=["models"],
    summary="Describe a model",
    response_model=ModelCard,
    responses=errors(404),
)
async def model(name: str, request: Request) -> dict[str, Any]:
    """Labels, tag scheme, digest and measured quality of one model."""
    return _card(request.app.state.registry.get(name))


def _card(served: Served) -> dict[str, Any]:
    info = served.info
    return {
        "name": info.name,
        "version": info.version,
        "digest": info.digest,
        "labels": list(info.labels),
        "scheme": str(info.scheme),
        "unit": info.unit,
        "language": info.language,
        "description": info.description,
        "metrics": dict(info.metrics),
    }

"""Pieces of the OpenAPI document that several routes share."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tagbelt.service.api.problems import KINDS, MEDIA_TYPE

_TEMPLATE = "#/components/schemas/{model}"


def reference(schema: type[BaseModel]) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": _TEMPLATE.format(model=schema.__name__)}


def definitions(schemas: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Schemas for the document that no route has as its body or its reply."""
    _, found = models_json_schema(
        [(schema, "serialization") for schema in schemas], ref_template=_TEMPLATE
    )
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of the problems that an endpoint answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles: dict[int | str, str] = {
        status: "; ".join(kind.title for kind in KINDS if kind.status == status)
        for status in statuses
    }
    return {
        status: {"description": title, "content": content}
        for status, title in [*titles.items(), ("default", "Any other error")]
    }

"""Pieces of the OpenAPI document that several routes share."""

from typing import Any

from service.problems import KINDS, MEDIA_TYPE


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

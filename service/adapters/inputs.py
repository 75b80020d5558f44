"""Field types that several adapters share."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError


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

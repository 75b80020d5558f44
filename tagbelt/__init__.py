"""The front door: the `tagbelt` command, and the names that a Python program starts from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagbelt.inference import Annotation, Tagger

__all__ = ["Annotation", "Tagger"]


def __getattr__(name: str) -> Any:
    """The names above, once somebody asks for them: the command has to start fast."""
    if name in __all__:
        return getattr(import_module("tagbelt.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

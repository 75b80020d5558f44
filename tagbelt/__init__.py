"""Named-entity recognition: the names that a Python program starts from.

Each is imported when it is first asked for, so that `import tagbelt` and the command start fast.
What needs an extra that is not installed can be imported all the same; to use it raises a
`MissingPackageError` that says what to install.
"""

from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from tagbelt.errors import MissingPackageError, TagbeltError, missing_package

if TYPE_CHECKING:
    from tagbelt.client import AsyncClient, Client
    from tagbelt.data.conll.reading import read_conll
    from tagbelt.data.conll.schemes import Scheme
    from tagbelt.data.types import Entity
    from tagbelt.inference import Annotation, Tagger
    from tagbelt.training.config import load_config
    from tagbelt.training.run.train import train
    from tagbelt.training.scores.evaluate import evaluate

    __version__: str

__all__ = [
    "Annotation",
    "AsyncClient",
    "Client",
    "Entity",
    "Scheme",
    "TagbeltError",
    "Tagger",
    "__version__",
    "evaluate",
    "load_config",
    "read_conll",
    "train",
]

_MODULES = {
    "Annotation": "tagbelt.inference",
    "AsyncClient": "tagbelt.client",
    "Client": "tagbelt.client",
    "Entity": "tagbelt.data.types",
    "Scheme": "tagbelt.data.conll.schemes",
    "Tagger": "tagbelt.inference",
    "evaluate": "tagbelt.training.scores.evaluate",
    "load_config": "tagbelt.training.config",
    "read_conll": "tagbelt.data.conll.reading",
    "train": "tagbelt.training.run.train",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tagbelt")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_MODULES[name]), name)
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        return _unusable(name, missing)
    if name in ("evaluate", "train"):
        value = _told(value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _unusable(name: str, missing: MissingPackageError) -> Any:
    """Return what stands for a name whose package is not installed: to call it says so."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise MissingPackageError(f"tagbelt.{name}: {missing}")

    return refuse


def _told(function: Any) -> Any:
    """Return the function, which says what to install for a module that it imports when called."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except ModuleNotFoundError as error:
            raise missing_package(error) or error from error

    return call

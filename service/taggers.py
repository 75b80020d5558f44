"""What the service needs of a tagger, and the taggers it serves by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from data.artifact import CONFIG
from inference.info import ModelInfo
from inference.tagger import Annotation
from service.problems import UNKNOWN_MODEL, ProblemError

SMOKE_TEXT = "Ada Lovelace wrote to Charles Babbage in London."


class Tagger(Protocol):
    """The part of `inference.tagger.Tagger` that the service calls."""

    @property
    def info(self) -> ModelInfo:
        """What is being served."""

    def annotate(self, texts: Sequence[str], *, marginals: bool = False) -> Sequence[Annotation]:
        """One annotation a text, in order."""

    def annotate_tokens(
        self, sentences: Sequence[Sequence[str]], *, marginals: bool = False
    ) -> Sequence[Annotation]:
        """One annotation a token list, in order."""


class Registry:
    """Taggers by the name that requests use, one of them the default.

    Raises ValueError when two have one name or `default` is not among them.
    """

    def __init__(self, taggers: Sequence[Tagger], *, default: str | None = None) -> None:
        self.taggers: dict[str, Tagger] = {}
        for tagger in sorted(taggers, key=lambda tagger: tagger.info.name):
            if tagger.info.name in self.taggers:
                raise ValueError(f"two models are named {tagger.info.name!r}; rename or remove one")
            self.taggers[tagger.info.name] = tagger
        if not self.taggers:
            raise ValueError("there is no model to serve")
        self.default = next(iter(self.taggers)) if default is None else default
        if self.default not in self.taggers:
            raise ValueError(f"default_model={default!r} is not among: {', '.join(self.taggers)}")

    def get(self, name: str | None) -> Tagger:
        """The tagger of that name; for None the default one. Raises ProblemError, 404."""
        tagger = self.taggers.get(self.default if name is None else name)
        if tagger is None:
            served = ", ".join(self.taggers)
            detail = f"no model is named {name!r}; served: {served}"
            raise ProblemError(UNKNOWN_MODEL, detail)
        return tagger

    def smoke(self) -> None:
        """Tags a sentence with each model. Raises what the model raises."""
        for name, tagger in self.taggers.items():
            if len(tagger.annotate([SMOKE_TEXT])) != 1:
                raise RuntimeError(f"model {name!r} gave no answer to the test sentence")


def find_checkpoints(path: Path) -> list[Path]:
    """`path` itself when it is a checkpoint, else the checkpoints right below it, by name.

    Raises FileNotFoundError when there is none.
    """
    if (path / CONFIG).is_file():
        return [path]
    found = sorted(mark.parent for mark in path.glob(f"*/{CONFIG}"))
    if not found:
        raise FileNotFoundError(
            f"no checkpoint at {path}: neither it nor a folder in it has a {CONFIG}"
        )
    return found

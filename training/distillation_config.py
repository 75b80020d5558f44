"""The `[distillation]` section of a config."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from tagbelt.model.config import Section, Size


class TextSource(Section):
    """A file of unlabelled text: plain, or with `column` CoNLL rows.

    Plain text is cut into sentences and tokens as the runtime does, each line by itself. In rows,
    the tokens stand in `column`, counted from 0, and the other columns are not looked at.
    """

    path: str
    column: NonNegativeInt | None = None
    separator: Literal["whitespace", "tab", "space"] = "whitespace"


class DistillationConfig(Section):
    """Trained taggers whose probabilities a new one learns, besides or without gold tags.

    `teachers` are checkpoints with the run's own tags, in the same unit. `weight` is their share
    in the loss of a sentence with gold tags, 1 where there are none: in `text`, of which at most
    `sentences` are taken, evenly from all of it.
    """

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    text: tuple[TextSource, ...] = ()
    sentences: Size | None = None

"""The events of a training run: `train(..., progress=callback)` calls back with each.

The order: messages, `Started`, then for each epoch its `Step`s and its `Epoch`, messages, `Ended`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagbelt.training.scores.evaluate import Score, Scores


@dataclass(frozen=True)
class Message:
    """A sentence for a person: what was read, made or found."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Started:
    """The epochs begin: `done` of at most `epochs` were done before, `best_f1` is the best's."""

    done: int
    epochs: int
    best_f1: float


@dataclass(frozen=True)
class Step:
    """One batch done: `loss` in nats a sentence, how far the epoch is, tokens a second so far."""

    epoch: int
    done: int
    batches: int
    loss: float
    tokens_per_second: float


@dataclass(frozen=True)
class Epoch:
    """One epoch done and its score on dev. `is_best`: better than every epoch before it."""

    epoch: int
    loss: float
    dev: Score
    is_best: bool
    tokens_per_second: float
    seconds: float
    learning_rate: float


@dataclass(frozen=True)
class Ended:
    """The run is done: where its checkpoint stands, its scores by split, and two sentences: why it
    stopped, and what would help most. `example` is a text to try it on, if it keeps any.
    """

    checkpoint: Path
    scores: dict[str, Scores]
    closing: str
    example: str = ""


Event = Message | Started | Step | Epoch | Ended
Callback = Callable[[Event], None]


def ignore(_: object) -> None:
    """Do nothing: the callback of a run that nobody looks at."""

"""The two sentences at the end of a run: why it stopped, and what would help most."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tagbelt.data.types import Sentence
from tagbelt.training.config import TrainingConfig
from tagbelt.training.loop.loop import Progress
from tagbelt.training.scores.evaluate import ScoreRow, Scores

LACKING = "More sentences with"

STILL_RISING = 0.01
"""Dev F1 gained in the last tenth of the epochs from which on more of them are worth trying."""


def closing(
    progress: Progress,
    training: TrainingConfig,
    dev: Scores,
    train: Sequence[Sentence],
    offer: str = "",
    is_kept: bool = False,
) -> str:
    """Return both sentences; `dev` are the scores of the best epoch's checkpoint.

    `offer` is said instead of which sentences are lacking, if there is any. With `is_kept` nothing
    but the scores of new types was trained.
    """
    advice = _advice(progress, training, dev, train)
    if is_kept and progress.best_f1 <= 0.0:
        advice = (
            "It found nothing right on dev with the old weights as they are: init_keep = false,"
            " which lets them move, would help most."
        )
    lacking = offer if offer and advice.startswith(LACKING) else advice
    return f"{_why(progress, training)} {lacking}"


def _why(progress: Progress, training: TrainingConfig) -> str:
    best = f"{100 * progress.best_f1:.2f} of epoch {progress.best_epoch}"
    if progress.epoch < training.epochs:
        waited = progress.epoch - progress.best_epoch
        return f"Stopped: dev F1 has not passed the {best} for {waited} epochs (training.patience)."
    return f"Stopped: epoch {progress.epoch} was the last (training.epochs); best dev F1: {best}."


def _advice(
    progress: Progress, training: TrainingConfig, dev: Scores, train: Sequence[Sentence]
) -> str:
    if progress.best_f1 <= 0.0:
        return (
            "It found nothing right on dev: a larger optimiser.learning_rate, a smaller"
            " training.batch_size or more training.epochs would help most."
        )
    if progress.epoch >= training.epochs and _last_gain(progress.history) > STILL_RISING:
        longer = f"--set training.epochs={2 * progress.epoch}"
        return f"Dev F1 was still rising: more epochs would help most ({longer}, in a new --out)."
    if dev["strict"]["micro"]["f1"] == 1.0:
        return "It makes no mistake on dev: more dev sentences would show what is left to learn."
    label = most_missed(dev["strict"]["types"])
    counts = Counter(span.label for sentence in train for span in sentence.spans or ())
    f1 = 100 * dev["strict"]["types"][label]["f1"]
    return (
        f"{LACKING} {label} would help most: dev F1 loses most there"
        f" (its own is {f1:.2f}; training has {counts[label]:,})."
    )


def _last_gain(history: Sequence[float]) -> float:
    tenth = max(1, len(history) // 10)
    return max(history) - max(history[:-tenth], default=0.0)


def most_missed(types: Mapping[str, ScoreRow]) -> str:
    """Return the type that takes most from the score: its entities, times what F1 lacks of 1."""
    return max(types, key=lambda label: types[label]["support"] * (1.0 - types[label]["f1"]))

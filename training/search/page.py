"""The page of a search: its history, what mattered, and each setting by the F1 it led to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tagbelt.training.analysis.charts import Chart, Dot, dot_chart
from tagbelt.training.analysis.page import templates
from tagbelt.training.search.space import Space, Value

Outcome = Literal["finished", "pruned", "failed", "under way"]
HUES: dict[Outcome, int] = {"finished": 0, "pruned": 2}
"""The hue of a trial's dot by what became of it; the others have no F1 to show."""

SHOWN = 20
"""How many trials the page lists, best first."""


@dataclass(frozen=True)
class TriedTrial:
    """A trial: its number from 0, its settings, its best dev F1 (None before the first epoch)."""

    number: int
    outcome: Outcome
    values: Mapping[str, Value]
    f1: float | None
    epochs: int


def best_of(trials: Sequence[TriedTrial]) -> TriedTrial | None:
    """Return the finished trial with the best F1, the first of equals; None if none is finished."""
    finished = [t for t in trials if t.outcome == "finished" and t.f1 is not None]
    return max(finished, key=lambda t: (t.f1 or 0.0, -t.number), default=None)


def render_search(
    name: str, trials: Sequence[TriedTrial], space: Space, importance: Mapping[str, float]
) -> str:
    """Return the page; it needs no script, font or other address.

    `importance` is the share of each setting in how much the F1 of trials varies; empty where
    there are too few trials to tell.
    """
    template = templates().get_template("search.html.j2")
    return template.render(_values(name, trials, space, importance))


def _values(
    name: str, trials: Sequence[TriedTrial], space: Space, importance: Mapping[str, float]
) -> dict[str, Any]:
    seen = [t for t in trials if t.outcome in HUES and t.f1 is not None]
    best = best_of(trials)
    counts = {
        kind: sum(t.outcome == kind for t in trials) for kind in ("finished", "pruned", "failed")
    }
    return {
        "name": name,
        "best": best,
        "tiles": {"best dev F1": _percent(best), **counts},
        "history": _history(seen) if seen else None,
        "importance": dict(sorted(importance.items(), key=lambda item: -item[1])),
        "slices": {
            key: _slice(key, entry.log, [trial for trial in seen if key in trial.values])
            for key, entry in space.items()
            if any(key in trial.values for trial in seen)
        },
        "listed": sorted(seen, key=lambda t: (-(t.f1 or 0.0), t.number))[:SHOWN],
        "keys": list(space),
        "setting": setting,
    }


def setting(value: object) -> str:
    """Return a value as a person reads it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _percent(trial: TriedTrial | None) -> str:
    return "none yet" if trial is None or trial.f1 is None else f"{100 * trial.f1:.2f}"


def _history(seen: Sequence[TriedTrial]) -> Chart:
    best, line = -1.0, []
    for trial in seen:
        if trial.outcome == "finished":
            best = max(best, trial.f1 or 0.0)
        if best >= 0.0:
            line.append((trial.number, best))
    names = {hue: outcome for outcome, hue in HUES.items()} | {7: "best so far"}
    dots = [_dot(trial, trial.number) for trial in seen]
    return dot_chart("Dev F1 by trial", dots, style=".1%", line=line, names=names)


def _slice(key: str, log: bool, seen: Sequence[TriedTrial]) -> Chart:
    dots = [_dot(trial, trial.values[key]) for trial in seen]
    return dot_chart(f"Dev F1 by {key}", dots, style=".1%", log=log)


def _dot(trial: TriedTrial, x: Value) -> Dot:
    f1 = trial.f1 or 0.0
    told = f"trial {trial.number}, {trial.outcome}: {setting(x)}, dev F1 {f1:.2%}"
    return Dot(x, f1, HUES[trial.outcome], told)

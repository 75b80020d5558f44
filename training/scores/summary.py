"""The scores of several seeds together: mean, standard deviation, the best on dev."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tagbelt.training.rundir import read_metrics, read_report, read_saved
from tagbelt.training.scores.evaluate import MODES

F1 = dict[str, dict[str, float]]
"""F1 in [0, 1] by split and seqeval's mode."""


@dataclass(frozen=True)
class SeedRun:
    """A finished run; `seconds` are those of its epochs, dev scoring included."""

    seed: int
    directory: str
    epochs: int
    seconds: float
    f1: F1


@dataclass(frozen=True)
class Spread:
    """Of n values: mean, sample standard deviation (n - 1; None for one value), extremes."""

    mean: float
    sd: float | None
    min: float
    max: float


@dataclass(frozen=True)
class Summary:
    """Finished runs of one config, by seed, and what their scores come to."""

    name: str
    runs: tuple[SeedRun, ...]

    @property
    def best(self) -> SeedRun:
        """The run with the best strict F1 on dev; of several, that of the lowest seed."""
        return max(self.runs, key=lambda run: (run.f1["dev"]["strict"], -run.seed))

    def spread(self, split: str, mode: str) -> Spread:
        """Return how the F1 of a split and mode is spread over the seeds."""
        return spread_of([run.f1[split][mode] for run in self.runs])

    @property
    def scored(self) -> list[tuple[str, str]]:
        """Each split and mode that there are scores for."""
        return [(split, mode) for split, modes in self.best.f1.items() for mode in modes]

    def as_json(self) -> dict[str, Any]:
        """Return what stands in `seeds.json`."""
        f1: dict[str, dict[str, Any]] = {}
        for split, mode in self.scored:
            f1.setdefault(split, {})[mode] = asdict(self.spread(split, mode))
        return {
            "name": self.name,
            "seeds": [run.seed for run in self.runs],
            "f1": f1,
            "best_on_dev": asdict(self.best),
            "seconds": asdict(spread_of([run.seconds for run in self.runs])),
            "runs": [asdict(run) for run in self.runs],
        }


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean, standard deviation and extremes of at least one value."""
    sd = stdev(values) if len(values) > 1 else None
    return Spread(fmean(values), sd, min(values), max(values))


def summarise(directories: Sequence[Path]) -> Summary:
    """Read the finished ones of runs, at least one, that differ in their seed alone."""
    configs = {place: read_saved(place) for place in directories if read_report(place) is not None}
    runs = tuple(_seed_run(place, config.training.seed) for place, config in configs.items())
    return Summary(next(iter(configs.values())).name, runs)


def _seed_run(directory: Path, seed: int) -> SeedRun:
    report = read_report(directory) or {}
    epochs = read_metrics(directory)
    f1: F1 = {
        split: {str(mode): float(modes[mode]["micro"]["f1"]) for mode in MODES}
        for split, modes in report.items()
    }
    seconds = sum(epoch["train/seconds"] for epoch in epochs)
    return SeedRun(seed, directory.name, len(epochs), seconds, f1)


def render(summary: Summary) -> str:
    """Lay a summary out as a table, F1 in per cent."""
    best, count = summary.best, len(summary.runs)
    lines = [
        f"{summary.name}, F1 of {count} {'seeds' if count > 1 else 'seed'}, in per cent",
        f"  {'':13}   mean     sd    min    max  seed {best.seed}, best on dev",
    ]
    for split, mode in summary.scored:
        spread = summary.spread(split, mode)
        sd = "     -" if spread.sd is None else f"{100 * spread.sd:6.2f}"
        lines.append(
            f"  {split:4} {mode:8} {100 * spread.mean:6.2f} {sd} {100 * spread.min:6.2f}"
            f" {100 * spread.max:6.2f}  {100 * best.f1[split][mode]:6.2f}"
        )
    seconds = spread_of([run.seconds for run in summary.runs])
    lines.append(
        f"  training took {seconds.mean:,.0f} s a seed ({seconds.min:,.0f} to {seconds.max:,.0f})"
    )
    return "\n".join(lines)

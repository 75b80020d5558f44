"""What an experiment is, and how it runs: trial by trial, each kept as it ends, to go on from.

An experiment's results are one JSON file, a list of records: a trial's key, which says all that
its outcome hangs on, and its `result`.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tagbelt.errors import ConfigError, InputError
from tagbelt.model.config import CELLS

Key = dict[str, Any]
Record = dict[str, Any]
"""A key with `result`, a table of what was found."""
Tell = Callable[[str], None]

VARIANTS: dict[str, dict[str, Any]] = {
    **{cell: {"cell": cell} for cell in CELLS},
    "lstm b_f=0": {"cell": "lstm", "forget_bias": 0.0},
    "lstm b_f=5": {"cell": "lstm", "forget_bias": 5.0},
    "lstm f=1": {"cell": "lstm", "forget_bias": 40.0},
    "peephole: input": {"cell": "lstm-peephole", "peephole": ("input",)},
    "peephole: forget": {"cell": "lstm-peephole", "peephole": ("forget",)},
    "peephole: output": {"cell": "lstm-peephole", "peephole": ("output",)},
}
"""Settings of an encoder by the names that experiments have for them. With a bias of 40 a forget
gate is 1 to the last bit of a float32, and its own gradient 0: it stays there."""


@dataclass(frozen=True)
class Trying:
    """What is asked of an experiment: how it is tried.

    `out` takes results and plots, `runs` the taggers that are trained for it; `cells` are names of
    cells; `data` holds the corpora.
    """

    out: Path
    runs: Path
    cells: tuple[str, ...] = CELLS
    seeds: int = 3
    quick: bool = False
    data: Path | None = None

    def variants(self, *names: str) -> list[str]:
        """Return those of the variants whose cells are asked for."""
        return [name for name in names if VARIANTS[name]["cell"] in self.cells]

    def corpus(self, name: str) -> Path:
        """Return the folder of a corpus. Raises ConfigError where there is none."""
        if self.data is None or not (self.data / name).is_dir():
            raise ConfigError(
                f"this experiment reads {name}/ in the directory that --data or TAGBELT_DATA"
                f" names; there is none in {self.data or 'none'}"
            )
        return self.data / name


class Records:
    """The records of one experiment, in a file that is written anew with each."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that holds something else."""
        self.path = path
        self._results: dict[str, Record] = {}
        if path.exists():
            try:
                for record in json.loads(path.read_text(encoding="utf-8")):
                    key = {name: value for name, value in record.items() if name != "result"}
                    self._results[_canonical(key)] = dict(record["result"])
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise ConfigError(f"{path}: no records of an experiment: {error}") from error

    def find(self, key: Key) -> dict[str, Any] | None:
        """Return the result of a trial, None if it has not run."""
        return self._results.get(_canonical(key))

    def add(self, key: Key, result: dict[str, Any]) -> None:
        """Keep a result; killed while it writes, the file stays what it was."""
        self._results[_canonical(key)] = result
        lines = ",\n".join(
            json.dumps({**json.loads(key), "result": found}, ensure_ascii=False)
            for key, found in self._results.items()
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".json.part")
        fresh.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        fresh.replace(self.path)


def _canonical(key: Key) -> str:
    return json.dumps(key, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Table:
    """Figures of an experiment as text: the names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return it as a table of Markdown."""
        lines = (self.columns, ("---",) * len(self.columns), *self.rows)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@dataclass(frozen=True)
class Experiment:
    """One claim put to the test.

    `trials` yields the keys to run, each after the one before has its record, so that it may ask
    how that ended. `run` runs one; `draw` draws the records, `tables` sums them up.
    """

    claim: str
    trials: Callable[[Trying, Records], Iterator[Key]]
    run: Callable[[Key, Trying, Tell], dict[str, Any]]
    draw: Callable[[Figure, Sequence[Record]], None]
    table: Callable[[Sequence[Record]], Table]
    size: tuple[float, float] = (8.0, 4.2)


def run_trials(
    name: str, experiment: Experiment, options: Trying, tell: Tell, ended: Tell
) -> list[Record]:
    """Run what has not run, keeping each result in `OUT/NAME.json`; return all records.

    `tell` hears how far a trial is, `ended` of each that is over.

    Raises:
        InputError: no trial is left of those that were asked for.
        ConfigError: a file of results that is none, or data that are not there.
    """
    records, found = Records(options.out / f"{name}.json"), []
    for number, key in enumerate(experiment.trials(options, records), start=1):
        result, words = records.find(key), f"{number}: {describe(key)}"
        if result is None:
            result = experiment.run(key, options, _prefixed(tell, words))
            records.add(key, result)
            ended(words)
        else:
            ended(f"{words}, done before")
        found.append({**key, "result": result})
    if not found:
        raise InputError(f"{name} has no trial with --cell {', '.join(options.cells)}")
    return found


def _prefixed(tell: Tell, words: str) -> Tell:
    return lambda text: tell(f"{words}: {text}")


def describe(key: Key) -> str:
    """Return a key in words."""
    return ", ".join(f"{name} {value}" for name, value in key.items())


def grouped(records: Sequence[Record], *names: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Return the results of all seeds by the members of their keys that are named, in order."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(tuple(record.get(name) for name in names), []).append(record["result"])
    return groups


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return mean and standard deviation over seeds as text, "0.93 ± 0.01"."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"


def extent(values: Sequence[float]) -> str:
    """Return median and extremes over seeds as text with two digits each, "0.021 (0.018-0.03)"."""
    ends = (min(values), statistics.median(values), max(values))
    low, middle, high = (f"{v:,.0f}" if 100 <= v < 1e6 else f"{v:.2g}" for v in ends)
    return f"{middle} ({low} to {high})"

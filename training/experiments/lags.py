"""Which lags a cell learns: `memory`, `timing`, and `carousel`, whose forget gate is held at 1."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Generator

from tagbelt.training.experiments.drawing import band, fields, legend
from tagbelt.training.experiments.gradients import norms_at_start, relative
from tagbelt.training.experiments.sequences import (
    CHECKED,
    TASKS,
    Effort,
    SequenceNetwork,
    SequenceTask,
    learn,
    sequence_network,
)
from tagbelt.training.experiments.trials import (
    VARIANTS,
    Experiment,
    Key,
    Record,
    Records,
    Table,
    Tell,
    Trying,
    extent,
    grouped,
)

LSTMS = ("lstm", "lstm b_f=0", "lstm b_f=5")


@dataclass(frozen=True)
class Ladder:
    """The lags of a task, and who climbs them: the next one only who solved the one before."""

    task: str
    lags: tuple[int, ...]
    hidden: int
    steps: int


MEMORY = {
    True: (
        Ladder("first", (1, 5, 10, 20, 50, 100, 200), 16, 1500),
        Ladder("adding", (50, 100, 200), 16, 1500),
        Ladder("order", (50, 100, 200), 16, 1500),
        Ladder("copy", (5, 20), 32, 2000),
    ),
    False: (
        Ladder("first", (1, 5, 10, 20, 50, 100, 200, 500), 32, 10_000),
        Ladder("adding", (50, 100, 200, 400), 32, 10_000),
        Ladder("order", (50, 100, 200, 400), 32, 10_000),
        Ladder("copy", (5, 20, 50, 100), 64, 10_000),
    ),
}
"""By whether it is the quick form."""
TIMING = {
    True: (Ladder("spikes", (10, 30, 50), 8, 2000),),
    False: (Ladder("spikes", (10, 30, 50, 100), 8, 20_000),),
}
MEMORISERS = ("rnn", *LSTMS, "lstm-peephole", "lstm-coupled", "gru", "mgu")
TIMERS = (
    *("lstm", "peephole: input", "peephole: forget", "peephole: output"),
    *("lstm-peephole", "gru", "rnn"),
)


def _climb(
    ladders: Sequence[Ladder], variants: Sequence[str], options: Trying, records: Records
) -> Iterator[Key]:
    for ladder in ladders:
        for variant in variants:
            for lag in ladder.lags:
                keys = [
                    {
                        "task": ladder.task,
                        "variant": variant,
                        "lag": lag,
                        "hidden": ladder.hidden,
                        "steps": ladder.steps,
                        "seed": seed,
                    }
                    for seed in range(1, options.seeds + 1)
                ]
                yield from keys
                ends = [records.find(key) for key in keys]
                if not any(end and end["is_solved"] for end in ends):
                    break


def _memory_trials(options: Trying, records: Records) -> Iterator[Key]:
    ladders = MEMORY[options.quick]
    yield from _climb(ladders, options.variants(*MEMORISERS), options, records)


def _timing_trials(options: Trying, records: Records) -> Iterator[Key]:
    yield from _climb(TIMING[options.quick], options.variants(*TIMERS), options, records)


def _learn(key: Key, _: Trying, tell: Tell) -> dict[str, Any]:
    task = TASKS[key["task"]]
    network = sequence_network(
        {**VARIANTS[key["variant"]], "hidden": key["hidden"]}, task, key["seed"]
    )
    effort = Effort(steps=key["steps"])
    return asdict(learn(network, task, key["lag"], key["seed"], effort, tell))


TITLES = {
    "first": "first: the first symbol decides",
    "adding": "adding: two marked numbers",
    "order": "order: two marked symbols",
    "copy": "copy: five symbols, said again",
    "spikes": "spikes: N - 1 or N steps apart?",
}


def _draw(figure: Figure, records: Sequence[Record]) -> None:
    """A field a variant and lag: how many seeds solved it, and after how many steps."""
    tasks = list(dict.fromkeys(record["task"] for record in records))
    wide = 2 if len(tasks) > 1 else 1
    grid = figure.subplots(-(-len(tasks) // wide), wide, squeeze=False).flatten()
    for axes, task in zip(grid, tasks, strict=False):
        found = grouped([r for r in records if r["task"] == task], "variant", "lag")
        shares, words = {}, {}
        for (variant, lag), results in found.items():
            steps = [result["steps"] for result in results if result["is_solved"]]
            shares[variant, str(lag)] = len(steps) / len(results)
            middle = f"\n{sorted(steps)[len(steps) // 2]:,}" if steps else ""
            words[variant, str(lag)] = f"{len(steps)}/{len(results)}{middle}"
        rows = list(dict.fromkeys(variant for variant, _ in found))
        columns = [str(lag) for lag in sorted({lag for _, lag in found})]
        fields(axes, rows, columns, shares, words)
        axes.set_title(TITLES[task], loc="left")
        axes.set_xlabel("steps apart" if task == "spikes" else "lag or length, steps")


def _table(records: Sequence[Record]) -> Table:
    """The longest lag that all seeds solved, the longest that any did, and the steps it took."""
    rows = []
    found = grouped(records, "task", "variant", "lag")
    for task, variant in dict.fromkeys((task, variant) for task, variant, _ in found):
        lags = {lag: results for (t, v, lag), results in found.items() if (t, v) == (task, variant)}
        solved = {
            lag: [r["steps"] for r in results if r["is_solved"]] for lag, results in lags.items()
        }
        by_all = [lag for lag, steps in solved.items() if len(steps) == len(lags[lag])]
        by_any = [lag for lag, steps in solved.items() if steps]
        effort = extent(solved[max(by_all)]) if by_all else "-"
        longest = (str(max(lags)) if lags else "none" for lags in (by_all, by_any))
        rows.append((task, variant, *longest, effort))
    columns = ("task", "cell", "solved by all seeds up to", "by any", "steps at the former")
    return Table(columns, tuple(rows))


# The carousel.
CAROUSELS = ("lstm", "lstm f=1")
CAROUSEL_LAGS = {"gradient": 200, "first": 50, "since": 100}
CAROUSEL_STEPS = {True: 1000, False: 10_000}
LONGER = 10
"""How many times as long the stream is in which a network has to go on."""


def _carousel_trials(options: Trying, _: Records) -> Iterator[Key]:
    steps = CAROUSEL_STEPS[options.quick]
    for task, lag in CAROUSEL_LAGS.items():
        for variant in options.variants(*CAROUSELS):
            for seed in range(1, options.seeds + 1):
                effort = {} if task == "gradient" else {"hidden": 16, "steps": steps}
                yield {"task": task, "variant": variant, "lag": lag, **effort, "seed": seed}


def _carousel(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    if key["task"] == "gradient":
        return {"norms": norms_at_start(key["variant"], key["lag"] + 1, key["seed"])}
    if key["task"] == "first":
        return _learn(key, options, tell)
    task, settings = TASKS["since"], {**VARIANTS[key["variant"]], "hidden": key["hidden"]}
    network = sequence_network(settings, task, key["seed"])
    effort = Effort(steps=key["steps"], goes_on=True)
    found = learn(network, task, key["lag"], key["seed"], effort, tell)
    return {**asdict(found), "over_time": _over_time(network, task, key)}


@torch.no_grad()
def _over_time(network: SequenceNetwork, task: SequenceTask, key: Key) -> list[float]:
    """The error in each tenth of a stream ten times as long as those of training."""
    stream = task.make(CHECKED, LONGER * key["lag"], Generator().manual_seed(10**6 + key["seed"]))
    errors = (network(stream) - stream.answers).square()
    return [float(f"{float(part.mean()):.4g}") for part in errors.chunk(LONGER)]


def _draw_carousel(figure: Figure, records: Sequence[Record]) -> None:
    left, right = figure.subplots(1, 2)
    for (variant,), results in grouped(
        [r for r in records if r["task"] == "gradient"], "variant"
    ).items():
        rows = [relative(result["norms"]) for result in results]
        band(left, variant, range(len(rows[0])), rows, every=25)
    left.set_yscale("log")
    left.set_ylim(1e-12, 100)
    left.set_xlabel("k, steps back")
    left.set_ylabel("gradient left, of that at k = 0")
    left.set_title("At the start", loc="left")
    of_stream = [r for r in records if r["task"] == "since"]
    for (variant,), results in grouped(of_stream, "variant").items():
        lag = of_stream[0]["lag"]
        ends = [lag * part for part in range(1, LONGER + 1)]
        band(right, variant, ends, [r["over_time"] for r in results])
    right.set_yscale("log")
    right.set_xlabel("steps read; training had 100")
    right.set_ylabel("mean square error")
    right.set_title("since: the sum since the last mark", loc="left")
    legend(figure, left)


def _carousel_table(records: Sequence[Record]) -> Table:
    rows = []
    for (variant,), of_variant in _by_variant(records).items():
        norms = [r["result"]["norms"] for r in of_variant if r["task"] == "gradient"]
        kept = [row[len(row) // 2] / row[0] for row in norms]
        first = [r["result"] for r in of_variant if r["task"] == "first"]
        stream = [r["result"]["over_time"] for r in of_variant if r["task"] == "since"]
        steps = [r["steps"] for r in first if r["is_solved"]]
        rows.append(
            (
                variant,
                extent(kept),
                f"{len(steps)}/{len(first)}",
                extent(steps) if steps else "-",
                extent([row[0] for row in stream]),
                extent([row[-1] for row in stream]),
            )
        )
    columns = (
        *("cell", "gradient left at k = 100", "first, lag 50", "steps"),
        *("since, error in steps 1 to 100", "in steps 901 to 1,000"),
    )
    return Table(columns, tuple(rows))


def _by_variant(records: Sequence[Record]) -> dict[tuple[str], list[Record]]:
    found: dict[tuple[str], list[Record]] = {}
    for record in records:
        found.setdefault((record["variant"],), []).append(record)
    return found


memory = Experiment(
    "An LSTM bridges long lags that a plain RNN does not.",
    _memory_trials,
    _learn,
    _draw,
    _table,
    (11.0, 8.4),
)
timing = Experiment(
    "Peepholes let gates time things.", _timing_trials, _learn, _draw, _table, (6.4, 4.2)
)
carousel = Experiment(
    "A forget gate of 1 lets the gradient pass as it is.",
    _carousel_trials,
    _carousel,
    _draw_carousel,
    _carousel_table,
    (9.6, 4.0),
)

"""`rates`: does the learning rate need tuning? Four decades of it, on text and on a memory task."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tagbelt.model.config import CELLS
from tagbelt.training.config import RunConfig
from tagbelt.training.events import Epoch
from tagbelt.training.experiments.drawing import band, legend
from tagbelt.training.experiments.sequences import TASKS, Effort, learn, sequence_network
from tagbelt.training.experiments.taggers import Size, tagger_config
from tagbelt.training.experiments.trials import (
    VARIANTS,
    Experiment,
    Key,
    Record,
    Records,
    Table,
    Tell,
    Trying,
    grouped,
    spread,
)
from tagbelt.training.run.prepare import prepare

RATES = (0.0001, 0.001, 0.01, 0.1, 1.0)
SIZES = {True: Size(200, 200, 3), False: Size(None, 3000, 5)}
LAG = 10
STEPS = {True: 200, False: 4000}
TITLES = {
    ("text", "adam"): "NER, Adam",
    ("first", "adam"): "first, lag 10, Adam",
    ("first", "sgd"): "first, lag 10, plain SGD",
}


def _trials(options: Trying, _: Records) -> Iterator[Key]:
    for task, optimiser in TITLES:
        if task == "text" and options.data is None:
            continue
        for cell in options.variants(*CELLS):
            for rate in RATES:
                for seed in range(1, options.seeds + 1):
                    names = {"task": task, "optimiser": optimiser, "variant": cell, "rate": rate}
                    yield {**names, "quick": options.quick, "seed": seed}


def _run(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    settings, seed = VARIANTS[key["variant"]], key["seed"]
    if key["task"] == "text":
        size, optimiser = SIZES[options.quick], {"learning_rate": key["rate"]}
        config = tagger_config(options, "conll2003", settings, seed, size, optimiser=optimiser)
        return {"score": best_f1(config, tell)}
    task = TASKS["first"]
    network = sequence_network({**settings, "hidden": 16}, task, seed)
    effort = Effort(
        steps=STEPS[options.quick], learning_rate=key["rate"], optimiser=key["optimiser"]
    )
    found = asdict(learn(network, task, LAG, seed, effort, tell))
    return {"score": found["score"], **found}


def best_f1(config: RunConfig, tell: Tell) -> float:
    """Return the best F1 on dev of a run that leaves nothing behind; 0 if its loss explodes."""
    run, best = prepare(config, Path()), 0.0
    try:
        for event in run.trainer.run():
            if isinstance(event, Epoch):
                best = max(best, event.dev.f1)
                tell(f"epoch {event.epoch}, dev F1 {event.dev.f1:.3f}")
    except FloatingPointError:
        return 0.0
    return round(best, 4)


def _draw(figure: Figure, records: Sequence[Record]) -> None:
    found = grouped(records, "task", "optimiser", "variant", "rate")
    kinds = list(dict.fromkeys((task, optimiser) for task, optimiser, _, _ in found))
    grid = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, kind in zip(grid, kinds, strict=True):
        for variant in dict.fromkeys(key[2] for key in found):
            rates = [key[3] for key in found if key[:3] == (*kind, variant)]
            columns = [[r["score"] for r in found[(*kind, variant, rate)]] for rate in rates]
            if rates:
                band(axes, variant, rates, list(zip(*columns, strict=True)))
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("F1 on dev" if kind[0] == "text" else "right answers")
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(TITLES[kind], loc="left")
    legend(figure, grid)


def _table(records: Sequence[Record]) -> Table:
    found = grouped(records, "task", "optimiser", "variant", "rate")
    rates = list(dict.fromkeys(key[3] for key in found))
    rows = [
        (
            TITLES[task, optimiser],
            variant,
            *(
                spread([r["score"] for r in found[task, optimiser, variant, rate]])
                for rate in rates
            ),
        )
        for task, optimiser, variant in dict.fromkeys(key[:3] for key in found)
    ]
    return Table(("task", "cell", *(f"rate {rate:g}" for rate in rates)), tuple(rows))


rates = Experiment(
    "The learning rate needs no fine tuning.", _trials, _run, _draw, _table, (12.0, 4.0)
)

"""The experiments by their names, and what `tagbelt experiment` does with one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagbelt.errors import InputError
from tagbelt.model.config import CELLS
from tagbelt.training.experiments import cost, gradients, inside, lags, rates
from tagbelt.training.experiments.drawing import figure_of, save, style
from tagbelt.training.experiments.trials import Experiment, Table, Tell, Trying, run_trials

EXPERIMENTS: Mapping[str, Experiment] = {
    "gradients": gradients.gradients,
    "carousel": lags.carousel,
    "explosion": gradients.explosion,
    "memory": lags.memory,
    "timing": lags.timing,
    "cost": cost.cost,
    "exposure": inside.exposure,
    "rates": rates.rates,
    "keeping": inside.keeping,
    "attention": inside.attention,
}


@dataclass(frozen=True)
class Done:
    """What an experiment has found, and where its results and its plot are."""

    claim: str
    table: Table
    results: Path
    plot: Path


def experiment(name: str, options: Trying, tell: Tell, ended: Tell) -> Done:
    """Run what is left of an experiment, then draw all of it; see `run_trials`.

    Raises:
        InputError: no such experiment or cell; the message lists those that there are.
        ConfigError: see `run_trials`.
    """
    chosen = EXPERIMENTS.get(name)
    if chosen is None:
        raise InputError(f"there is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    for cell in options.cells:
        if cell not in CELLS:
            raise InputError(f"there is no cell {cell!r}; there are {', '.join(CELLS)}")
    records = run_trials(name, chosen, options, tell, ended)
    plot = options.out / f"{name}.svg"
    with style():
        figure = figure_of(chosen.size)
        chosen.draw(figure, records)
        save(figure, plot)
    return Done(chosen.claim, chosen.table(records), options.out / f"{name}.json", plot)

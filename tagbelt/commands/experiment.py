"""`tagbelt experiment`: what is claimed of the cells, put to the test."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told
from tagbelt.model.config import CELLS

RUNS = Path("runs/experiments")

Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", help="A cell to try; repeatable. All cells unless given."),
]
DataPath = Annotated[
    Path | None,
    typer.Option(
        help="Directory with conll2003/ and cluener/, for experiments on text; TAGBELT_DATA unless "
        "given."
    ),
]


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="gradients, carousel, explosion, memory, timing, cost, exposure, rates, keeping "
            "or attention."
        ),
    ],
    cell: Cells = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each figure.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="In minutes: smaller, shorter, less data.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Where NAME.json, the results, and NAME.svg, the plot, go.")
    ] = RUNS,
    runs: Annotated[
        Path, typer.Option(help="Where taggers go that are trained for an experiment.")
    ] = RUNS,
    data: DataPath = None,
) -> None:
    """Try what is claimed of recurrent cells, with the cells that train here.

    Stopped, the same command goes on: trials that have a result are not run again.
    """
    with told("experiment", if_stopped="the same command goes on"):
        import torch
        from rich.console import Console
        from rich.markup import escape

        from tagbelt.training.experiments.table import experiment
        from tagbelt.training.experiments.trials import Trying
        from tagbelt.training.run.train import torch_threads

        torch.set_num_threads(torch_threads(None))
        given = os.environ.get("TAGBELT_DATA")
        corpora = data or (Path(given) if given else None)
        options = Trying(out, runs, tuple(cell) if cell else CELLS, seeds, quick, corpora)
        console = Console(stderr=True, highlight=False)
        with console.status("") as status:
            done = experiment(
                name,
                options,
                tell=status.update,
                ended=lambda text: console.print(escape(text), soft_wrap=True),
            )
        typer.echo(f"{done.claim}\n\n{done.table.markdown()}\n")
        typer.echo(f"results: {done.results}\nplot: {done.plot}", err=True)

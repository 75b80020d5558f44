"""`tagbelt compare`: is one model better than another, or was it chance?"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told
from tagbelt.commands.options import (
    Chosen,
    Columns,
    Precision,
    Repair,
    Separator,
    TagScheme,
    TagStyleOption,
    Threads,
)
from tagbelt.data.conll.styles import TagStyle


class ComparedSplit(StrEnum):
    """The files of a run that two models can be compared on."""

    dev = "dev"
    test = "test"


Compared = "a run, a checkpoint, or a directory of seeds"
Samples = Annotated[int, typer.Option(min=1, help="How many samples the bootstrap draws.")]
GoldFile = Annotated[
    Path | None, typer.Option("--file", help="Compare on this CoNLL file, not on a split.")
]


def command(
    run_a: Annotated[Path, typer.Argument(help=f"The one: {Compared}.")],
    run_b: Annotated[Path, typer.Argument(help=f"The other: {Compared}.")],
    split: Annotated[ComparedSplit, typer.Option(help="Which files of the runs to compare on.")] = (
        ComparedSplit.test
    ),
    samples: Samples = 10_000,
    file: GoldFile = None,
    columns: Columns = None,
    separator: Separator = "whitespace",
    scheme: TagScheme = None,
    repair: Repair = False,
    tag_style: TagStyleOption = TagStyle.HYPHEN,
    precision: Chosen = Precision.auto,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Compare two models on the same sentences, with a paired bootstrap over them.

    Of two directories of seeds the means are compared, with a test over the seeds as well.
    """
    with told("compare"):
        from tagbelt.training.config import layout_of_options
        from tagbelt.training.scores.compare import compare, open_runs, render, shared_gold

        a, b = open_runs(run_a), open_runs(run_b)
        if file is None:
            gold = shared_gold(a, b, split.value)
        else:
            names = columns.split(",") if columns else None
            layout = layout_of_options(names, separator, scheme, repair=repair, tag_style=tag_style)
            gold = layout.read(file).sentences
        found = compare(
            a,
            b,
            gold,
            str(file or split.value),
            samples=samples,
            precision=precision.value,
            threads=threads,
        )
        typer.echo(
            json.dumps(found.as_json(), indent=1) if as_json else render(found, run_a, run_b)
        )

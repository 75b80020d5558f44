"""`tagbelt evaluate`: the scores of a checkpoint on an annotated file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from tagbelt.errors import InputError

if TYPE_CHECKING:
    from tagbelt.training.scores.evaluate import Scores


def command(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint or a training run.")],
    file: Annotated[Path, typer.Argument(help="A CoNLL file with gold tags.")],
    columns: Columns = None,
    separator: Separator = "whitespace",
    scheme: TagScheme = None,
    repair: Repair = False,
    tag_style: TagStyleOption = TagStyle.HYPHEN,
    annotates: Annotated[
        str | None,
        typer.Option(
            help="The types that the file speaks of, such as PER,ORG, where the checkpoint has "
            "others as well; those are not counted."
        ),
    ] = None,
    precision: Chosen = Precision.auto,
    threads: Threads = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OTHER=ITS",
            help="Read a label of the file as one of the model; OTHER= leaves it out; repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the scores as JSON.")] = False,
) -> None:
    """Score a checkpoint on an annotated file, with seqeval in strict and default mode."""
    with told("evaluate"):
        from tagbelt.training.scores.evaluate import evaluate, render

        scores = evaluate(
            checkpoint,
            file,
            columns=columns.split(",") if columns else None,
            separator=separator,
            scheme=scheme,
            repair=repair,
            tag_style=tag_style,
            annotates=annotates.split(",") if annotates else None,
            precision=precision.value,
            threads=threads,
            labels=_renaming(label or []),
            tell=lambda message: typer.echo(f"tagbelt evaluate: warning: {message}", err=True),
        )
        typer.echo(json.dumps(scores, indent=1) if as_json else f"{render(scores)}{_offer(scores)}")


def _offer(scores: "Scores") -> str:
    """Say what training would gain most by."""
    from tagbelt.training.run.closing import most_missed

    types = scores["strict"]["types"]
    if not types or scores["strict"]["micro"]["f1"] == 1.0:
        return ""
    label = most_missed(types)
    f1 = 100 * types[label]["f1"]
    return f"\nMore training sentences with {label} would help most here (its F1 is {f1:.2f})."


def _renaming(given: list[str]) -> dict[str, str]:
    """Read --label."""
    pairs = [item.partition("=") for item in given]
    wrong = next(("".join(p) for p in pairs if not (p[0] and p[1])), None)
    if wrong is not None:
        raise InputError(f"--label {wrong}: say OTHER=ITS")
    return {old: new for old, _, new in pairs}

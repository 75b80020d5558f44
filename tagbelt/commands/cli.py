"""The `tagbelt` command. Each subcommand imports what it needs, so that all start fast."""

import io
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.bundled import default_model
from tagbelt.commands.compare import command as compare_command
from tagbelt.commands.data import app as data_app
from tagbelt.commands.failures import told
from tagbelt.commands.keys import app as keys_app
from tagbelt.commands.options import (
    Chosen,
    Columns,
    Precision,
    Repair,
    Separator,
    TagScheme,
    Threads,
)
from tagbelt.commands.report import report_command
from tagbelt.commands.serve import command as serve_command
from tagbelt.training.run.script import command as train_command

app = typer.Typer(
    help="Named-entity recognition: train on CoNLL data, tag text, serve over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Source(StrEnum):
    """What `tagbelt tag` reads."""

    text = "text"
    conll = "conll"
    jsonl = "jsonl"


class Target(StrEnum):
    """What `tagbelt tag` writes."""

    view = "view"
    conll = "conll"
    jsonl = "jsonl"


app.command("train")(train_command)
app.command("compare")(compare_command)
app.command("report")(report_command)
app.command("serve")(serve_command)
app.add_typer(keys_app, name="keys")
app.add_typer(data_app, name="data")


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint directory.")],
    file: Annotated[Path, typer.Argument(help="A CoNLL file with gold tags.")],
    columns: Columns = None,
    separator: Separator = "whitespace",
    scheme: TagScheme = None,
    repair: Repair = False,
    precision: Chosen = Precision.auto,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the scores as JSON.")] = False,
) -> None:
    """Score a checkpoint on an annotated file, with seqeval in strict and default mode."""
    with told("evaluate"):
        from tagbelt.training.scores.evaluate import evaluate_file, render

        scores = evaluate_file(
            checkpoint,
            file,
            columns=columns.split(",") if columns else None,
            separator=separator,
            scheme=scheme,
            repair=repair,
            precision=precision.value,
            threads=threads,
        )
        typer.echo(json.dumps(scores, indent=1) if as_json else render(scores))


@app.command()
def tag(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files to read; - or none is standard input.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="A checkpoint directory; the bundled English model unless given.",
        ),
    ] = None,
    source: Annotated[
        Source | None,
        typer.Option("--from", help="What to read; by the file's suffix, or text, unless given."),
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option("--to", help="What to write; view on a terminal and jsonl elsewhere."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read a text file as one text, not each line as one.")
    ] = False,
    field: Annotated[str, typer.Option(help="Where the text is in a JSON line.")] = "text",
    columns: Columns = None,
    separator: Separator = "whitespace",
    precision: Chosen = Precision.auto,
    threads: Threads = None,
) -> None:
    """Tag text, CoNLL files or JSON lines.

    A line that can't be read is told on standard error and all others are tagged; the exit code
    is 1 then.
    """
    with told("tag"):
        from tagbelt.commands.tag import TagOptions, tag_files

        shown = target or (Target.view if sys.stdout.isatty() else Target.jsonl)
        options = TagOptions(
            model=model or default_model(),
            source=source.value if source else None,
            target=shown.value,
            whole=whole,
            field=field,
            columns=tuple(columns.split(",")) if columns else None,
            separator=separator,
            precision=precision.value,
            threads=threads,
        )
        bad = tag_files(files or [Path("-")], options, sys.stdout, typer.get_text_stream("stderr"))
        raise typer.Exit(1 if bad else 0)


def main() -> None:
    """Run the command. What it writes is UTF-8, also where the platform's pipes are not."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    app()

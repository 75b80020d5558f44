"""The `tagbelt` command. Each subcommand imports what it needs, so that all start fast."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tagbelt.models import default_model, default_models
from training.script import command as train_command
from training.script import is_training_package, setup_hint

app = typer.Typer(
    help="Named-entity recognition: train on CoNLL data, tag text, serve over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Precision(StrEnum):
    """Which graph of a checkpoint runs."""

    auto = "auto"
    float32 = "float32"
    int8 = "int8"


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


Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads; all the cores the process may use unless given.")
]
Chosen = Annotated[
    Precision,
    typer.Option(help="Which graph runs; auto is the one that the checkpoint was found to serve."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Names of a CoNLL file's columns, such as token,pos,chunk,tag. "
        "Unless given, tokens stand first and tags last."
    ),
]
Separator = Annotated[
    str, typer.Option(help="What separates columns: whitespace, tab or space.", show_default=True)
]


app.command("train")(train_command)


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint directory.")],
    file: Annotated[Path, typer.Argument(help="A CoNLL file with gold tags.")],
    columns: Columns = None,
    separator: Separator = "whitespace",
    scheme: Annotated[
        str | None, typer.Option(help="Tag scheme; recognised from the tags unless given.")
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Read invalid tags as conlleval does, not as an error."),
    ] = False,
    precision: Chosen = Precision.auto,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the scores as JSON.")] = False,
) -> None:
    """Score a checkpoint on an annotated file, with seqeval in strict and default mode."""
    with _errors("evaluate"):
        from training.evaluate import evaluate_file, render

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
    with _errors("tag"):
        from tagbelt.tagging import TagOptions, tag_files

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


@app.command()
def serve(
    models: Annotated[
        Path | None,
        typer.Argument(help="A checkpoint or a directory of them; the bundled ones unless given."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000 unless given.")] = None,
    threads: Threads = None,
) -> None:
    """Serve models over HTTP, with a page to try them on; TAGBELT_* variables set the rest."""
    with _errors("serve"):
        from service.server import run
        from service.settings import load_settings

        settings = load_settings(host=host, port=port, threads=threads)
        run(settings, models or default_models(), say=lambda text: typer.echo(text, err=True))


@contextmanager
def _errors(command: str) -> Iterator[None]:
    """Show what a person can mend as one message; anything else keeps its traceback."""
    try:
        yield
    except KeyboardInterrupt:
        _fail(f"tagbelt {command}: stopped", code=130)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does: nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except ModuleNotFoundError as error:
        if is_training_package(error):
            _fail(f"tagbelt {command}: {setup_hint(error)}")
        raise
    except Exception as error:
        if isinstance(error, expected_errors()):
            _fail(f"tagbelt {command}: {error}")
        raise


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors that speak of the user's input rather than of our code."""
    from data.artifact import CheckpointError
    from data.conll import ConllError
    from tagbelt.models import ModelNotFoundError

    found: list[type[Exception]] = [CheckpointError, ConllError, ModelNotFoundError]
    modules: dict[str, Any] = sys.modules
    for module, name in (
        ("training.config", "ConfigError"),
        ("service.settings", "SettingsError"),
        ("tagbelt.tagging", "InputError"),
    ):
        if module in modules:
            found.append(getattr(modules[module], name))
    return (*found, FileNotFoundError, IsADirectoryError, PermissionError)


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def main() -> None:
    """Run the command. What it writes is UTF-8, also where the platform's pipes are not."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    app()

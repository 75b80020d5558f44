"""`tagbelt data`: look at annotated files, convert, split and fetch them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.schemes import Scheme
from tagbelt.failures import told

if TYPE_CHECKING:
    from data.loose import Annotated as AnnotatedFile

app = typer.Typer(
    help="Check, count, convert, split and fetch annotated files.", no_args_is_help=True
)

Files = Annotated[list[Path], typer.Argument(help="CoNLL files; the first is the one to train on.")]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Names of the columns, such as token,pos,chunk,tag. "
        "Unless given, tokens stand first and tags last."
    ),
]
Separator = Annotated[
    str,
    typer.Option(
        help="What separates columns: whitespace, tab, space, or guess: a tab if all rows have "
        "the same number of them, else white space."
    ),
]
TagScheme = Annotated[
    Scheme | None, typer.Option(help="Tag scheme; recognised from the tags unless given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def check(
    files: Files,
    columns: Columns = None,
    separator: Separator = "guess",
    scheme: TagScheme = None,
    rare: Annotated[
        int, typer.Option(min=0, help="Labels with fewer entities in the first file are told.")
    ] = 50,
    long: Annotated[int, typer.Option(min=1, help="Sentences of more tokens are told.")] = 256,
    examples: Annotated[
        int, typer.Option(min=0, help="How many places are shown of each kind of finding.")
    ] = 5,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong or odd in files and between them; the exit code is 1 for errors."""
    with told("data check"):
        from data.checking.check import check_files
        from data.checking.within import Limits
        from tagbelt.data_reports import check_report

        checked = check_files(
            files,
            columns=_columns(columns),
            separator=_separator(separator),
            scheme=scheme,
            limits=Limits(long=long, rare=rare),
            shown=examples,
        )
        _show(checked.as_json() if as_json else check_report(checked))
        raise typer.Exit(1 if checked.failed(strict=strict) else 0)


@app.command()
def stats(
    files: Files,
    columns: Columns = None,
    separator: Separator = "guess",
    scheme: TagScheme = None,
    as_json: AsJson = False,
) -> None:
    """Count sentences, tokens and entities, and what later files have that earlier have not."""
    with told("data stats"):
        from data.statistics import describe_files
        from tagbelt.data_reports import stats_report

        described = describe_files([_read(path, columns, separator, scheme) for path in files])
        _show([d.as_json() for d in described] if as_json else stats_report(described))


def _read(
    path: Path, columns: str | None, separator: str, scheme: Scheme | None
) -> "AnnotatedFile":
    """Read a file. Raises ConllError if its table or its scheme is not clear."""
    from data.loose import ConllError, annotate, read_loosely

    loose = read_loosely(path, columns=_columns(columns), separator=_separator(separator))
    file = annotate(loose, scheme)
    for fault in (*loose.rows, *([file.doubt] if file.doubt else ())):
        raise ConllError(loose.path, fault.line, fault.message)
    return file


def _columns(names: str | None) -> list[str] | None:
    from data.problems import DataError

    if names is None:
        return None
    listed = names.split(",")
    if listed.count("token") != 1 or listed.count("tag") != 1:
        raise DataError(f"--columns names token once and tag once, not {names!r}")
    return listed


def _separator(name: str) -> str | None:
    from data.problems import DataError

    known = {"guess": "guess", "whitespace": None, "tab": "\t", "space": " "}
    if name not in known:
        raise DataError(f"--separator is one of {', '.join(known)}, not {name!r}")
    return known[name]


def _show(result: object) -> None:
    typer.echo(
        result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, indent=1)
    )

"""`tagbelt data`: look at annotated files, convert, split and fetch them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told
from tagbelt.commands.options import Columns, TagScheme, TagStyleOption
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.formats.record import Format

app = typer.Typer(
    help="Check, count, convert, split and fetch annotated files.", no_args_is_help=True
)

Files = Annotated[list[Path], typer.Argument(help="CoNLL files; the first is the one to train on.")]
GuessedSeparator = Annotated[
    str,
    typer.Option(
        help="What separates columns: whitespace, tab, space, or guess: a tab if all rows have "
        "the same number of them, else white space."
    ),
]
Examples = Annotated[
    int, typer.Option("--examples", min=0, help="How many places are shown of each kind.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


class OffsetUnits(StrEnum):
    """The members of `tagbelt.data.types.OffsetUnit`."""

    codepoint = "codepoint"
    utf16 = "utf16"
    utf8 = "utf8"


class Alignment(StrEnum):
    """The members of `tagbelt.data.formats.align.Alignment`."""

    strict = "strict"
    contract = "contract"
    expand = "expand"


class Tokenizing(StrEnum):
    """How texts without tokens are cut into tokens."""

    word = "word"
    character = "character"
    whitespace = "whitespace"


@app.command()
def check(
    files: Files,
    columns: Columns = None,
    separator: GuessedSeparator = "guess",
    scheme: TagScheme = None,
    tag_style: TagStyleOption = TagStyle.HYPHEN,
    rare: Annotated[
        int, typer.Option(min=0, help="Labels with fewer entities in the first file are told.")
    ] = 50,
    long: Annotated[int, typer.Option(min=1, help="Sentences of more tokens are told.")] = 256,
    examples: Examples = 5,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong or odd in files and between them; the exit code is 1 for errors."""
    with told("data check"):
        from tagbelt.commands.data_options import column_names, separator_of, tag_scheme
        from tagbelt.commands.data_reports import check_report
        from tagbelt.data.checking.check import CheckLimits, check_files

        checked = check_files(
            files,
            columns=column_names(columns),
            separator=separator_of(separator),
            scheme=tag_scheme(scheme),
            tag_style=tag_style,
            limits=CheckLimits(long=long, rare=rare),
            max_examples=examples,
        )
        _show(checked.as_json() if as_json else check_report(checked))
        raise typer.Exit(1 if checked.failed(strict=strict) else 0)


@app.command()
def stats(
    files: Files,
    columns: Columns = None,
    separator: GuessedSeparator = "guess",
    scheme: TagScheme = None,
    tag_style: TagStyleOption = TagStyle.HYPHEN,
    as_json: AsJson = False,
) -> None:
    """Count sentences, tokens and entities, and what later files have that earlier have not."""
    with told("data stats"):
        from tagbelt.commands.data_options import read_file
        from tagbelt.commands.data_reports import stats_report
        from tagbelt.data.checking.statistics import describe_files

        described = describe_files(
            [read_file(path, columns, separator, scheme, tag_style) for path in files]
        )
        _show([d.as_json() for d in described] if as_json else stats_report(described))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="What to read; for brat a folder.")],
    target: Annotated[Path, typer.Argument(help="What to write; for brat a new folder.")],
    source_format: Annotated[
        Format | None, typer.Option("--from", help="Format of the source; else by its suffix.")
    ] = None,
    target_format: Annotated[
        Format | None, typer.Option("--to", help="Format of the target; else by its suffix.")
    ] = None,
    columns: Columns = None,
    separator: GuessedSeparator = "guess",
    scheme: TagScheme = None,
    tag_style: TagStyleOption = TagStyle.HYPHEN,
    to_columns: Annotated[
        str | None, typer.Option(help="Which of --columns to write, in this order; else all.")
    ] = None,
    to_separator: Annotated[
        str, typer.Option(help="What separates the columns that are written: tab or space.")
    ] = "tab",
    to_scheme: Annotated[str, typer.Option(help="Tag scheme to write.")] = "IOB2",
    field: Annotated[str, typer.Option(help="Where the text is in JSON.")] = "text",
    offset_unit: Annotated[
        OffsetUnits | None,
        typer.Option(help="What the source's offsets count; Doccano's UTF-16, else code points."),
    ] = None,
    to_offset_unit: Annotated[
        OffsetUnits | None, typer.Option(help="What the target's offsets count; as above.")
    ] = None,
    tokens: Annotated[
        Tokenizing, typer.Option(help="How texts that come without tokens are cut into them.")
    ] = Tokenizing.word,
    align: Annotated[
        Alignment,
        typer.Option(
            help="What a span becomes that begins or ends inside a token: strict: none, which is "
            "told; contract: that of the tokens within it; expand: of all that it touches."
        ),
    ] = Alignment.strict,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="The spans of JSON lines are all that was looked at: what lies outside of them is "
            "unlabelled, and those of a line whose answer is reject are not of their type.",
        ),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read invalid tags as conlleval does.")
    ] = False,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Write though something cannot be carried over.")
    ] = False,
    examples: Examples = 10,
) -> None:
    """Convert between CoNLL rows, Doccano, Label Studio, Prodigy or spaCy, and brat.

    spaCy's .spacy files and Kaggle's CSV are read.

    Texts that nobody annotated are left out and told. Spans that fit no tokens, overlap or cannot
    be written are told with their places; unless --allow-loss is given nothing is written then,
    and the exit code is 1.
    """
    with told("data convert"):
        from tagbelt.commands.data_options import (
            column_names,
            kept_columns,
            refuse_source,
            separator_of,
            tag_scheme,
            written_separator,
        )
        from tagbelt.commands.data_reports import losses_report
        from tagbelt.data.conll.schemes import Scheme
        from tagbelt.data.formats.convert import (
            SourceOptions,
            TargetOptions,
            convert,
            guess_source,
            guess_target,
            save,
        )

        reading = SourceOptions(
            columns=column_names(columns),
            separator=separator_of(separator),
            scheme=tag_scheme(scheme),
            tag_style=tag_style,
            repair=repair,
            field=field,
            unit=offset_unit.value if offset_unit else None,
            tokenizing=tokens.value,
            align=align.value,
            partial=partial,
        )
        writing = TargetOptions(
            scheme=tag_scheme(to_scheme) or Scheme.IOB2,
            separator=written_separator(to_separator),
            keep=kept_columns(columns, to_columns),
            unit=to_offset_unit.value if to_offset_unit else None,
        )
        refuse_source(target, source)
        read_as = source_format or guess_source(source)
        write_as = target_format or guess_target(target)
        converted = convert(source, read_as, write_as, reading, writing, max_examples=examples)
        losses = converted.losses
        if losses.counts:
            typer.echo(losses_report(losses), err=True)
        if losses.lost and not allow_loss:
            typer.echo("Nothing was written; --allow-loss writes all else.", err=True)
            raise typer.Exit(1)
        save(converted, target, writing)
        told_losses = f", not carried over: {losses.lost}" if losses.lost else ""
        if losses.left_out:
            told_losses += f", texts left out that nobody annotated: {losses.left_out}"
        typer.echo(
            f"{target}: {converted.texts} texts or sentences, {converted.entities} entities"
            f"{told_losses}"
        )


@app.command()
def split(
    file: Annotated[Path, typer.Argument(help="A CoNLL file.")],
    out: Annotated[Path, typer.Option(help="The folder to write to; made if there is none.")],
    parts: Annotated[str, typer.Option(help="Shares of the sentences.")] = "0.8,0.1,0.1",
    names: Annotated[
        str | None,
        typer.Option(help="Names of the parts; train,dev,test or train,test unless given."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed splits otherwise.")] = 1,
    columns: Columns = None,
    separator: GuessedSeparator = "guess",
) -> None:
    """Split a file by document (-DOCSTART- rows, `# newdoc`), else by sentence.

    The same seed splits the same way everywhere. Lines stay as they are. A sentence that occurs
    more than once goes to one part, as far as documents allow; how many do not is told.
    """
    with told("data split"):
        from tagbelt.commands.data_options import (
            column_names,
            part_names,
            refuse_existing,
            separator_of,
            shares_of,
        )
        from tagbelt.data.conll.reading import read_tolerantly
        from tagbelt.data.conll.splitting import piece_text, split_file

        shares = shares_of(parts)
        titles = part_names(names, len(shares))
        raw = read_tolerantly(
            file, columns=column_names(columns), separator=separator_of(separator)
        )
        done = split_file(raw, shares, seed)
        out.mkdir(parents=True, exist_ok=True)
        suffix = Path(file.name.removesuffix(".gz")).suffix
        targets = [out / f"{title}{suffix}" for title in titles]
        refuse_existing(targets)
        for target, pieces, repeated in zip(targets, done.parts, done.repeated, strict=True):
            target.write_bytes(piece_text(raw, pieces).encode("utf-8"))
            sentences = sum(len(piece.sentences) for piece in pieces)
            documents = f"{len(pieces)} documents, " if done.by_document else ""
            also = f", {repeated} of them in an earlier part too" if repeated else ""
            typer.echo(f"{target}: {documents}{sentences} sentences{also}")


@app.command()
def get(
    name: Annotated[
        str | None, typer.Argument(help="A set of the catalogue; none lists them all.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder to write to; ./NAME unless given.")
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--from", help="A folder or an address that has the files as NAME/FILE."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="The licence is known and agreed to: do not ask.")
    ] = False,
    catalogue: Annotated[
        Path | None, typer.Option(help="Another catalogue than Tagbelt's own.")
    ] = None,
) -> None:
    """Fetch a data set of the catalogue, after its licence was shown; each file is checked."""
    with told("data get"):
        from tagbelt.commands.data_options import mirror_of
        from tagbelt.commands.data_reports import catalogue_report, entry_report, show_progress
        from tagbelt.data.catalogue.entries import OWN, file_source, find_entry, read_catalogue
        from tagbelt.data.download import fetch_file

        known = read_catalogue(catalogue or OWN)
        if name is None:
            typer.echo(catalogue_report(known))
            return
        entry = find_entry(known, name)
        typer.echo(entry_report(name, entry), err=True)
        if not yes:
            typer.confirm("Fetch it under this licence?", abort=True, err=True)
        for file in entry.files:
            source, target = (
                file_source(file, name, mirror_of(mirror)),
                (to or Path(name)) / file.name,
            )
            fetched = fetch_file(
                source, target, sha256=file.sha256, size=file.size, progress=show_progress
            )
            done = "fetched" if fetched else "there already"
            typer.echo(f"{target}: {done}, {file.size} bytes, checked")


def _show(result: object) -> None:
    typer.echo(
        result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, indent=1)
    )

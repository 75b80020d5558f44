"""Read CoNLL files: one token a row, a blank line behind each sentence, the tag in a column.

There is one reader. `read_tolerantly` and `annotate` list every fault of a file, for tools that
check or rewrite files. `read_conll` is strict: it refuses a file at its first fault. Nothing is
changed in a token, and every token of the file is in the result, or a fault names its line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from tagbelt.data.conll.detection import detect_scheme
from tagbelt.data.conll.partial import (
    is_partial,
    outside_of_partial,
    partial_fault,
    read_partial,
)
from tagbelt.data.conll.rows import (
    DOCSTART,
    Columns,
    RowLayout,
    Source,
    find_layout,
    read_lines,
    wrong_width,
)
from tagbelt.data.conll.schemes import (
    OUTSIDE,
    OnInvalid,
    Scheme,
    check_on_invalid,
    check_tag,
    parse_tags,
    whole_spans,
)
from tagbelt.data.conll.styles import TagStyle, restyled, style_hint
from tagbelt.data.types import Sentence, Separator, Span, Unit
from tagbelt.errors import ConllError, SchemeError

FIRST_AND_LAST: Mapping[str, int | str] = {"token": 0, "tag": -1}
"""The usual columns: tokens in the first, tags in the last."""

FaultKind = Literal["wrong-columns", "unknown-tag", "scheme", "invalid-transition"]

_HINTS: dict[FaultKind, str] = {
    "unknown-tag": "; correct it, or the columns, separator or scheme it is read with",
    "invalid-transition": '; correct it, or take it so (--repair, `on_invalid = "repair"`), or '
    'leave the entity out (`on_invalid = "drop"`)',
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a file: at `line`, from 1, or in all of it (`None`).

    `tag` is the tag in question, if there is one.
    """

    kind: FaultKind
    line: int | None
    message: str
    tag: str | None = None


@dataclass(slots=True)
class Block:
    """The rows of one sentence: its tokens, and its tags as they stand (none without tags).

    `line` is that of the first token. `skipped` are the lines in or right behind the sentence
    that hold none: comments and rows of another width.
    """

    line: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def lines(self) -> list[int]:
        """Return the line of each token."""
        lines = range(self.line, self.line + len(self.tokens) + len(self.skipped))
        if not self.skipped:
            return list(lines)
        skipped = frozenset(self.skipped)
        return [line for line in lines if line not in skipped]


@dataclass(slots=True)
class RawFile:
    """A file as it stands.

    `lines` are without their ends. `tag_names` are the distinct tags. `document_starts` has, for
    each -DOCSTART- row or `# newdoc`, the index of the block behind it. `comments` counts the rows
    that were skipped as comments, `faults` are rows of another width than the file's.
    """

    path: str
    lines: list[str]
    layout: RowLayout
    blocks: list[Block] = field(default_factory=list)
    tag_names: dict[str, str] = field(default_factory=dict)
    document_starts: list[int] = field(default_factory=list)
    comments: int = 0
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class AnnotatedFile:
    """The sentences of a file with their entities, as far as its tags can be read.

    An unknown tag reads as O, one that is not valid where it stands by the conlleval convention.
    `scheme` is `None` if the file has no tags, or if it cannot be told; there are no entities
    then. `faults` are in the order in which strict reading meets them.
    """

    raw: RawFile
    scheme: Scheme | None
    sentences: list[Sentence]
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The content of an annotated file.

    `scheme` is the one the file is written in, `None` if it has no tags. `repairs` are the tags
    that were read otherwise than they stand. `document_starts` has, for each mark of a document,
    the index of the sentence behind it. `comments` counts the rows that were skipped as comments.
    """

    path: str
    scheme: Scheme | None
    sentences: tuple[Sentence, ...]
    repairs: tuple[Fault, ...] = ()
    document_starts: tuple[int, ...] = ()
    comments: int = 0

    def documents(self) -> tuple[tuple[Sentence, ...], ...]:
        """Group the sentences at -DOCSTART- and `# newdoc`, leaving out empty documents."""
        bounds = document_bounds(self.document_starts, len(self.sentences))
        return tuple(self.sentences[start:end] for start, end in bounds)


def read_conll(
    source: Source,
    *,
    columns: Columns = ("token", "tag"),
    separator: Separator | None = None,
    scheme: Scheme | None = None,
    on_invalid: OnInvalid = "error",
    comment: str | None = None,
    tag_style: TagStyle = TagStyle.HYPHEN,
) -> Corpus:
    r"""Read a CoNLL file: UTF-8, with or without a byte-order mark, gzipped if it ends in .gz.

    Nothing is guessed from the content but, unless stated, the tag scheme.

    Args:
        source: path of the file, or a binary stream (never gzipped).
        columns: the names of all columns in order, of which "token" and "tag" are read; or where
            these two are, as in `{"token": 1, "tag": -1}`, by index (negative: from the right)
            or by name (the first row is then the header, as is `# global.columns = ...`).
            `("token",)` or a mapping without "tag" reads a file that has no tags.
        separator: what stands between columns. By default any run of spaces and tabs; "\t" for
            files in which a token may be empty or hold spaces; " " for exactly one space.
        scheme: the tag scheme; by default it is recognised (`detect_scheme`). Tokens of which not
            all is known have the tags of `tagbelt.data.conll.partial`, in any scheme.
        on_invalid: "error" refuses tags that are not valid where they stand; "repair" reads them
            by the conlleval convention; "drop" leaves out the entities that hold them. Both list
            each such tag in `Corpus.repairs`.
        comment: what a comment line begins with. A row that can be read as a token never is a
            comment. By default lines that begin with "# " and have another number of columns
            than the file are comments.
        tag_style: "underscore" for `B_PER`, "lower" for `b-PER`, "bare" for `B`, whose type is then
            ENTITY.

    Raises:
        ConllError: the file cannot be read without a guess or a loss; names the line.
        ValueError: an option that makes no sense.
    """
    check_on_invalid(on_invalid)
    if scheme is not None and scheme not in [*Scheme]:
        raise ValueError(f"scheme={scheme!r}: say one of {', '.join(Scheme)}")
    path, lines = read_lines(source)
    raw = _read_rows(path, lines, find_layout(path, lines, columns, separator, comment))
    _restyle(raw, TagStyle(tag_style))
    refuse_faults(path, raw.faults)
    file = annotate(raw, scheme, drop_invalid=on_invalid == "drop")
    for fault in file.faults:
        if on_invalid == "error" or fault.kind != "invalid-transition":
            raise ConllError(path, fault.line, fault.message + _HINTS.get(fault.kind, ""))
    return Corpus(
        path,
        file.scheme,
        tuple(file.sentences),
        tuple(file.faults),
        tuple(raw.document_starts),
        raw.comments,
    )


def read_tolerantly(
    source: Source,
    *,
    columns: Columns | None = None,
    separator: Separator | str | None = "guess",
    tag_style: TagStyle = TagStyle.HYPHEN,
) -> RawFile:
    """Read all rows of a file that has tags; rows of another width are left out and are faults.

    The separator is that of `read_conll`, or "guess": a tab if all rows have as many tabs as the
    first, else any run of spaces and tabs. Unless given, columns are the first and the last.

    Raises ConllError for what is no text, or has no tags.
    """
    path, lines = read_lines(source)
    stated = _guess_separator(lines) if separator == "guess" else separator
    layout = find_layout(path, lines, columns or FIRST_AND_LAST, stated, None)
    if layout.tag is None or (layout.width == 1 and any(map(layout.split, lines))):
        raise ConllError(
            path, None, "no column holds tags; say with --columns (`columns`) where they are"
        )
    raw = _read_rows(path, lines, layout)
    _restyle(raw, tag_style)
    return raw


def annotate(
    raw: RawFile, scheme: Scheme | None = None, *, drop_invalid: bool = False
) -> AnnotatedFile:
    """Read the entities of a file, in the scheme given or else in the one that is recognised.

    With `drop_invalid`, entities that hold an invalid tag are left out.
    """
    if raw.layout.tag is None:
        bare = [Sentence(tuple(block.tokens), None, block.line) for block in raw.blocks]
        return AnnotatedFile(raw, None, bare, raw.faults)
    faults = [*raw.faults]
    known = _known_tags(raw, scheme, faults)
    if scheme is None:
        sequences = [*known]
        try:
            scheme = detect_scheme(sequences)
        except SchemeError as error:
            faults.append(_doubt(raw, error))
            bare = [Sentence(tuple(block.tokens), (), block.line) for block in raw.blocks]
            return AnnotatedFile(raw, None, bare, faults)
        known = iter(sequences)
    has_open = any(is_partial(tag) or tag.endswith("-?") for tag in raw.tag_names)
    sentences = []
    for block, tags in zip(raw.blocks, known, strict=True):
        found = _spans(block, tags, scheme, faults, drop_invalid=drop_invalid)
        spans, parts = read_partial(block.tags, found) if has_open else (found, ())
        sentences.append(Sentence(tuple(block.tokens), spans, block.line, open=parts))
    return AnnotatedFile(raw, scheme, sentences, faults)


def refuse_faults(path: str, faults: list[Fault]) -> None:
    """Raise ConllError for the first of some faults, if there are any."""
    for fault in faults:
        raise ConllError(path, fault.line, fault.message)


def document_bounds(starts: list[int] | tuple[int, ...], sentences: int) -> list[tuple[int, int]]:
    """Return the first sentence of each document that is not empty, and the one behind its last."""
    return [*pairwise(sorted({0, *starts, sentences}))]


def guess_unit(sentences: Sequence[Sentence]) -> Unit:
    """Tell whether tokens are characters: nine of ten are a single code point."""
    tokens = [token for sentence in sentences for token in sentence.tokens]
    single = sum(len(token) == 1 for token in tokens)
    return "character" if tokens and single >= 0.9 * len(tokens) else "word"


def _guess_separator(lines: list[str]) -> Separator | None:
    tabs = {line.count("\t") for line in lines if line.strip(" \t") and not line.startswith("# ")}
    if len(tabs) == 1 and 0 not in tabs:
        return "\t"
    return None


def _read_rows(path: str, lines: list[str], layout: RowLayout) -> RawFile:
    """Collect the rows of all sentences."""
    raw = RawFile(path, lines, layout)
    split, mark, width = layout.split, layout.comment_mark, layout.width
    token_column, tag_column = layout.token, layout.tag
    block: Block | None = None
    forms: dict[str, str] = {}  # one object for each distinct string, as words recur
    tag_names = raw.tag_names
    for number, line in enumerate(lines[layout.first_line - 1 :], layout.first_line):
        cells = split(line)
        if not cells:
            block = None
        elif layout.opens_document(line, cells):
            raw.document_starts.append(len(raw.blocks))
            raw.comments += DOCSTART not in cells
            block = None
        elif line.startswith(mark) and layout.is_comment(cells):
            raw.comments += 1
            if block is not None:
                block.skipped.append(number)
        elif len(cells) != width:
            raw.faults.append(Fault("wrong-columns", number, wrong_width(layout, cells)))
            if block is not None:
                block.skipped.append(number)
        else:
            if block is None:
                block = Block(number)
                raw.blocks.append(block)
            token = cells[token_column]
            block.tokens.append(forms.setdefault(token, token))
            if tag_column is not None:
                tag = cells[tag_column]
                block.tags.append(tag_names.setdefault(tag, tag))
    return raw


def _restyle(raw: RawFile, style: TagStyle) -> None:
    """Bring tags to the form of the schemes. The lines of the file stay as they stand."""
    if style is not TagStyle.HYPHEN:
        names = {tag: restyled(tag, style) for tag in raw.tag_names}
        raw.tag_names = {tag: tag for tag in names.values()}
        for block in raw.blocks:
            block.tags = [names[tag] for tag in block.tags]


def _known_tags(raw: RawFile, scheme: Scheme | None, faults: list[Fault]) -> Iterator[list[str]]:
    """Yield the tags of each block, with O for those that the scheme, or any, does not have.

    It is O too for partial tags, which `read_partial` reads. A block's faults are added when it is
    taken, so that they come in the order of the blocks.
    """
    partial = {tag for tag in raw.tag_names if is_partial(tag)}
    messages = {
        tag: partial_fault(tag) if tag in partial else check_tag(tag, scheme)
        for tag in raw.tag_names
    }
    unknown = {tag: message + style_hint(tag) for tag, message in messages.items() if message}
    for block in raw.blocks:
        if not unknown or unknown.keys().isdisjoint(block.tags):
            yield outside_of_partial(block.tags) if partial else block.tags
            continue
        for tag, line in zip(block.tags, block.lines(), strict=True):
            if tag in unknown:
                faults.append(Fault("unknown-tag", line, unknown[tag], tag))
        yield [OUTSIDE if tag in unknown or tag in partial else tag for tag in block.tags]


def _doubt(raw: RawFile, error: SchemeError) -> Fault:
    first = error.first
    place = None
    if first is not None and first.sequence is not None:
        place = raw.blocks[first.sequence].lines()[first.index]
    return Fault("scheme", place, str(error))


def _spans(
    block: Block, tags: list[str], scheme: Scheme, faults: list[Fault], *, drop_invalid: bool
) -> tuple[Span, ...]:
    spans, problems = parse_tags(tags, scheme)
    if problems:
        lines = block.lines()
        faults.extend(
            Fault("invalid-transition", lines[p.index], p.message, p.tag) for p in problems
        )
        if drop_invalid:
            return whole_spans(spans, problems)
    return spans

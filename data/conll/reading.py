"""CoNLL files: one token a row, a blank line behind each sentence, the tag in one of the columns.

Reading is strict. Nothing is guessed from the content but, unless stated, the tag scheme; nothing
is changed in a token; every token of the file is in the result, or the file is refused with the
line named.
"""

import gzip
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

from tagbelt.data.conll.detection import detect_scheme
from tagbelt.data.conll.rows import (
    BOM,
    DOCSTART,
    Columns,
    Layout,
    Separator,
    Source,
    find_layout,
    read_lines,
    wrong_width,
)
from tagbelt.data.conll.schemes import (
    OnInvalid,
    Scheme,
    check_on_invalid,
    parse_tags,
    spans_to_tags,
    whole_spans,
)
from tagbelt.data.types import Sentence
from tagbelt.errors import ConllError, SchemeError, TagError

__all__ = [
    "Columns",
    "ConllError",
    "Corpus",
    "Document",
    "Repair",
    "Separator",
    "read_conll",
    "write_conll",
]

_TAG_HINT = "correct it, or the columns, separator or scheme it is read with"
_REPAIR_HINT = (
    "correct it, or read with on_invalid='repair', which takes it so, or 'drop', which leaves the "
    "entity out"
)
# Where a space separates, a tab does too: the default reading splits at both.
_BREAKING = {"\t": re.compile("[\n\r\t]"), " ": re.compile("[\n\r\t ]")}


@dataclass(frozen=True, slots=True)
class Repair:
    """A tag that is not valid where it stands, and how it was read."""

    path: str
    line: int
    tag: str
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """The sentences between one -DOCSTART- row and the next."""

    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that an annotated file holds.

    `scheme` is the one the file is written in, `None` if it has no tags. `document_starts` has,
    for each -DOCSTART- row, the index of the sentence behind it. `comments` counts the rows that
    were skipped as comments.
    """

    path: str
    scheme: Scheme | None
    sentences: tuple[Sentence, ...]
    repairs: tuple[Repair, ...] = ()
    document_starts: tuple[int, ...] = ()
    comments: int = 0

    def documents(self) -> tuple[Document, ...]:
        """Group the sentences at the -DOCSTART- rows, leaving out documents that are empty."""
        bounds = sorted({0, *self.document_starts, len(self.sentences)})
        return tuple(Document(self.sentences[start:end]) for start, end in pairwise(bounds))


def read_conll(
    source: Source,
    *,
    columns: Columns = ("token", "tag"),
    separator: Separator | None = None,
    scheme: Scheme | None = None,
    on_invalid: OnInvalid = "error",
    comment: str | None = None,
) -> Corpus:
    r"""Read a CoNLL file: UTF-8, with or without a byte-order mark, gzipped if it ends in .gz.

    Args:
        source: path of the file, or a binary stream (never gzipped).
        columns: the names of all columns in order, of which "token" and "tag" are read; or where
            these two are, as in `{"token": 1, "tag": -1}`, by index (negative: from the right)
            or by name (the first row is then the header, as is `# global.columns = ...`).
            `("token",)` or a mapping without "tag" reads a file that has no tags.
        separator: what stands between columns. By default any run of spaces and tabs; "\t" for
            files in which a token may be empty or hold spaces; " " for exactly one space.
        scheme: the tag scheme; by default it is recognised (`detect_scheme`).
        on_invalid: "error" refuses tags that are not valid where they stand; "repair" reads them
            by the conlleval convention; "drop" leaves out the entities that hold them. Both list
            each such tag in `Corpus.repairs`.
        comment: what a comment line begins with. A row that can be read as a token never is a
            comment. By default lines that begin with "# " and have another number of columns
            than the file are comments.

    Raises:
        ConllError: the file cannot be read without a guess or a loss; names the line.
        ValueError: an option that makes no sense.
    """
    check_on_invalid(on_invalid)
    path, lines = read_lines(source)
    layout = find_layout(path, lines, columns, separator, comment)
    blocks, starts, comments = _gather(path, lines, layout)
    repairs: tuple[Repair, ...] = ()
    if layout.tag is None:
        scheme = None
        sentences = tuple(Sentence(tuple(block.tokens), None, block.line) for block in blocks)
    else:
        scheme = _detect(path, blocks) if scheme is None else scheme
        sentences, repairs = _label(path, blocks, scheme, on_invalid)
    return Corpus(path, scheme, sentences, repairs, tuple(starts), comments)


def write_conll(
    target: str | os.PathLike[str] | IO[str],
    sentences: Iterable[Sentence],
    *,
    scheme: Scheme = Scheme.IOB2,
    separator: Separator = "\t",
    document_starts: Iterable[int] = (),
) -> None:
    r"""Write sentences as rows of token and tag, or of the token alone if all spans are None.

    `target` is a path, gzipped if it ends in .gz, or a text stream. A -DOCSTART- row is written
    before each sentence of which `document_starts` has the index. What is written reads back to
    the same tokens, spans and documents with the same separator ("\t" also if tokens are empty
    or hold spaces; otherwise none need be stated). Nothing is written if anything cannot be.

    Raises ValueError, naming the sentence, for what would not read back: a sentence without
    tokens, a token or label with a separator or line break in it, an empty token where " "
    separates, a token named -DOCSTART-, labelled and unlabelled sentences mixed.
    """
    if separator not in (" ", "\t"):
        raise ValueError(f"separator is ' ' or '\\t', not {separator!r}")
    sentences = tuple(sentences)
    parts = [_rendered(i, sentence, scheme, separator) for i, sentence in enumerate(sentences)]
    unlabelled = {sentence.spans is None for sentence in sentences}
    if len(unlabelled) > 1:
        raise ValueError("labelled and unlabelled sentences cannot be written to one file")
    text = _with_documents(parts, document_starts, "" if unlabelled == {True} else f"{separator}O")
    if text.startswith(BOM):
        # At the start of a file it would be taken for the mark; a blank line keeps it a character.
        text = "\n" + text
    _put(target, text)


@dataclass(slots=True)
class _Block:
    """The rows of one sentence as they stand."""

    line: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    comment_lines: list[int] = field(default_factory=list)

    def line_of(self, index: int) -> int:
        line = self.line + index
        for comment_line in self.comment_lines:
            line += comment_line <= line
        return line


def _gather(path: str, lines: list[str], layout: Layout) -> tuple[list[_Block], list[int], int]:
    """Collect the rows of all sentences, where documents start, and the number of comments."""
    blocks: list[_Block] = []
    starts = []
    comments = 0
    block: _Block | None = None
    shared: dict[str, str] = {}  # one object for each distinct string, as words recur
    for number, line in enumerate(lines[layout.first_line - 1 :], layout.first_line):
        cells = layout.split(line)
        if not cells:
            block = None
        elif DOCSTART in cells:
            starts.append(len(blocks))
            block = None
        elif line.startswith(layout.comment_mark) and layout.is_comment(cells):
            comments += 1
            if block is not None:
                block.comment_lines.append(number)
        elif len(cells) != layout.width:
            raise ConllError(path, number, wrong_width(layout, cells))
        else:
            if block is None:
                block = _Block(number)
                blocks.append(block)
            token = cells[layout.token]
            block.tokens.append(shared.setdefault(token, token))
            if layout.tag is not None:
                tag = cells[layout.tag]
                block.tags.append(shared.setdefault(tag, tag))
    return blocks, starts, comments


def _detect(path: str, blocks: list[_Block]) -> Scheme:
    try:
        return detect_scheme([block.tags for block in blocks])
    except TagError as error:
        line = _line_of(error, blocks)
        raise ConllError(path, line, f"{error.message}; {_TAG_HINT}") from error
    except SchemeError as error:
        line = None if error.first is None else _line_of(error.first, blocks)
        raise ConllError(path, line, str(error)) from error


def _line_of(error: TagError, blocks: list[_Block]) -> int | None:
    return None if error.sequence is None else blocks[error.sequence].line_of(error.index)


def _label(
    path: str, blocks: list[_Block], scheme: Scheme, on_invalid: OnInvalid
) -> tuple[tuple[Sentence, ...], tuple[Repair, ...]]:
    sentences = []
    repairs = []
    for block in blocks:
        try:
            spans, problems = parse_tags(block.tags, scheme)
        except TagError as error:
            line = block.line_of(error.index)
            raise ConllError(path, line, f"{error.message}; {_TAG_HINT}") from error
        for problem in problems:
            line = block.line_of(problem.index)
            if on_invalid == "error":
                raise ConllError(path, line, f"{problem.message}; {_REPAIR_HINT}") from problem
            repairs.append(Repair(path, line, problem.tag, problem.message))
        if on_invalid == "drop":
            spans = whole_spans(spans, problems)
        sentences.append(Sentence(tuple(block.tokens), spans, block.line))
    return tuple(sentences), tuple(repairs)


def _rendered(index: int, sentence: Sentence, scheme: Scheme, separator: str) -> str:
    """The rows of one sentence, with the blank line behind it."""
    tokens = sentence.tokens
    try:
        if not tokens:
            raise ValueError("it has no tokens, which a file cannot show")
        columns = [tokens]
        if sentence.spans is not None:
            columns.append(spans_to_tags(sentence.spans, len(tokens), scheme))
        _check_cells(dict.fromkeys(chain.from_iterable(columns)), separator)
        if (separator == " " and "" in tokens) or (
            sentence.spans is None and any(not token.strip(" \t") for token in tokens)
        ):
            raise ValueError("a token is empty or blank, which here would not read as one")
        text = "\n".join(map(separator.join, zip(*columns, strict=True)))
        text.encode("utf-8")
    except ValueError as error:
        raise ValueError(f"sentence {index} cannot be written: {error}") from error
    return f"{text}\n\n"


def _check_cells(cells: Iterable[str], separator: str) -> None:
    broken = _BREAKING[separator].search
    for cell in cells:
        if broken(cell):
            raise ValueError(f"{cell!r} holds a separator or a line break")
        if cell == DOCSTART:
            raise ValueError(f"a token {DOCSTART} reads as the start of a document")


def _with_documents(parts: list[str], document_starts: Iterable[int], tag: str) -> str:
    pieces = []
    starts = Counter(document_starts)
    if not starts.keys() <= set(range(len(parts) + 1)):
        raise ValueError(f"document starts {sorted(starts)} reach beyond {len(parts)} sentences")
    for index, part in enumerate([*parts, ""]):
        pieces.append(f"{DOCSTART}{tag}\n\n" * starts[index])
        pieces.append(part)
    return "".join(pieces)


def _put(target: str | os.PathLike[str] | IO[str], text: str) -> None:
    if not isinstance(target, str | os.PathLike):
        target.write(text)
        return
    raw = text.encode("utf-8")
    if os.fspath(target).endswith(".gz"):
        raw = gzip.compress(raw, mtime=0)
    Path(target).write_bytes(raw)

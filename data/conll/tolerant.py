"""CoNLL files read so that every fault is told, not only the first.

`data.conll.reading` refuses a file at the first row that is not as it should be. Tools that check
or
rewrite files need all such rows, the raw tags, and the line of each token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagbelt.data.conll.detection import detect_scheme
from tagbelt.data.conll.rows import (
    DOCSTART,
    Columns,
    Layout,
    Separator,
    Source,
    find_layout,
    read_lines,
    wrong_width,
)
from tagbelt.data.conll.schemes import OUTSIDE, Scheme, parse_tags, split_tag
from tagbelt.data.types import Sentence, Span, Unit
from tagbelt.errors import ConllError, SchemeError, TagError

FIRST_AND_LAST: Mapping[str, int | str] = {"token": 0, "tag": -1}
"""The columns that are read unless others are stated."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a line, counted from 1; `None` where the whole file is meant."""

    line: int | None
    message: str


@dataclass(slots=True)
class Block:
    """The rows of one sentence: its tokens, its tags as they stand, and the line of each."""

    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    document: int = 0  # how many -DOCSTART- rows came before

    @property
    def line(self) -> int:
        """The line of the first token."""
        return self.lines[0]


@dataclass(slots=True)
class Loose:
    """A file as it stands. `lines` are without their ends; `rows` the faults of the table."""

    path: str
    lines: list[str]
    layout: Layout
    separator: Separator | None
    blocks: list[Block]
    rows: list[Fault]


@dataclass(slots=True)
class Annotated:
    """The sentences of a file with their entities, as far as its tags can be read.

    `unknown` are tags of no scheme (read as O), `invalid` tags that do not belong where they
    stand (read by the conlleval convention). `doubt` says why the scheme cannot be told; there
    are no entities then.
    """

    loose: Loose
    scheme: Scheme | None
    sentences: list[Sentence]
    unknown: list[Fault]
    invalid: list[Fault]
    doubt: Fault | None = None

    def faults(self) -> list[Fault]:
        """All that strict reading would refuse, in the order of the lines."""
        doubt = [self.doubt] if self.doubt else []
        found = [*self.loose.rows, *self.unknown, *self.invalid, *doubt]
        return sorted(found, key=lambda fault: fault.line or 0)


def read_loosely(
    source: Source, *, columns: Columns | None = None, separator: Separator | str | None = "guess"
) -> Loose:
    """Read all rows of a file that has tags; rows of another width are left out and told.

    The separator is that of `read_conll`, or "guess": a tab if all rows have as many tabs as the
    first, else any run of spaces and tabs. Unless given, columns are the first and the last.

    Raises ConllError for what is no text, or has no tags.
    """
    path, lines = read_lines(source)
    split_at = _guess(lines) if separator == "guess" else separator
    if split_at not in (None, " ", "\t"):
        raise ValueError(f"separator is None, ' ' or '\\t', not {split_at!r}")
    stated: Separator | None = split_at  # type: ignore[assignment]
    layout = find_layout(path, lines, columns or FIRST_AND_LAST, stated, None)
    if layout.tag is None or (layout.width == 1 and any(map(layout.split, lines))):
        raise ConllError(path, None, "no column holds tags; say with columns where they are")
    blocks, rows = _blocks(lines, layout)
    return Loose(path, lines, layout, stated, blocks, rows)


def annotate(loose: Loose, scheme: Scheme | None = None) -> Annotated:
    """Read the entities of a file, in the scheme given or else in the one that is recognised."""
    unknown: list[Fault] = []
    sequences = [_known(block, unknown) for block in loose.blocks]
    if scheme is None:
        try:
            scheme = detect_scheme(sequences)
        except SchemeError as error:
            place = None if error.first is None else _line(error.first, loose.blocks)
            doubt = Fault(place, str(error))
            bare = [Sentence(tuple(b.tokens), (), b.line) for b in loose.blocks]
            return Annotated(loose, None, bare, unknown, [], doubt)
    invalid: list[Fault] = []
    sentences = []
    for block, tags in zip(loose.blocks, sequences, strict=True):
        spans = _entities(block, tags, scheme, unknown, invalid)
        sentences.append(Sentence(tuple(block.tokens), spans, block.line))
    return Annotated(loose, scheme, sentences, unknown, invalid)


def guess_unit(sentences: list[Sentence]) -> Unit:
    """Tell whether tokens are characters: nine of ten are a single code point."""
    tokens = [token for sentence in sentences for token in sentence.tokens]
    single = sum(len(token) == 1 for token in tokens)
    return "character" if tokens and single >= 0.9 * len(tokens) else "word"


def _guess(lines: list[str]) -> Separator | None:
    tabs = {line.count("\t") for line in lines if line.strip(" \t") and not line.startswith("# ")}
    if len(tabs) == 1 and 0 not in tabs:
        return "\t"
    return None


def _blocks(lines: list[str], layout: Layout) -> tuple[list[Block], list[Fault]]:
    blocks: list[Block] = []
    faults = []
    block: Block | None = None
    documents = 0
    shared: dict[str, str] = {}  # one object for each distinct string, as words recur
    for number, line in enumerate(lines[layout.first_line - 1 :], layout.first_line):
        cells = layout.split(line)
        if not cells or DOCSTART in cells:
            documents += bool(cells)
            block = None
        elif line.startswith(layout.comment_mark) and layout.is_comment(cells):
            continue
        elif len(cells) != layout.width:
            faults.append(Fault(number, wrong_width(layout, cells)))
        else:
            if block is None:
                block = Block(document=documents)
                blocks.append(block)
            token, tag = cells[layout.token], cells[layout.tag or 0]
            block.tokens.append(shared.setdefault(token, token))
            block.tags.append(shared.setdefault(tag, tag))
            block.lines.append(number)
    return blocks, faults


def _known(block: Block, unknown: list[Fault]) -> list[str]:
    """The tags with O for those of no scheme."""
    bad = {}
    for tag in set(block.tags):
        try:
            split_tag(tag)
        except ValueError as error:
            bad[tag] = str(error)
    if not bad:
        return block.tags
    pairs = zip(block.tags, block.lines, strict=True)
    unknown.extend(Fault(line, bad[tag]) for tag, line in pairs if tag in bad)
    return [OUTSIDE if tag in bad else tag for tag in block.tags]


def _line(error: TagError, blocks: list[Block]) -> int | None:
    return None if error.sequence is None else blocks[error.sequence].lines[error.index]


def _entities(
    block: Block, tags: list[str], scheme: Scheme, unknown: list[Fault], invalid: list[Fault]
) -> tuple[Span, ...]:
    try:
        spans, problems = parse_tags(tags, scheme)
    except TagError as error:  # a tag that a stated scheme does not have
        unknown.append(Fault(block.lines[error.index], error.message))
        return _entities(
            block, [OUTSIDE if t == error.tag else t for t in tags], scheme, unknown, invalid
        )
    invalid.extend(Fault(block.lines[p.index], p.message) for p in problems)
    return spans

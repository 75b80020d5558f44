"""Between texts with offsets and sentences of tokens."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Literal

from tagbelt.data.conll.partial import UNKNOWN, joined, read_partial
from tagbelt.data.formats.record import Losses, Mark, Record
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Open, Sentence, Span, Unit

Tokenizing = Literal["word", "character", "whitespace"]
Alignment = Literal["strict", "contract", "expand"]
"""A span that begins or ends inside a token is a loss, or becomes that of the tokens within it, or
of all that it touches; as spaCy's `alignment_mode`."""
Extent = tuple[int, int]


def to_records(
    sentences: Sequence[Sentence],
    document_starts: Sequence[int],
    unit: Unit,
    path: str,
    losses: Losses,
) -> list[Record]:
    """Each sentence as a text with its tokens; words with a space between them."""
    records = []
    for index, sentence in enumerate(sentences):
        document = bisect_right(document_starts, index) if document_starts else None
        records.append(_to_record(sentence, unit, document, path, losses))
    return records


def to_sentences(
    record: Record, tokenizing: Tokenizing, losses: Losses, align: Alignment = "strict"
) -> Iterator[Sentence]:
    """The sentences of a text: the one that its tokens make, or those that tokenizing finds.

    A sentence break inside a mark is none. White space at a mark's edge is cut off. A mark that
    begins or ends inside a token is aligned; one that cannot be, or overlaps a longer or earlier
    one, is a loss.
    """
    found = _sentences(record, tokenizing)
    every = [e for extents in found for e in extents]
    untyped = (Mark(part.start, part.end, UNKNOWN) for part in record.open if part.is_entity)
    marks = _aligned(every, record, (*record.marks, *untyped), losses, align)
    rejected = [Mark(p.start, p.end, label) for p in record.open for label in p.never]
    rejected = [*_aligned(every, record, rejected, losses, align)]
    if record.tokens is None:
        found = _whole(found, marks)
    for extents in found:
        tokens = tuple(record.text[start:end] for start, end in extents)
        spans = _spans(extents, marks, record, losses, tokenized=record.tokens is None)
        loose = _loose(extents, spans, rejected, record, losses)
        kept, parts = read_partial((), spans)
        yield Sentence(tokens, kept, record.line or 0, open=joined((*parts, *loose)))
    if not record.text.strip() and not record.tokens:
        losses.add("empty-text", record.path, record.line, "a text without a token")


def as_documents(
    records: Iterable[Record], unit: Unit, losses: Losses, *, together: bool
) -> list[Record]:
    """Join the sentences of each document, a line each, for formats that have no tokens.

    Records without tokens are documents already, and unless `together` so are sentences without
    a document's number. Tokens that nobody could find again in the
    text are a loss.
    """
    documents: list[Record] = []
    group: list[Record] = []
    for record in records:
        if record.tokens is None:
            documents.append(record)
            continue
        _check_recoverable(record, unit, losses)
        alone = record.document is None and not together
        if group and (alone or group[-1].document != record.document):
            documents.append(_joined(group))
            group = []
        group.append(record)
    return [*documents, *([_joined(group)] if group else [])]


def _to_record(
    sentence: Sentence, unit: Unit, document: int | None, path: str, losses: Losses
) -> Record:
    spaced = unit == "word" or "" in sentence.tokens
    gap = 1 if spaced else 0
    lengths = (len(token) + gap for token in sentence.tokens)
    starts = list(accumulate(lengths, initial=0))[:-1]
    extents = [(s, s + len(t)) for s, t in zip(starts, sentence.tokens, strict=True)]
    marks = []
    for span in sentence.spans or ():
        mark = Mark(extents[span.start][0], extents[span.end - 1][1], span.label)
        if mark.start < mark.end:
            marks.append(mark)
        else:
            message = f"{span.label} at token {span.start + 1} of the sentence has no text"
            losses.add("empty-entity", path, sentence.line, message)
    parts = []
    for part in sentence.open:
        start, end = extents[part.start][0], extents[part.end - 1][1]
        if start < end:
            parts.append(replace(part, start=start, end=end))
        else:
            message = f"what is open at token {part.start + 1} of the sentence has no text"
            losses.add("empty-entity", path, sentence.line, message)
    text = (" " if spaced else "").join(sentence.tokens)
    return Record(
        text, tuple(marks), tuple(extents), document, {}, path, sentence.line, tuple(parts)
    )


def _sentences(record: Record, tokenizing: Tokenizing) -> list[list[Extent]]:
    if record.tokens is not None:
        # White space that is a token of its own (spaCy) cannot stand in a row if it breaks it.
        text = record.text
        kept = [t for t in record.tokens if not _breaks(text[t[0] : t[1]])]
        return [kept] if kept else []
    if tokenizing == "whitespace":
        return _split_lines(record.text)
    return [
        [(start, start + len(word)) for word, start in zip(s.words, s.starts, strict=True)]
        for s in tokenize(record.text, tokenizing)
    ]


def _aligned(
    extents: list[Extent],
    record: Record,
    marks: Iterable[Mark],
    losses: Losses,
    align: Alignment,
) -> tuple[Mark, ...]:
    """The marks that begin and end with tokens, or could be made to."""
    starts, ends = {start for start, _ in extents}, {end for _, end in extents}
    kept = []
    for mark in marks:
        if mark.start in starts and mark.end in ends:
            kept.append(mark)
            continue
        inner = record.text[mark.start : mark.end]
        start = mark.start + len(inner) - len(inner.lstrip())
        end = start + len(inner.strip())
        text = f"{mark.label} {inner!r}"
        kind, message = "trimmed", f"{text} has white space at its edge"
        if start not in starts or end not in ends:
            inside = [e for e in extents if _takes(e, start, end, align)]
            if not inside:
                message = f"{text} at {mark.start} to {mark.end} does not begin and end with tokens"
                losses.add("misaligned", record.path, record.line, message)
                continue
            start, end = inside[0][0], inside[-1][1]
            kind, message = "moved", f"{text} becomes {record.text[start:end]!r}"
        losses.add(kind, record.path, record.line, message)
        kept.append(Mark(start, end, mark.label))
    return tuple(dict.fromkeys(kept))


def _takes(extent: Extent, start: int, end: int, align: Alignment) -> bool:
    """Tell if a span from `start` to `end` is aligned to a token."""
    if align == "contract":
        return start <= extent[0] < extent[1] <= end
    return align == "expand" and extent[0] < end and extent[1] > start


def _breaks(token: str) -> bool:
    return token.isspace() and any(c in token for c in "\t\n\r")


def _split_lines(text: str) -> list[list[Extent]]:
    ends = [m.start() for m in re.finditer("\n", text)]
    found = []
    for start, end in pairwise([-1, *ends, len(text)]):
        extents = [m.span() for m in re.compile(r"\S+").finditer(text, start + 1, end)]
        if extents:
            found.append(extents)
    return found


def _whole(sentences: list[list[Extent]], marks: tuple[Mark, ...]) -> list[list[Extent]]:
    """Join sentences that a mark runs through."""
    joined: list[list[Extent]] = []
    for extents in sentences:
        start = extents[0][0]
        if joined and any(m.start < joined[-1][-1][1] and m.end > start for m in marks):
            joined[-1].extend(extents)
        else:
            joined.append(list(extents))
    return joined


def _spans(
    extents: list[Extent],
    marks: tuple[Mark, ...],
    record: Record,
    losses: Losses,
    *,
    tokenized: bool,
) -> tuple[Span, ...]:
    """The marks of a sentence as spans of its tokens."""
    if not marks:
        return ()
    firsts = {start: n for n, (start, _) in reversed([*enumerate(extents)])}
    lasts = {end: n + 1 for n, (_, end) in enumerate(extents)}
    low, high = (extents[0][0], extents[-1][1]) if tokenized else (0, len(record.text))
    spans: list[Span] = []
    for mark in sorted(marks, key=lambda m: (m.start, -m.end, m.label)):
        if tokenized and not (mark.start < high and mark.end > low):
            continue  # of another sentence
        text = f"{mark.label} {record.text[mark.start : mark.end]!r}"
        where = (record.path, record.line)
        start, end = firsts.get(mark.start), lasts.get(mark.end)
        if start is None or end is None or start >= end:
            message = f"{text} at {mark.start} to {mark.end} does not begin and end with tokens"
            losses.add("misaligned", *where, message)
        elif spans and start < spans[-1].end:
            losses.add("overlap", *where, f"{text} at {mark.start} overlaps a {spans[-1].label}")
        else:
            spans.append(Span(start, end, mark.label))
    return tuple(spans)


def _loose(
    extents: list[Extent],
    spans: tuple[Span, ...],
    rejected: list[Mark],
    record: Record,
    losses: Losses,
) -> list[Open]:
    """The tokens outside the spans that nobody looked at, or that are not of a type.

    What is unlabelled in part is unlabelled. A span that is there and rejected is a loss.
    """
    never: dict[int, set[str]] = {}
    unlabelled = [Mark(p.start, p.end, "") for p in record.open if not (p.never or p.is_entity)]
    for mark in (*rejected, *unlabelled):
        touched = [
            n for n, (s, e) in enumerate(extents) if mark.start <= s < mark.end or s < mark.end < e
        ]
        for number in touched:
            never.setdefault(number, set()).update({mark.label} - {""})
        for span in spans:
            if span.label == mark.label and any(span.start <= n < span.end for n in touched):
                message = f"{mark.label} {record.text[mark.start : mark.end]!r} at {mark.start}"
                losses.add("contradiction", record.path, record.line, f"{message}: also rejected")
    taken = {number for span in spans for number in range(span.start, span.end)}
    return [Open(n, n + 1, tuple(sorted(types))) for n, types in never.items() if n not in taken]


def _joined(records: list[Record]) -> Record:
    starts = list(accumulate((len(r.text) + 1 for r in records), initial=0))
    marks = tuple(
        Mark(mark.start + start, mark.end + start, mark.label)
        for record, start in zip(records, starts[:-1], strict=True)
        for mark in record.marks
    )
    first = records[0]
    text = "\n".join(record.text for record in records)
    return Record(text, marks, None, None, {}, first.path, first.line)


def _check_recoverable(record: Record, unit: Unit, losses: Losses) -> None:
    tokens = [record.text[start:end] for start, end in record.tokens or ()]
    if tokens == record.text.split() and "\n" not in record.text:
        return
    found = [word for sentence in tokenize(record.text, unit) for word in sentence.words]
    if unit == "word" or found != tokens:
        message = f"the tokens of {record.text[:60]!r} cannot be told from the text"
        losses.add("token-boundaries", record.path, record.line, message)

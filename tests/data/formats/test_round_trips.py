"""What is converted there and back is what it was, for any tokens, texts and spans."""

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.partial import joined
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.formats.convert import SourceOptions, TargetOptions, convert, save
from tagbelt.data.formats.labelstudio import read_labelstudio, write_labelstudio
from tagbelt.data.formats.lines import read_lines, write_doccano, write_prodigy
from tagbelt.data.formats.record import Format, Losses, Mark, Record
from tagbelt.data.types import OffsetUnit, Open, Sentence, Span
from tagbelt.errors import DataError

LABELS = st.sampled_from(["PER", "ORG", "Fictional-Person"])
CHARACTERS = st.one_of(
    st.sampled_from("ab .,-中国😀👩é\u200d\u0301\u00a0\ufeff"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\t"),
)
WORDS = st.text(CHARACTERS, max_size=5).filter(lambda w: w not in ("-DOCSTART-", "#"))
PLAIN = st.text(st.sampled_from("abcé中😀.,-"), min_size=1, max_size=5)


@st.composite
def sentences(draw, words=WORDS):
    tokens = tuple(draw(st.lists(words, min_size=1, max_size=8)))
    cuts = sorted(draw(st.sets(st.integers(0, len(tokens)), max_size=6)))
    spans = tuple(
        Span(start, end, draw(LABELS))
        for start, end in pairwise(cuts)
        if draw(st.booleans()) and any(tokens[start:end])
    )
    return Sentence(tokens, spans)


@st.composite
def open_sentences(draw):
    """Sentences some of whose parts outside the spans are open."""
    sentence = draw(sentences())
    free = sorted(
        set(range(len(sentence.tokens)))
        - {n for span in sentence.spans for n in range(span.start, span.end)}
    )
    parts = []
    for n in free:
        kind = draw(st.sampled_from(["closed", "unknown", "never", "entity"]))
        never = tuple(sorted(draw(st.sets(LABELS, min_size=1)))) if kind == "never" else ()
        if kind != "closed" and sentence.tokens[n]:
            parts.append(Open(n, n + 1, never, kind == "entity"))
    return replace(sentence, open=joined(parts))


def there_and_back(corpus, starts, through, tokenizing="word"):
    with tempfile.TemporaryDirectory() as folder:
        first, middle, last = (Path(folder, name) for name in ("a.conll", "middle", "b.conll"))
        write_conll(first, corpus, document_starts=starts)
        tab, writing = SourceOptions(separator="\t", scheme=Scheme.IOB2), TargetOptions()
        out = convert(first, Format.conll, through, tab, writing)
        assert not out.losses.counts
        save(out, middle, writing)
        back = convert(middle, through, Format.conll, SourceOptions(tokenizing=tokenizing), writing)
        assert not back.losses.counts
        save(back, last, writing)
        return read_conll(last, separator="\t")


def content(corpus):
    return [(sentence.tokens, sentence.spans, sentence.open) for sentence in corpus]


JSON = [Format.doccano, Format.doccano_entities, Format.prodigy, Format.labelstudio]


@pytest.mark.parametrize("through", JSON)
@given(st.lists(sentences(), min_size=1, max_size=5), st.sets(st.integers(0, 4)))
@settings(max_examples=60)
def test_rows_through_json(through, corpus, starts):
    starts = sorted(start for start in starts if start < len(corpus))
    again = there_and_back(corpus, starts, through)
    assert content(again.sentences) == content(corpus)
    assert list(again.document_starts) == starts


@pytest.mark.parametrize("through", [Format.doccano, Format.doccano_entities, Format.prodigy])
@given(st.lists(open_sentences(), min_size=1, max_size=4))
@settings(max_examples=40)
def test_what_is_open_comes_back_through_json_lines(through, corpus):
    again = there_and_back(corpus, [], through)
    assert content(again.sentences) == content(corpus)


@given(st.lists(sentences(PLAIN), min_size=1, max_size=5))
@settings(max_examples=60)
def test_rows_through_brat(corpus):
    # One token of one code point each would be taken for characters, which stand unspaced.
    corpus = [*corpus, *[Sentence(("several", "words"), ())] * 20]
    again = there_and_back(corpus, [], Format.brat, "whitespace")
    assert content(again.sentences) == content(corpus)


@st.composite
def records(draw):
    text = draw(st.text(st.one_of(CHARACTERS, st.sampled_from("\n\t😀")), max_size=30))
    pairs = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), LABELS)
    marks = [Mark(a, b, label) for a, b, label in draw(st.lists(pairs, max_size=5)) if a < b]
    return Record(text, tuple(marks), fields={"note": draw(WORDS)})


@given(st.lists(records(), max_size=4), st.sampled_from(get_args(OffsetUnit)), st.booleans())
def test_texts_through_json_lines(texts, unit, objects):
    for written in (write_doccano(texts, unit, objects=objects), write_prodigy(texts, unit)):
        losses = Losses()
        again = read_lines("x", written, unit, losses, field="text")
        assert not losses.counts
        assert [(r.text, r.marks, r.fields) for r in again] == [
            (r.text, r.marks, r.fields) for r in texts
        ]


@given(st.lists(records(), max_size=4), st.sampled_from(get_args(OffsetUnit)))
def test_texts_through_label_studio(texts, unit):
    losses = Losses()
    again = read_labelstudio("x", write_labelstudio(texts, unit), unit, losses, field="text")
    assert not losses.counts
    assert [(r.text, r.marks, r.fields) for r in again] == [
        (r.text, r.marks, r.fields) for r in texts
    ]


def within_lines(record):
    """The marks without the line breaks at their edges; None where nothing else is in one."""
    marks = []
    for mark in record.marks:
        marked = record.text[mark.start : mark.end]
        start = mark.start + len(marked) - len(marked.lstrip("\n\r"))
        end = mark.end - len(marked) + len(marked.rstrip("\n\r"))
        if start >= end:
            return None
        marks.append(Mark(start, end, mark.label))
    return tuple(marks)


@given(st.lists(records(), min_size=1, max_size=4), st.sampled_from(get_args(OffsetUnit)))
@settings(max_examples=40)
def test_texts_through_brat(texts, unit):
    from tagbelt.data.formats.brat import read_brat, write_brat

    expected = [(record.text, within_lines(record)) for record in texts]
    if any(marks is None for _, marks in expected):
        with tempfile.TemporaryDirectory() as folder, pytest.raises(DataError, match="line breaks"):
            write_brat(texts, unit, Path(folder, "new"))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_brat(texts, unit, Path(folder))
        losses = Losses()
        again = read_brat(Path(folder), unit, losses)
    assert losses.counts.keys() <= {"joined"}  # what lies in several lines
    assert [(r.text, r.marks) for r in again] == expected


@given(st.lists(sentences(), min_size=1, max_size=4), st.sampled_from([*Scheme][1:]))
@settings(max_examples=60)
def test_no_entity_goes_missing_between_schemes(corpus, scheme):
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "a.conll"), Path(folder, "b.conll")
        write_conll(first, corpus)
        writing = TargetOptions(scheme=scheme)
        reading = SourceOptions(separator="\t", scheme=Scheme.IOB2)
        save(convert(first, Format.conll, Format.conll, reading, writing), second, writing)
        assert content(read_conll(second, separator="\t", scheme=scheme).sentences) == content(
            corpus
        )

from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from tagbelt.data.conll.detection import detect_scheme
from tagbelt.data.conll.schemes import (
    Scheme,
    allowed_transitions,
    parse_tags,
    prefixes,
    spans_to_tags,
    split_tag,
    tag_set,
    tags_to_spans,
)
from tagbelt.data.types import Span
from tagbelt.errors import SchemeError, TagError

LABELS = ("A", "B-C")
# Speed is not what is tested: a busy machine must not fail a test.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_scheme = pytest.mark.parametrize("scheme", Scheme)


@st.composite
def annotated(draw: st.DrawFn, touching: bool = True) -> tuple[int, tuple[Span, ...]]:
    """A sentence length and spans in it; unless `touching`, there is a gap between any two."""
    spans, position = [], 0
    for _ in range(draw(st.integers(0, 4))):
        gap = 0 if touching or not spans else 1
        start = position + draw(st.integers(gap, 2))
        end = start + draw(st.integers(1, 4))
        spans.append(Span(start, end, draw(st.sampled_from(LABELS))))
        position = end
    return position + draw(st.integers(0, 2)), tuple(spans)


def all_annotations(length: int, start: int = 0) -> Iterator[tuple[Span, ...]]:
    """Every set of spans from `start` on."""
    if start >= length:
        yield ()
        return
    yield from all_annotations(length, start + 1)
    for end, label in product(range(start + 1, length + 1), LABELS):
        for rest in all_annotations(length, end):
            yield (Span(start, end, label), *rest)


SPANS = (Span(0, 1, "A"), Span(1, 3, "A"), Span(3, 4, "B-C"), Span(5, 8, "B-C"))


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        (Scheme.IOB1, "I-A B-A I-A I-B-C O I-B-C I-B-C I-B-C"),
        (Scheme.IOB2, "B-A B-A I-A B-B-C O B-B-C I-B-C I-B-C"),
        (Scheme.BMES, "S-A B-A E-A S-B-C O B-B-C M-B-C E-B-C"),
        (Scheme.BIOES, "S-A B-A E-A S-B-C O B-B-C I-B-C E-B-C"),
        (Scheme.BILUO, "U-A B-A L-A U-B-C O B-B-C I-B-C L-B-C"),
    ],
)
def test_each_scheme_writes_its_own_prefixes(scheme: Scheme, tags: str) -> None:
    assert spans_to_tags(SPANS, 8, scheme) == tuple(tags.split())
    assert tags_to_spans(tags.split(), scheme) == SPANS


def test_io_marks_the_inside_only_and_refuses_what_would_run_together() -> None:
    spans = (Span(0, 2, "A"), Span(2, 3, "B-C"), Span(4, 5, "B-C"))
    assert spans_to_tags(spans, 5, Scheme.IO) == ("I-A", "I-A", "I-B-C", "O", "I-B-C")
    assert tags_to_spans(["I-A", "I-A", "I-B-C", "O", "I-B-C"], Scheme.IO) == spans
    with pytest.raises(ValueError, match=r"IO cannot tell Span\(start=1, end=3, label='A'\)"):
        spans_to_tags(SPANS, 8, Scheme.IO)


@every_scheme
@untimed
@given(data=st.data())
def test_spans_survive_every_scheme(scheme: Scheme, data: st.DataObject) -> None:
    length, spans = data.draw(annotated(touching=scheme is not Scheme.IO))
    tags = spans_to_tags(spans, length, scheme)
    assert len(tags) == length
    assert tags_to_spans(tags, scheme) == spans
    assert parse_tags(list(tags), scheme) == (spans, ())
    assert {split_tag(tag)[0] for tag in tags} <= {"O", *prefixes(scheme)}


@untimed
@given(annotated())
def test_spans_may_come_in_any_order(annotation: tuple[int, tuple[Span, ...]]) -> None:
    length, spans = annotation
    in_order = spans_to_tags(spans, length, Scheme.BIOES)
    assert spans_to_tags(reversed(spans), length, Scheme.BIOES) == in_order


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 2, "A"), Span(1, 3, "A")], "overlaps the span before it, which ends at 2"),
        ([Span(0, 4, "A")], "outside a sentence of 3 tokens"),
        ([Span(-1, 1, "A")], "outside a sentence of 3 tokens"),
        ([Span(1, 1, "A")], "is empty"),
        ([Span(0, 1, "")], "has no label"),
    ],
)
def test_impossible_spans_are_refused(spans: list[Span], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spans_to_tags(spans, 3, Scheme.IOB2)


@pytest.mark.parametrize(
    ("tag", "parts"),
    [("O", ("O", "")), ("B-PER", ("B", "PER")), ("I-ORG-COMPANY", ("I", "ORG-COMPANY"))],
)
def test_a_tag_is_a_prefix_and_a_type(tag: str, parts: tuple[str, str]) -> None:
    assert split_tag(tag) == parts


@pytest.mark.parametrize("on_invalid", ["error", "repair", "drop"])
@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("PER", "neither O nor a prefix"),
        ("", "neither O nor a prefix"),
        ("o", "neither O nor a prefix"),
        ("B", "neither O nor a prefix"),
        ("B_PER", "neither O nor a prefix"),
        ("X-PER", "'X' is none of B, I"),
        ("O-PER", "'O' is none of B, I"),
        ("b-PER", "'b' is none of B, I"),
        ("-X-", "'' is none of B, I"),
        ("BI-PER", "'BI' is none of B, I"),
        ("B-", "no type behind the prefix"),
        ("E-PER", "'E-PER' is not a tag of IOB2, which has O, B-, I-"),
    ],
)
def test_what_is_no_tag_is_never_read(tag: str, message: str, on_invalid: str) -> None:
    with pytest.raises(TagError, match=message) as caught:
        tags_to_spans(["O", tag, tag], Scheme.IOB2, on_invalid=on_invalid)
    assert (caught.value.index, caught.value.tag, caught.value.reading) == (1, tag, None)
    assert str(caught.value).startswith("token 1: ")


@pytest.mark.parametrize(
    ("scheme", "tags", "spans", "readings"),
    [
        ("IOB2", "O I-A I-A", [(1, 3, "A")], {1: "B-A"}),
        ("IOB2", "B-A I-B-C", [(0, 1, "A"), (1, 2, "B-C")], {1: "B-B-C"}),
        ("IOB1", "O B-A I-A", [(1, 3, "A")], {1: "I-A"}),
        ("IOB1", "I-A B-B-C", [(0, 1, "A"), (1, 2, "B-C")], {1: "I-B-C"}),
        ("BMES", "M-A M-A E-A", [(0, 3, "A")], {0: "B-A"}),
        ("BMES", "B-A M-A O", [(0, 2, "A")], {1: "E-A"}),
        ("BIOES", "B-A O E-A", [(0, 1, "A"), (2, 3, "A")], {0: "S-A", 2: "S-A"}),
        ("BIOES", "B-A I-A B-A E-A", [(0, 2, "A"), (2, 4, "A")], {1: "E-A"}),
        ("BIOES", "S-A E-A", [(0, 1, "A"), (1, 2, "A")], {1: "S-A"}),
        (
            "BILUO",
            "U-A I-A L-B-C",
            [(0, 1, "A"), (1, 2, "A"), (2, 3, "B-C")],
            {1: "U-A", 2: "U-B-C"},
        ),
    ],
)
def test_broken_entities_are_errors_or_repaired_and_reported(
    scheme: str, tags: str, spans: list[tuple[int, int, str]], readings: dict[int, str]
) -> None:
    repaired, problems = parse_tags(tags.split(), Scheme(scheme))
    assert repaired == tuple(Span(*span) for span in spans)
    assert {problem.index: problem.reading for problem in problems} == readings
    assert tags_to_spans(tags.split(), Scheme(scheme), on_invalid="repair") == repaired
    whole = tags_to_spans(tags.split(), Scheme(scheme), on_invalid="drop")
    assert whole == tuple(s for s in repaired if not set(range(s.start, s.end)) & readings.keys())
    with pytest.raises(TagError) as caught:
        tags_to_spans(tags.split(), Scheme(scheme))
    assert caught.value.index == min(readings)


def test_the_message_shows_the_place_and_the_valid_tag() -> None:
    with pytest.raises(TagError) as caught:
        tags_to_spans(["O", "I-LOC"], Scheme.IOB2)
    message = "'I-LOC' between 'O' and the end is not valid in IOB2, which has 'B-LOC' there"
    assert str(caught.value) == f"token 1: {message}"


def test_an_unknown_way_to_handle_invalid_tags_is_refused() -> None:
    with pytest.raises(ValueError, match="'error', 'repair' or 'drop', not 'ignore'"):
        tags_to_spans(["O"], Scheme.IOB2, on_invalid="ignore")


# conlleval's convention as seqeval has it, for tags of its own letters.
CONLLEVAL = str.maketrans("MLU", "IES")


@every_scheme
@untimed
@given(data=st.data())
def test_any_tags_read_as_conlleval_reads_them(scheme: Scheme, data: st.DataObject) -> None:
    tags = data.draw(st.lists(st.sampled_from(tag_set(LABELS, scheme)), max_size=8))
    expected = [
        Span(start, end + 1, label)
        for label, start, end in get_entities(
            [tag[:1].translate(CONLLEVAL) + tag[1:] for tag in tags]
        )
    ]
    assert tags_to_spans(tags, scheme, on_invalid="repair") == tuple(expected)


@pytest.mark.parametrize(
    ("scheme", "strict"),
    [(Scheme.IOB2, IOB2), (Scheme.BIOES, IOBES), (Scheme.BILUO, BILOU)],
)
@untimed
@given(annotation=annotated())
def test_valid_tags_read_as_strict_seqeval_reads_them(
    scheme: Scheme, strict: type, annotation: tuple[int, tuple[Span, ...]]
) -> None:
    length, spans = annotation
    (found,) = Entities([list(spans_to_tags(spans, length, scheme))], strict).entities
    assert tuple(Span(entity.start, entity.end, entity.tag) for entity in found) == spans


@every_scheme
@untimed
@given(data=st.data())
def test_a_repaired_sentence_is_valid(scheme: Scheme, data: st.DataObject) -> None:
    tags = data.draw(st.lists(st.sampled_from(tag_set(LABELS, scheme)), max_size=8))
    spans, problems = parse_tags(tags, scheme)
    mended = {problem.index: problem.reading for problem in problems}
    assert parse_tags([mended.get(i, tag) for i, tag in enumerate(tags)], scheme) == (spans, ())


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("IO", "O I-A I-B"),
        ("IOB1", "O B-A I-A B-B I-B"),
        ("IOB2", "O B-A I-A B-B I-B"),
        ("BMES", "O B-A M-A E-A S-A B-B M-B E-B S-B"),
        ("BIOES", "O B-A I-A E-A S-A B-B I-B E-B S-B"),
        ("BILUO", "O B-A I-A L-A U-A B-B I-B L-B U-B"),
    ],
)
def test_tag_set_lists_types_in_the_order_given(scheme: str, expected: str) -> None:
    assert tag_set(["A", "B"], Scheme(scheme)) == tuple(expected.split())


@pytest.mark.parametrize("types", [["A", "A"], [""]])
def test_tag_set_refuses_repeated_and_empty_types(types: list[str]) -> None:
    with pytest.raises(ValueError, match="distinct and not empty"):
        tag_set(types, Scheme.IOB2)


def accepted(tags: tuple[str, ...], scheme: Scheme, length: int) -> set[tuple[str, ...]]:
    """All tag sequences that the transitions allow."""
    moves = allowed_transitions(tags, scheme)
    return {
        tuple(tags[i] for i in path)
        for path in product(range(len(tags)), repeat=length)
        if moves.start[path[0]]
        and moves.end[path[-1]]
        and all(moves.step[a, b] for a, b in pairwise(path))
    }


def strictly_readable(tags: tuple[str, ...], scheme: Scheme) -> bool:
    try:
        return spans_to_tags(tags_to_spans(tags, scheme), len(tags), scheme) == tags
    except TagError:
        return False


@every_scheme
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_transitions_allow_exactly_what_reads_back(scheme: Scheme, length: int) -> None:
    tags = tag_set(LABELS, scheme)
    allowed = accepted(tags, scheme, length)
    readable = {path for path in product(tags, repeat=length) if strictly_readable(path, scheme)}
    assert allowed == readable


@every_scheme
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_transitions_allow_exactly_what_spans_are_written_as(scheme: Scheme, length: int) -> None:
    written = set()
    for spans in all_annotations(length):
        pairs = pairwise(spans)
        if scheme is Scheme.IO and any(a.end == b.start and a.label == b.label for a, b in pairs):
            continue
        written.add(spans_to_tags(spans, length, scheme))
    assert accepted(tag_set(LABELS, scheme), scheme, length) == written


def test_transitions_of_one_type_written_out() -> None:
    moves = allowed_transitions(("O", "B-A", "I-A", "E-A", "S-A"), Scheme.BIOES)
    assert moves.start.tolist() == [True, True, False, False, True]
    assert moves.end.tolist() == [True, False, False, True, True]
    assert moves.step.astype(int).tolist() == [
        [1, 1, 0, 0, 1],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1],
        [1, 1, 0, 0, 1],
    ]


def test_transitions_refuse_tags_of_another_scheme() -> None:
    with pytest.raises(TagError, match="token 1: 'E-A' is not a tag of IOB2"):
        allowed_transitions(["O", "E-A"], Scheme.IOB2)


def test_transitions_of_no_tags_are_empty() -> None:
    moves = allowed_transitions([], Scheme.IOB2)
    assert (moves.start.shape, moves.step.shape, moves.end.shape) == ((0,), (0, 0), (0,))


def sequences(text: str) -> list[list[str]]:
    return [line.split() for line in text.split("/")]


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("", "IOB2"),
        ("O O/O", "IOB2"),
        ("I-A I-A O/I-A", "IO"),
        ("I-A B-A O/I-A", "IOB1"),
        ("B-A I-A O/B-A", "IOB2"),
        ("B-A B-A", "IOB2"),
        ("B-A M-A E-A/S-A", "BMES"),
        ("B-A I-A E-A", "BIOES"),
        ("S-A", "BIOES"),
        ("B-A E-A O", "BIOES"),
        ("B-A I-A L-A", "BILUO"),
        ("U-A", "BILUO"),
        # A few invalid tags among many do not change the verdict.
        ("/".join(["B-A I-A"] * 20 + ["O I-A"]), "IOB2"),
        ("/".join(["I-A I-A"] * 20 + ["O B-A"]), "IOB1"),
        ("/".join(["B-A M-A E-A"] * 5 + ["M-A E-A", "B-A M-A"]), "BMES"),
        ("/".join(["B-A I-A E-A"] * 5 + ["I-A E-A", "B-A I-A"]), "BIOES"),
    ],
)
def test_the_scheme_is_recognised(text: str, scheme: str) -> None:
    assert detect_scheme(sequences(text)) == scheme


@every_scheme
@untimed
@given(data=st.data())
def test_a_recognised_scheme_reads_the_same_entities(scheme: Scheme, data: st.DataObject) -> None:
    sentences = data.draw(st.lists(annotated(touching=scheme is not Scheme.IO), max_size=4))
    written = [spans_to_tags(spans, length, scheme) for length, spans in sentences]
    found = detect_scheme(written)
    assert [tags_to_spans(tags, found) for tags in written] == [spans for _, spans in sentences]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        # As many entities begin with B- as with I-.
        (
            "B-A O/O I-A",
            [
                "misfits with IOB2: 1 in 2 entities (first sequence 1, token 1: 'I-A' between",
                "misfits with IOB1: 1 in 2 entities (first sequence 0, token 0: 'B-A' between",
            ],
        ),
        ("B-A/B-A/B-A/I-A", ["misfits with IOB1: 3 in 4 entities"]),
        # Inside-outside-end: no entity begins as in BIOES.
        ("I-A E-A/I-A E-A", ["misfits with BIOES: 2 in 2 entities"]),
        (
            "B-A M-A E-A/I-A I-A",
            ["no scheme has all the prefixes found: B- (1), E- (1), I- (2), M-"],
        ),
        ("B-A L-A/B-A E-A", ["no scheme has all the prefixes found: B- (2), E- (1), L- (1)"]),
    ],
)
def test_doubts_about_the_scheme_are_errors(text: str, messages: list[str]) -> None:
    with pytest.raises(SchemeError) as caught:
        detect_scheme(sequences(text))
    for message in messages:
        assert message in str(caught.value)


def test_recognising_names_the_sequence_of_what_is_no_tag() -> None:
    with pytest.raises(TagError, match="sequence 1, token 2: 'X-A' is not a tag") as caught:
        detect_scheme([["O"], ["B-A", "I-A", "X-A"]])
    assert (caught.value.sequence, caught.value.index) == (1, 2)

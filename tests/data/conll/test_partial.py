"""Tags of tokens of which not all is known: read, written, refused."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.conll.partial import joined, open_counts
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Open, Sentence, Span
from tagbelt.errors import ConllError
from tagbelt.training.data_config import renamed

ROWS = "Ada B-PER\nmet ?\nBo ?\nin !PER!LOC\nOld B-?\nYork I-?\n. O\n"
PARTS = (Open(1, 3), Open(3, 4, ("LOC", "PER")), Open(4, 6, is_entity=True))


def read(content, **options):
    return read_conll(io.BytesIO(content.encode()), **options)


def test_tags_of_what_is_not_known_are_read_beside_those_of_the_scheme():
    corpus = read(ROWS)
    assert corpus.scheme is Scheme.IOB2
    (sentence,) = corpus.sentences
    assert sentence.spans == (Span(0, 1, "PER"),)
    assert sentence.open == PARTS
    assert open_counts(corpus.sentences) == (
        "2 tokens of which nothing is known (?), 1 tokens that are known not to be of a type"
        " (!TYPE), 1 entities without a type (B-?)"
    )


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("a O\nb !\n", 2, "'!' is not a tag: !TYPE or"),
        ("a O\nb !PER!\n", 2, "is not a tag: !TYPE or"),
        ("a O\nb !?\n", 2, "is not a tag: !TYPE or"),
        ("a B-PER\nb ??\n", 2, "'??' is not a tag"),
        ("a B-PER\nb O\nc ?\nd I-PER\n", 4, "'I-PER' between 'O' and the end is not valid in IOB2"),
        ("a B-PER\n\nb I-?\n", 3, "'I-?' between the start and the end is not valid in IOB2"),
    ],
)
def test_what_no_tagging_could_fit_is_refused_with_its_line(content, line, message):
    with pytest.raises(ConllError) as caught:
        read(content, scheme=Scheme.IOB2)
    assert caught.value.line == line
    assert message in str(caught.value)


@st.composite
def sentences(draw):
    length = draw(st.integers(1, 9))
    spans, parts, at = [], [], 0
    while at < length:
        end = draw(st.integers(at + 1, length))
        match draw(st.sampled_from(["span", "outside", "entity", "never", "unknown"])):
            case "span":
                spans.append(Span(at, end, draw(st.sampled_from(["PER", "X!y", "?a"]))))
            case "entity":
                parts.append(Open(at, end, is_entity=True))
            case "never":
                types = draw(st.sets(st.sampled_from(["PER", "ORG", "a-b"]), min_size=1))
                parts.append(Open(at, end, tuple(sorted(types))))
            case "unknown":
                parts.append(Open(at, end))
        at = end
    return Sentence(tuple("abcdefghi"[:length]), tuple(spans), open=joined(parts))


@given(
    st.lists(sentences(), min_size=1, max_size=4),
    st.sampled_from([Scheme.IOB1, Scheme.IOB2, Scheme.BMES, Scheme.BIOES, Scheme.BILUO]),
)
def test_what_is_written_reads_back(corpus, scheme):
    text = io.StringIO()
    write_conll(text, corpus, scheme=scheme)
    again = read(text.getvalue(), scheme=scheme).sentences
    assert [(s.tokens, s.spans, s.open) for s in again] == [
        (s.tokens, s.spans, s.open) for s in corpus
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence(("a",), (Span(0, 1, "?"),)),
        Sentence(("a",), (), open=(Open(0, 1, ("A!B",)),)),
        Sentence(("a", "b"), (Span(0, 2, "A"),), open=(Open(1, 2, is_entity=True),)),
    ],
)
def test_what_would_read_as_something_else_is_not_written(sentence):
    with pytest.raises(ValueError, match="cannot be written"):
        write_conll(io.StringIO(), [sentence])


def test_renaming_says_no_more_than_was_known():
    (sentence,) = read(ROWS).sentences
    assert renamed(sentence, {"PER": "person"}).open[1] == Open(3, 4, ("LOC", "person"))
    # Not LOC is not no place where FAC becomes one too.
    assert renamed(sentence, {"LOC": "place", "FAC": "place"}).open[1] == Open(3, 4, ("PER",))
    # An entity of any type may be of the one that is left out, and so none.
    assert renamed(sentence, {"MISC": ""}).open == (*PARTS[:2], Open(4, 6))

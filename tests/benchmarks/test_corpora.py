"""Corpora of the English model come under the guidelines; silver is what teachers agree on."""

from collections import Counter

import pytest

from benchmarks.accuracy.corpora import SOURCES, converted, cut_at_commas, write
from benchmarks.accuracy.silver import Opinion, agreed, believed
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import SEPARATORS, Open, Sentence, Span

PLACES = {"Austin", "Texas", "Cambridge", "Ohio"}


def marked(text: str) -> Sentence:
    """Read `[LOC Austin , Texas] is hot .`"""
    tokens: list[str] = []
    spans: list[Span] = []
    for word in text.split():
        if word.startswith("["):
            start, label = len(tokens), word[1:]
        else:
            tokens.append(word.rstrip("]"))
            if word.endswith("]"):
                spans.append(Span(start, len(tokens), label))
    return Sentence(tuple(tokens), tuple(spans))


@pytest.mark.parametrize(
    ("text", "found", "unknown"),
    [
        ("in [LOC Austin , Texas] .", "LOC Austin|LOC Texas", ""),
        ("in [LOC Xia , Yun , Zeb] .", "LOC Xia|LOC Yun|LOC Zeb", ""),
        ("in [LOC Washington , D.C.] .", "LOC Washington , D.C.", ""),
        ("in [ORG Austin , Texas] .", "LOC Austin|LOC Texas", ""),
        ("at [ORG Trinity College , Cambridge] .", "ORG Trinity College|LOC Cambridge", ""),
        ("at [ORG Trinity College , Oxenford] .", "ORG Trinity College", "Oxenford"),
        ("by [ORG Xia , Inc.] .", "ORG Xia , Inc.", ""),
        ("by [ORG Ohio , Erie and Texas Railway]", "ORG Ohio , Erie and Texas Railway", ""),
        ("by [PER John Xia , Jr .]", "PER John Xia , Jr .", ""),
        ("by [PER Xia , John]", "PER Xia , John", ""),
        ("by [PER John Xia , Earl of Yun]", "PER John Xia", "Earl of Yun"),
    ],
)
def test_names_are_cut_at_commas(text, found, unknown):
    cut = cut_at_commas(marked(text), PLACES)
    names = [f"{s.label} {' '.join(cut.tokens[s.start : s.end])}" for s in cut.spans]
    assert "|".join(names) == found
    assert " ".join(" ".join(cut.tokens[o.start : o.end]) for o in cut.open) == unknown


def test_what_wikiann_calls_organisations_and_is_none_goes():
    source = next(s for s in SOURCES if s.name == "wikiann.train")
    sentences = [
        marked("He later wrote the story of `` [ORG Silent Roads] '' in [LOC Ohio] ."),
        marked("[ORG 2004 Ohio Games]"),
        marked("She won at the [ORG 2004 Ohio Games] in [LOC Ohio] ."),
        marked("[ORG Silent Roads]"),
        marked("[LOC Xia ( town )]"),
        marked("[PER John Xia]"),
    ]
    first, second, third = converted(source, sentences, set(), PLACES)
    assert [s.label for s in first.spans] == [s.label for s in second.spans] == ["LOC"]
    assert third == sentences[-1]


def test_a_file_with_unknown_tokens_is_read_back(tmp_path):
    sentence = Sentence(("Xia", "of", "Yun"), (Span(0, 1, "PER"),), open=(Open(1, 3),))
    write(tmp_path / "some.conll", [sentence])
    separator = SEPARATORS["tab"]
    (read,) = read_conll(
        tmp_path / "some.conll", columns=("token", "tag"), separator=separator
    ).sentences
    assert (read.tokens, read.spans, read.open) == (
        sentence.tokens,
        sentence.spans,
        sentence.open,
    )


SURELY = Counter({"O": 0.99})


def test_silver_has_what_teachers_agree_on_and_opens_the_rest():
    tokens = ["Xia", "met", "Yun", "."]
    tags = [Counter({"B-PER": 0.9}), SURELY, Counter({"O": 0.6, "B-LOC": 0.4}), SURELY]
    entities = Counter({Span(0, 1, "PER"): 0.9, Span(2, 3, "LOC"): 0.3})
    made = agreed(tokens, Opinion(tags, entities))
    assert made.spans == (Span(0, 1, "PER"),)
    assert made.open == (Open(2, 3),)


def test_marks_of_a_corpus_that_no_teacher_believes_are_open():
    sentence = Sentence(("Xia", "met", "Yun", "Ohio"), (Span(0, 1, "PER"), Span(2, 3, "ORG")))
    tags = [Counter({"B-PER": 0.9}), SURELY, SURELY, Counter({"B-LOC": 0.95, "O": 0.05})]
    made = believed(sentence, Opinion(tags, Counter({Span(0, 1, "PER"): 0.9})))
    assert made.spans == (Span(0, 1, "PER"),)
    assert made.open == (Open(2, 4),)

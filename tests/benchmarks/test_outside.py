"""Taggers on what all have names for."""

import numpy as np
import pytest

from benchmarks.accuracy.everyday import FOLDER, read_marked
from benchmarks.accuracy.outside import GOLD, OURS, PEER_TYPES, SPACY, compared, everyday, mapped
from tagbelt.data.types import Sentence, Span

SENTENCES = [
    Sentence(("Ann", "saw", "Rome"), (Span(0, 1, "PER"),)),
    Sentence(("the", "Beatles"), (Span(1, 2, "ORG"),)),
]
OTHERS = [(Span(0, 1, "PER"), Span(2, 3, "LOC")), ()]


def test_the_first_system_is_compared_with_each_other():
    right = [sentence.spans for sentence in SENTENCES]
    us, them = compared("toy", SENTENCES, {"ours": right, "theirs": OTHERS})
    assert us["scores"]["all"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2}
    assert them["scores"]["all"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert them["scores"]["ORG"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert them["behind"] == pytest.approx(0.5)
    assert us["tokens"] == 5
    assert "behind" not in us


def test_a_mapping_keeps_places_and_renames_types():
    rows = [(Span(0, 2, "GPE"), Span(3, 4, "NORP"), Span(5, 6, "FAC"))]
    assert mapped(rows, SPACY) == [(Span(0, 2, "LOC"), Span(5, 6, "LOC"))]


def test_all_mappings_end_in_the_labels_that_all_have():
    types = [gold.types for sets in GOLD.values() for gold in sets]
    for mapping in (*PEER_TYPES.values(), *types):
        assert set(mapping.values()) == set(OURS)


@pytest.mark.parametrize(("language", "unit"), [("en", "word"), ("zh", "character")])
def test_everyday_entities_are_those_of_the_texts(language, unit):
    marked = list(read_marked(FOLDER / f"{language}.txt"))
    for sentence, text in zip(everyday(language, unit), marked, strict=True):
        assert [span.label for span in sentence.spans] == [span.label for span in text.spans]
        for found, span in zip(sentence.spans, text.spans, strict=True):
            entity = "".join(sentence.tokens[found.start : found.end])
            # A token is the least that can be marked: a point may go with it.
            assert text.text[span.start : span.end].replace(" ", "") in entity
    assert np.mean([len(s.tokens) for s in everyday(language, unit)]) > 5

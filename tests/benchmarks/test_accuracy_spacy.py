"""Two taggers on what both have names for."""

import pytest

from benchmarks.accuracy.spacy import GOLD, OURS, SPACY, Gold, compared, mapped
from tagbelt.data.types import Sentence, Span

GOLD_FILE = Gold("toy", "toy.txt", ("token", "tag"), {"person": "PER", "group": "ORG"})

SENTENCES = [
    Sentence(("Ann", "saw", "Rome"), (Span(0, 1, "person"), Span(2, 3, "location"))),
    Sentence(("the", "Beatles"), (Span(1, 2, "group"),)),
]


def ours(tokens):
    assert tokens == [["Ann", "saw", "Rome"], ["the", "Beatles"]]
    return [["B-PER", "O", "O"], ["O", "B-ORG"]]


def spacys(tokens):
    assert len(tokens) == 2
    return [["B-PERSON", "O", "B-GPE"], ["B-WORK_OF_ART", "I-WORK_OF_ART"]]


def test_types_are_mapped_and_others_left_out_on_both_sides():
    us, them = compared(GOLD_FILE, SENTENCES, ours, spacys)
    assert us["scores"]["all"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2}
    # Gold has no places here, so that Rome is wrong; the work of art is not looked at.
    assert them["scores"]["all"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert them["scores"]["PER"]["f1"] == 1.0
    assert them["scores"]["ORG"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert us["difference"] == pytest.approx(0.5)
    assert us["tokens"] == 5
    assert "difference" not in them


def test_a_mapping_keeps_places_and_renames_types():
    rows = [(Span(0, 2, "GPE"), Span(3, 4, "NORP"), Span(5, 6, "FAC"))]
    assert mapped(rows, SPACY) == [(Span(0, 2, "LOC"), Span(5, 6, "LOC"))]


def test_all_mappings_end_in_the_labels_of_the_bundled_model():
    for types in (SPACY, *(gold.types for gold in GOLD)):
        assert set(types.values()) == set(OURS)

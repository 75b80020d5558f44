from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.training.analysis.figures import RETYPED, SEEN, UNSEEN, by_familiarity, by_length
from tagbelt.training.scores.evaluate import span_score
from tests.training.analysis.items import item, items

BY_LENGTH = {
    "word": [(1, 1), (2, 2), (3, 3), (4, 4), (5, 99)],
    "character": [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 9), (10, 99)],
}


def scored(tagged, belongs):
    """Gold, predicted, precision, recall and F1 of the entities that belong to a group."""
    gold = [[span for span in entry.gold if belongs(entry, span)] for entry in tagged]
    found = [[span for span in entry.found if belongs(entry, span)] for entry in tagged]
    score = span_score(gold, found)
    counts = sum(map(len, gold)), sum(map(len, found))
    return (*counts, score.precision, score.recall, score.f1)


@pytest.mark.parametrize("unit", BY_LENGTH)
@given(tagged=st.lists(items(), max_size=5))
def test_lengths_are_scored_as_if_there_were_no_others(unit, tagged):
    def belongs(low, high):
        return lambda _, span: low <= span.end - span.start <= high

    wanted = [scored(tagged, belongs(*bounds)) for bounds in BY_LENGTH[unit]]
    rows = by_length(tagged, unit)
    assert [astuple(row)[1:] for row in rows] == [row for row in wanted if row[0] or row[1]]


def test_groups_are_named_by_their_bounds():
    tagged = [item(" ".join("x" * 30), [(0, 1, "A"), (1, 6, "A"), (6, 14, "A"), (14, 24, "A")])]
    assert [row.name for row in by_length(tagged, "character")] == [
        "1",
        "5 to 6",
        "7 to 9",
        "10 or more",
    ]
    assert [row.name for row in by_length(tagged, "word")] == ["1", "5 or more"]


@given(st.lists(items(), max_size=5), st.sets(st.sampled_from(["a", "b", "a b", "b a b"])))
def test_an_entity_goes_by_how_it_is_written_and_by_its_type(tagged, known):
    surfaces = {words: {"PER"} for words in known}

    def belongs(name):
        def test(entry, span):
            if " ".join(entry.tokens[span.start : span.end]) not in known:
                return name == UNSEEN
            return name == (SEEN if span.label == "PER" else RETYPED)

        return test

    names = (SEEN, RETYPED, UNSEEN)
    wanted = {name: scored(tagged, belongs(name)) for name in names}
    rows = {row.name: astuple(row)[1:] for row in by_familiarity(tagged, surfaces)}
    assert rows == {name: row for name, row in wanted.items() if row[0] or row[1]}

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.training.analysis.figures import confusion
from tests.training.analysis.items import LABELS, item, items


def test_each_way_to_be_wrong_has_its_place():
    counts = confusion(
        [
            item("a b c d e f", [(0, 1, "PER"), (2, 4, "LOC")], [(0, 1, "ORG"), (2, 3, "LOC")]),
            item("a b c", [(0, 1, "PER")], [(2, 3, "ORG")]),
            item("a b", [(0, 2, "LOC")], [(0, 2, "LOC")]),
        ],
        LABELS,
    )
    assert counts.labels == LABELS
    assert counts.same_bounds == ((0, 0, 1), (0, 1, 0), (0, 0, 0))
    assert counts.gold_overlapped == (0, 1, 0)
    assert counts.missed == (1, 0, 0)
    assert counts.found_overlapped == (0, 1, 0)
    assert counts.spurious == (0, 0, 1)


def test_types_that_only_gold_has_stand_last():
    counts = confusion([item("a", [(0, 1, "LAW")]), item("b", [(0, 1, "ACT")])], ("PER",))
    assert counts.labels == ("PER", "ACT", "LAW")
    assert counts.missed == (0, 1, 1)


@given(st.lists(items(), max_size=5))
def test_every_entity_is_counted_once_on_each_side(tagged):
    counts = confusion(tagged, LABELS)
    for index, label in enumerate(LABELS):
        gold = sum(span.label == label for entry in tagged for span in entry.gold)
        found = sum(span.label == label for entry in tagged for span in entry.found)
        row, column = counts.same_bounds[index], [line[index] for line in counts.same_bounds]
        assert sum(row) + counts.gold_overlapped[index] + counts.missed[index] == gold
        assert sum(column) + counts.found_overlapped[index] + counts.spurious[index] == found
        right = sum(span.label == label for entry in tagged for span in entry.true)
        assert row[index] == right

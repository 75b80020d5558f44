from hypothesis import given
from hypothesis import strategies as st

from tagbelt.training.analysis.figures import count_kinds, overlap, wrong_sentences
from tests.training.analysis.items import item, items


def test_mistakes_have_a_kind_and_how_sure_the_model_was():
    entry = item(
        "a b c d e f g h",
        [(0, 1, "PER"), (1, 3, "LOC"), (5, 7, "ORG")],
        [(0, 1, "ORG"), (1, 2, "LOC"), (4, 5, "PER")],
        scores=[0.9, 0.6, 0.7],
        outside=[0.0, 0.0, 0.0, 0.0, 0.0, 0.99, 0.8, 1.0],
    )
    (wrong,) = wrong_sentences([entry])
    told = [(m.kind, m.span.start, m.sure) for m in wrong.mistakes]
    assert told == [("type", 0, 0.9), ("missed", 5, 0.8), ("spurious", 4, 0.7), ("bounds", 1, 0.6)]
    assert wrong.sure == 0.9
    assert count_kinds([wrong]) == {"type": 1, "bounds": 1, "spurious": 1, "missed": 1}


def test_the_surest_come_first_and_others_as_in_the_file():
    tagged = [
        item("a", [], [(0, 1, "PER")], scores=[score], line=line)
        for line, score in enumerate([0.2, 0.9, 0.5, 0.9])
    ]
    right = item("a", [(0, 1, "PER")], [(0, 1, "PER")])
    assert [wrong.item.line for wrong in wrong_sentences([right, *tagged])] == [1, 3, 2, 0]


@given(st.lists(items(), max_size=5))
def test_all_that_is_wrong_is_told_once(tagged):
    wrong = wrong_sentences(tagged)
    assert [w.sure for w in wrong] == sorted((w.sure for w in wrong), reverse=True)
    told = [(w.item, mistake.span) for w in wrong for mistake in w.mistakes]
    wanted = [(entry, span) for entry in tagged for span in entry.found if span not in entry.gold]
    wanted += [
        (entry, span)
        for entry in tagged
        for span in entry.gold
        if not any(overlap(span, other) for other in entry.found)
    ]
    assert sorted(told, key=repr) == sorted(wanted, key=repr)

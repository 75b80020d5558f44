import io

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checking.statistics import Lengths, describe_files, lengths
from tagbelt.data.conll.reading import annotate, read_tolerantly


def described(*texts):
    return describe_files([annotate(read_tolerantly(io.BytesIO(t.encode("utf-8")))) for t in texts])


TRAIN = "-DOCSTART- O\n\nAda B-PER\nLovelace I-PER\nsleeps O\n\n-DOCSTART- O\n\nRome B-LOC\n"


def test_the_numbers_of_a_file():
    (train,) = described(TRAIN)
    assert (train.documents, train.sentences, train.tokens, train.entities) == (2, 2, 4, 2)
    assert (train.scheme, train.unit, train.labels) == ("IOB2", "word", {"LOC": 1, "PER": 1})
    assert train.sentence_lengths == Lengths(1, 3, 3)
    assert train.entity_lengths == Lengths(1, 2, 2)
    assert (train.unseen_entities, train.unseen_tokens, train.faults) == (None, None, 0)


def test_later_files_are_compared_with_all_before_them():
    dev = "Rome B-LOC\n\nRome B-PER\n\nAda B-PER\n\nOslo B-LOC\n"
    _, second, third = described(TRAIN, dev, dev)
    assert (second.unseen_entities, second.unseen_tokens) == (0.75, 0.25)
    assert (third.unseen_entities, third.unseen_tokens) == (0.0, 0.0)


def test_characters_are_told_from_words():
    assert described("中 O\n国 B-LOC\n\n人 O\n")[0].unit == "character"


def test_an_empty_file_has_no_shares():
    _, empty = described(TRAIN, "")
    assert (empty.sentences, empty.unseen_entities, empty.sentence_lengths) == (
        0,
        None,
        Lengths(0, 0, 0),
    )


@given(st.lists(st.integers(0, 50), min_size=1))
def test_percentiles_are_nearest_ranks(values):
    found = lengths(values)
    for value, percent in ((found.median, 50), (found.p95, 95), (found.longest, 100)):
        assert value in values
        assert sum(v <= value for v in values) >= percent * len(values) / 100
        assert sum(v < value for v in values) < percent * len(values) / 100

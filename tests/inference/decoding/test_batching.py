import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.inference.decoding.decoder import batches


@given(st.lists(st.integers(0, 400), max_size=200), st.integers(1, 2000))
def test_laws(lengths, budget):
    lengths = np.array(lengths, np.intp)
    made = batches(lengths, budget)
    together = np.concatenate([np.zeros(0, np.intp), *made])
    assert sorted(together.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[together]) <= 0).all()
    for batch in made:
        longest = lengths[batch[0]]
        assert len(batch) == 1 or longest * len(batch) <= budget
        # Far shorter sentences come along only where a call of their own would cost more.
        assert longest * (len(batch) - 1) < 256 or lengths[batch[-1]] >= 0.75 * longest


def test_a_batch_is_filled_before_the_next_begins():
    made = batches(np.full(1000, 10), 640)
    assert [len(batch) for batch in made] == [64] * 15 + [40]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=400), st.integers(1, 4000))
def test_but_for_the_last_a_batch_has_few_rows_or_sixteens(lengths, budget):
    made = batches(np.array(lengths, np.intp), budget)
    assert all(len(batch) <= 16 or len(batch) % 16 == 0 for batch in made[:-1])


def test_equal_lengths_keep_their_order():
    lengths = np.array([2, 3, 2, 3, 2])
    assert np.concatenate(batches(lengths, 100)).tolist() == [1, 3, 0, 2, 4]


def test_one_long_sentence_does_not_pad_the_short_ones():
    lengths = np.array([300, *[5] * 49])
    assert [len(batch) for batch in batches(lengths, 4096)] == [1, 49]

"""Batches of close lengths, and windows over long sentences."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.inference.decoding.decoder import batches, windows

SETTINGS = [(1, 0), (2, 0), (2, 1), (5, 0), (5, 2), (5, 4), (8, 3), (16, 2)]


@given(st.lists(st.integers(0, 400), max_size=200), st.integers(1, 2000))
def test_batches_hold_each_sentence_once_within_the_budget(lengths, budget):
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


@pytest.mark.parametrize(("limit", "overlap"), SETTINGS)
def test_windows_keep_each_token_once_and_share_their_overlap(limit, overlap):
    for length in range(0, 6 * limit + 7):
        cut = windows(length, limit, overlap)
        kept = [token for window in cut for token in range(window.keep, window.keep_stop)]
        assert kept == list(range(length))
        for window in cut:
            assert 0 <= window.start <= window.keep <= window.keep_stop <= window.stop <= length
        sizes = {window.stop - window.start for window in cut}
        assert len(sizes) == 1
        assert max(sizes) <= limit
        if len(cut) > 1:  # a window shorter would leave them too little to share
            count = len(cut)
            assert (max(sizes) - 1) * count < length + overlap * (count - 1)
        for left, right in pairwise(cut):
            assert left.start < right.start
            assert left.stop - right.start >= overlap


@pytest.mark.parametrize(("limit", "overlap"), SETTINGS)
def test_a_token_is_kept_where_it_stands_most_central(limit, overlap):
    for length in range(limit + 1, 6 * limit):
        cut = windows(length, limit, overlap)
        for window in cut:
            for token in range(window.keep, window.keep_stop):
                margins = [
                    min(token - other.start, other.stop - 1 - token)
                    for other in cut
                    if other.start <= token < other.stop
                    # The sentence's own edges cut nothing off.
                    and not (other.start == 0 and token < other.stop // 2)
                    and not (other.stop == length and token >= (other.start + length) // 2)
                ]
                own = min(token - window.start, window.stop - 1 - token)
                assert own >= max(margins, default=0)


def test_no_more_windows_than_needed():
    assert len(windows(256, 256, 32)) == 1
    assert len(windows(257, 256, 32)) == 2
    assert len(windows(256 + 224, 256, 32)) == 2
    assert len(windows(256 + 225, 256, 32)) == 3


@pytest.mark.parametrize(("limit", "overlap"), [(4, 4), (4, 5), (4, -1), (0, 0)])
def test_an_overlap_as_long_as_a_window_is_refused(limit, overlap):
    with pytest.raises(ValueError, match=f"a window of {limit} tokens cannot overlap"):
        windows(10, limit, overlap)

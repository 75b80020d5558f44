"""The most probable words, against trying every choice."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon.matching import Matches
from tagbelt.data.lexicon.segmentation import Segmenter, best_schedule

INTERVALS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 4), st.integers(-3, 6)), max_size=8
)


def columns(rows):
    """Intervals (start, length, gain) as the arrays of starts, ends and gains, by rising end."""
    rows = sorted((start + length, start, gain) for start, length, gain in rows)
    ends, starts, gains = np.array(rows, np.int64).reshape(-1, 3).T
    return starts, ends, gains


def disjoint(starts, ends):
    return bool((starts[1:] >= ends[:-1]).all())


@given(INTERVALS)
def test_no_other_choice_of_intervals_gains_more(rows):
    starts, ends, gains = columns(rows)
    chosen = best_schedule(starts, ends, gains)
    assert disjoint(starts[chosen], ends[chosen])
    assert (gains[chosen] > 0).all()
    best = max(
        gains[list(some)].sum()
        for size in range(len(rows) + 1)
        for some in combinations(range(len(rows)), size)
        if disjoint(starts[list(some)], ends[list(some)])
    )
    assert gains[chosen].sum() == best


@given(INTERVALS, INTERVALS)
def test_what_lies_apart_is_chosen_apart(left, right):
    first, second = columns(left), columns(right)
    shifted = (second[0] + 100, second[1] + 100, second[2])
    both = best_schedule(*map(np.concatenate, zip(first, shifted, strict=True)))
    apart = [*best_schedule(*first), *best_schedule(*second) + len(left)]
    assert both.tolist() == apart


def test_of_equal_choices_the_one_that_ends_first_is_taken():
    starts, ends, gains = columns([(0, 2, 3), (1, 2, 3), (2, 2, 0)])
    assert best_schedule(starts, ends, gains).tolist() == [0]


def found_words(weights):
    """Which of the matches "ab", "a" and "b" are words of the text "ab", given their weights."""
    long = Matches(*np.array([[0], [2], [2]]))
    short = Matches(*np.array([[0, 1], [1, 2], [0, 1]]))
    codes = np.array([1, 2], np.uint32)
    return Segmenter(np.array(weights), np.array([0.0, *weights[:2]])).words(long, short, codes)


def test_a_word_must_be_more_probable_than_its_tokens_one_by_one():
    # Of 220 in all, 60 / 220 against 60 / 220 * 100 / 220.
    assert found_words([60.0, 100.0, 60.0]).tolist() == [True, False, False]
    # Of 190 in all, 30 / 190 against 60 / 190 * 100 / 190.
    assert found_words([60.0, 100.0, 30.0]).tolist() == [False, True, True]


def test_a_token_without_weight_is_as_rare_as_the_rarest_word():
    # "a" is no word here, but counts as one of weight 1 in 2 / T against 1 / T * 100 / T.
    assert found_words([0.0, 100.0, 2.0]).tolist() == [True, False, False]
    assert found_words([0.0, 100.0, 0.0]).tolist() == [False, False, True]

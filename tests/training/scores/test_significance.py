import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from tagbelt.data.types import Span
from tagbelt.training.scores.evaluate import span_score
from tagbelt.training.scores.significance import (
    count,
    f1_interval,
    f1_of,
    paired_bootstrap,
    welch_test,
)

SPANS = st.lists(
    st.builds(Span, st.integers(0, 3), st.just(4), st.sampled_from("AB")), unique=True, max_size=4
)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1)


def counts_of(rows):
    """Counts that can be: what is right is found and is gold."""
    return np.array([(right, right + wrong, right + missed) for right, wrong, missed in rows])


@given(st.lists(st.tuples(SPANS, SPANS), max_size=5))
def test_counts_sum_up_to_the_score_of_all(sentences):
    gold, found = [pair[0] for pair in sentences], [pair[1] for pair in sentences]
    counts = count(gold, found)
    assert counts.shape == (len(sentences), 3)
    assert f1_of(counts.sum(axis=0)) == pytest.approx(span_score(gold, found).f1)


def f1(rows):
    right, found, gold = (sum(row[i] for row in rows) for i in range(3))
    return 2 * right / (found + gold) if found + gold else 0.0


def all_differences(a, b):
    """The differences of mean F1 on each of the N^N samples, all equally probable."""
    indices = range(len(a[0]))
    for drawn in itertools.product(indices, repeat=len(indices)):
        first, second = ([f1([c[i] for i in drawn]) for c in side] for side in (a, b))
        yield sum(second) / len(second) - sum(first) / len(first)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            [[(1, 1, 0), (0, 1, 1), (2, 0, 0), (1, 0, 2)]],
            [[(1, 0, 0), (1, 0, 0), (2, 1, 0), (1, 0, 2)]],
        ),
        (
            [[(1, 1, 0), (0, 1, 1), (2, 0, 0)], [(0, 0, 1), (0, 0, 1), (2, 0, 0)]],
            [[(1, 0, 0), (1, 2, 0), (1, 1, 1)], [(1, 0, 0), (1, 0, 0), (2, 0, 0)]],
        ),
    ],
)
def test_the_bootstrap_comes_near_to_all_samples_there_are(a, b):
    a, b = ([counts_of(rows) for rows in side] for side in (a, b))
    exact = np.array(list(all_differences(a, b)))
    difference = np.mean([f1(c) for c in b]) - np.mean([f1(c) for c in a])
    p = np.mean(np.abs(exact - difference) >= abs(difference) - 1e-12)
    found = paired_bootstrap(a, b, samples=40_000)
    assert found.p == pytest.approx(p, abs=0.01)
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        assert np.mean(exact <= end + 1e-9) >= share - 0.005
        assert np.mean(exact < end - 1e-9) <= share + 0.005


@given(ROWS, st.randoms())
def test_neither_the_order_of_sentences_nor_a_second_call_changes_anything(rows, random):
    a = counts_of(rows)
    b = counts_of([(missed, wrong, right) for right, wrong, missed in rows])
    found = paired_bootstrap([a], [b], samples=50)
    order = random.sample(range(len(a)), len(a))
    assert paired_bootstrap([a[order]], [b[order]], samples=50) == found
    assert 0 < found.p <= 1
    assert -1 <= found.low <= found.high <= 1


@given(ROWS)
def test_a_model_does_not_differ_from_itself(rows):
    counts = counts_of(rows)
    found = paired_bootstrap([counts], [counts, counts], samples=20)
    assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)


def test_of_models_that_are_equally_good_few_seem_to_differ():
    """Each finds its own half of 300 entities: at 5 %, about one pair in twenty seems to differ."""
    generator = np.random.default_rng(7)
    small = 0
    for _ in range(300):
        a, b = (np.ones((300, 3), dtype=int) for _ in range(2))
        a[:, 0], b[:, 0] = generator.random((2, 300)) < 0.5
        small += paired_bootstrap([a], [b], samples=400).p < 0.05
    assert 5 <= small <= 30


def test_a_clear_difference_is_one_however_few_samples():
    a, b = (np.ones((200, 3), dtype=int) for _ in range(2))
    a[:100, 0] = 0
    found = paired_bootstrap([a], [b], samples=999)
    assert found.p == 1 / 1000
    assert found.low > 0.4


@pytest.mark.parametrize("sides", [([], [np.ones((2, 3))]), ([np.ones((0, 3))], [np.ones((0, 3))])])
def test_a_bootstrap_of_nothing_is_refused(sides):
    with pytest.raises(ValueError, match="a bootstrap needs"):
        paired_bootstrap(*sides, samples=10)


VALUES = st.lists(st.integers(800, 950).map(lambda n: n / 1000), min_size=2, max_size=6)


@given(VALUES, VALUES)
def test_welchs_test_is_that_of_scipy(a, b):
    found = welch_test(a, b)
    if np.ptp(a) == np.ptp(b) == 0:
        assert found is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a side without spread
        theirs = ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_seeds_are_not_tested_where_there_is_one():
    assert welch_test([0.9], [0.8, 0.7]) is None
    assert welch_test([0.9, 0.8], [0.7]) is None


@pytest.mark.parametrize(("right", "wrong"), [(1, 1), (5, 5), (30, 8), (300, 80)])
def test_the_interval_holds_the_score_and_narrows_with_more_entities(right, wrong):
    f1 = 2 * right / (2 * right + wrong)
    low, high = f1_interval(right, wrong)
    assert 0.0 < low < f1 < high < 1.0
    nearer = f1_interval(10 * right, 10 * wrong)
    assert low < nearer[0] < f1 < nearer[1] < high


def test_the_interval_covers_nineteen_of_twenty_samples():
    """Samples of a model whose every entity is right, missed or spurious by chance."""
    rng = np.random.default_rng(5)
    chances = (0.6, 0.4)  # right, else missed or spurious: F1 is 2 * 0.6 / (2 * 0.6 + 0.4)
    truth = 1.2 / 1.6
    covered = 0
    for right, wrong in rng.multinomial(80, chances, 300):
        low, high = f1_interval(right, wrong, samples=2000)
        covered += low <= truth <= high
    assert 0.91 < covered / 300 < 0.985

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.training.scores.calibration import reliability

SCORES = st.floats(0.0, 1.0) | st.integers(0, 10).map(lambda tenth: tenth / 10)
PAIRS = st.lists(st.tuples(SCORES, st.booleans()), max_size=60)


def measured(pairs, **options):
    scores = np.array([score for score, _ in pairs], np.float64)
    return reliability(scores, np.array([right for _, right in pairs], np.bool_), **options)


def expected_error(groups, total):
    error = 0.0
    for group in groups:
        if group:
            right = sum(is_right for _, is_right in group) / len(group)
            mean = sum(score for score, _ in group) / len(group)
            error += len(group) / total * abs(right - mean)
    return error


@given(PAIRS)
def test_errors_are_those_of_the_definition(pairs):
    bins = [[] for _ in range(10)]
    for pair in pairs:
        index = max(i for i in range(10) if pair[0] >= i / 10)
        bins[index].append(pair)
    ordered = sorted(pairs, key=lambda pair: pair[0])
    larger, size = len(pairs) % 10, len(pairs) // 10
    equal = []
    for index in range(10):
        count = size + (index < larger)
        equal.append(ordered[:count])
        ordered = ordered[count:]
    found = measured(pairs)
    assert found.entities == len(pairs)
    assert [part.count for part in found.bins] == list(map(len, bins))
    assert found.error == pytest.approx(expected_error(bins, len(pairs)), abs=1e-12)
    assert found.error_equal_counts == pytest.approx(expected_error(equal, len(pairs)), abs=1e-12)


def test_an_edge_belongs_to_the_bin_that_begins_there_and_one_to_the_last():
    found = measured([(0.3, True), (0.29, False), (1.0, True), (0.0, False)])
    assert [part.count for part in found.bins] == [1, 0, 1, 1, 0, 0, 0, 0, 0, 1]
    assert found.bins[3].accuracy == 1.0
    assert found.bins[3].confidence == pytest.approx(0.3)


def test_what_is_right_as_often_as_it_says_has_no_error():
    pairs = [(0.75, index % 4 != 0) for index in range(40)]
    assert measured(pairs).error == 0.0
    assert measured([(0.95, right) for _, right in pairs]).error == pytest.approx(0.2)


def test_no_entity_has_no_error():
    found = measured([])
    assert found.error == found.error_equal_counts == 0.0

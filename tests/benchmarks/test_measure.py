import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.common.measure import interleaved, percentile, ratio, spread

NUMBERS = st.floats(min_value=1e-6, max_value=1e6)


def test_candidates_take_turns_and_each_round_starts_with_another():
    calls = []

    def candidate(name):
        def run():
            calls.append(name)
            return float(len(calls))

        return run

    series = interleaved({name: candidate(name) for name in "abc"}, 4)

    assert "".join(calls) == "abcbcacababc"
    assert series == {"a": [1, 6, 8, 10], "b": [2, 4, 9, 11], "c": [3, 5, 7, 12]}


def test_every_round_is_told():
    told = []
    interleaved({"a": lambda: 1.0}, 2, tell=told.append)
    assert told == ["round 1 of 2", "round 2 of 2"]


@given(st.lists(NUMBERS, min_size=1))
def test_spread_is_ordered_and_keeps_the_values(values):
    found = spread(values)

    assert found["values"] == values
    assert found["median"] == pytest.approx(statistics.median(values))
    ordered = [found[name] for name in ("min", "q1", "median", "q3", "max")]
    assert ordered == sorted(ordered)


def test_spread_of_known_values():
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert [found[name] for name in ("min", "q1", "median", "q3", "max")] == [1, 2, 3, 4, 5]


def test_ratios_are_of_one_round_each():
    # The machine was half as fast in the second round: the ratio does not notice.
    assert ratio([8.0, 4.0, 8.0], [2.0, 1.0, 4.0])["values"] == [4.0, 4.0, 2.0]
    assert ratio([8.0, 4.0, 8.0], [2.0, 1.0, 4.0])["median"] == 4.0


def test_rounds_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


@given(st.lists(NUMBERS, min_size=1), st.floats(min_value=0.01, max_value=1.0))
def test_percentile_is_the_least_value_that_enough_do_not_exceed(values, share):
    found = percentile(values, share)

    def reaching(limit):
        return sum(value <= limit for value in values)

    assert found in values
    assert reaching(found) >= share * len(values)
    below = [value for value in values if value < found]
    assert not below or reaching(max(below)) < share * len(values)


@pytest.mark.parametrize("function", [spread, lambda values: percentile(values, 0.5)])
def test_nothing_has_no_median(function):
    with pytest.raises(ValueError, match="no values"):
        function([])

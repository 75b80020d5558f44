"""Lists of best sequences against all sequences, and against another algorithm."""

from dataclasses import dataclass
from itertools import product
from math import exp
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.inference.crf.algorithms import viterbi
from tagbelt.inference.crf.reference import STEPS
from tagbelt.inference.decoding.nbest import LazyList, best_choices, best_paths
from tests.inference.problems import SCHEMES, all_paths, problems, random_problem

EVERY_SCHEME = [Scheme.IOB2, Scheme.BMES, Scheme.BIOES, Scheme.BILUO]


@dataclass
class Listed:
    """The best sequences of a row [n, T] and the logarithms of their probabilities [n]."""

    paths: list[tuple[int, ...]]
    logs: list[float]


def ranked(case, wanted):
    """The best `wanted` sequences of each row."""
    counts = [wanted] * len(case.lengths)
    return listed(case.emissions, case.lengths, case.crf, counts)


def listed(emissions, lengths, crf, counts):
    best, _ = viterbi(emissions, lengths, crf)
    found = map(list, best_paths(emissions, lengths, crf, best, counts))
    return [Listed([tuple(one.path) for one in row], [one.log for one in row]) for row in found]


def by_states(case, row, wanted):
    """Scores of the best sequences by the parallel algorithm: a list for each tag at each step."""
    emissions = case.emissions[: case.lengths[row], row].astype(np.float64)
    tags = range(case.crf.size)
    lists = [[score] for score in case.crf.start + emissions[0]]
    for step in emissions[1:]:
        moves = [
            [
                score + case.crf.transitions[before, tag]
                for before in tags
                for score in lists[before]
            ]
            for tag in tags
        ]
        lists = [
            sorted((move + step[tag] for move in moves[tag]), reverse=True)[:wanted] for tag in tags
        ]
    ends = [score + case.crf.end[tag] for tag in tags for score in lists[tag]]
    return np.array(sorted((end for end in ends if end > -np.inf), reverse=True)[:wanted])


@given(problems(steps=5) | problems(whole=True, steps=5), st.integers(1, 30))
@settings(max_examples=200)
def test_a_list_holds_the_best_of_all_sequences(case, wanted):
    best, _ = viterbi(case.emissions, case.lengths, case.crf)
    for row, found in enumerate(ranked(case, wanted)):
        every, scores = all_paths(case, row)
        possible = scores > -np.inf
        peak = scores.max()
        total = peak + np.log(np.exp(scores - peak).sum())
        expected = np.sort(scores[possible] - total)[::-1][:wanted]
        np.testing.assert_allclose(found.logs, np.minimum(expected, 0), rtol=1e-9, atol=1e-9)
        assert found.logs == sorted(found.logs, reverse=True)
        assert found.logs[0] <= 0
        assert found.paths[0] == tuple(best[: case.lengths[row], row])
        own = {tuple(path): score - total for path, score in zip(every, scores, strict=True)}
        assert len(set(found.paths)) == len(found.paths)
        logs = [own[path] for path in found.paths]
        np.testing.assert_allclose(found.logs, np.minimum(logs, 0), rtol=1e-9, atol=1e-9)


@given(problems(steps=3))
@settings(max_examples=50)
def test_a_list_of_all_sequences_adds_up_to_one(case):
    for found in ranked(case, 10_000):
        assert sum(map(exp, found.logs)) == pytest.approx(1.0, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES), st.sampled_from([0.1, 3, 100]))
@settings(max_examples=15)
def test_another_algorithm_finds_the_same_scores(seed, scheme, scale):
    case = random_problem(seed, types=2, scheme=scheme, lengths=[25, 25, 11, 2], scale=scale)
    for row, found in enumerate(ranked(case, 12)):
        scores = by_states(case, row, 12)
        # Both say how much less than the best one a sequence scores.
        logs = np.array(found.logs)
        np.testing.assert_allclose(logs - logs[0], scores - scores[0], rtol=1e-9, atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.sampled_from(EVERY_SCHEME), st.sampled_from([0, 1, 1000]))
@settings(max_examples=40)
def test_sequences_are_valid_and_differ_in_iob2(seed, scheme, scale):
    lengths = [30, 17, 3, 1]
    case = random_problem(seed, types=3, scheme=scheme, lengths=lengths, scale=scale, shuffled=True)
    table = case.table
    for found, length in zip(ranked(case, 20), lengths, strict=True):
        names = {tuple(table.iob2[list(path)]) for path in found.paths}
        assert len(names) == len(found.paths)
        assert len(names) == 20 or length == 1
        assert sum(map(exp, found.logs)) < 1 + 1e-9
        for path in found.paths:
            tags_to_spans([case.tags[tag] for tag in path], scheme, on_invalid="error")


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES), st.integers(1, 20))
@settings(max_examples=20)
def test_neither_other_rows_nor_the_number_wanted_change_a_list(seed, scheme, fewer):
    case = random_problem(seed, types=3, scheme=scheme, lengths=[12, 12, 9, 5, 2, 1])
    case.emissions[:, 1::2] = case.emissions[0, 0]  # the same at each token: ties
    case.emissions[:, ::3] *= 500
    for row, found in enumerate(ranked(case, 20)):
        (alone,) = listed(*case.row(row), case.crf, [fewer])
        assert alone == Listed(found.paths[:fewer], found.logs[:fewer])


@pytest.mark.parametrize("scale", [3, 100])
def test_rounding_does_not_turn_the_order_of_many_that_are_almost_equal(scale):
    case = random_problem(5, types=2, scheme=Scheme.IOB2, lengths=[60, 40], scale=scale)
    case.emissions[:] = case.emissions[0, 0]
    for found in ranked(case, 60):
        assert len(found.logs) == 60
        assert found.logs == sorted(found.logs, reverse=True)


def test_an_empty_batch_has_no_lists():
    case = random_problem(0, types=1, scheme=Scheme.IOB2, lengths=[1])
    nothing = np.zeros(0, np.intp)
    emissions = np.zeros((0, 0, case.crf.size), np.float32)
    assert best_paths(emissions, nothing, case.crf, nothing.reshape(0, 0), []) == []


class Number(NamedTuple):
    log: float


FALLING = st.lists(st.integers(-4, 0) | st.floats(-9, 0), min_size=1, max_size=4).map(
    lambda numbers: [Number(float(number)) for number in sorted(numbers, reverse=True)]
)


@given(st.lists(FALLING, max_size=4), st.integers(1, 300))
def test_choices_are_the_best_of_all(lists, wanted):
    found = best_choices(list(map(LazyList, lists)), wanted)
    sums = [total for _, total in found]
    every = [sum(number.log for number in numbers) for numbers in product(*lists)]
    np.testing.assert_allclose(sums, sorted(every, reverse=True)[:wanted], atol=1e-12)
    assert sums == sorted(sums, reverse=True)
    assert len({tuple(map(id, choice)) for choice, _ in found}) == len(found)
    for choice, total in found:
        assert all(
            any(one is other for other in own) for one, own in zip(choice, lists, strict=True)
        )
        assert total == pytest.approx(sum(number.log for number in choice), abs=1e-12)


def test_no_more_is_searched_for_than_may_be_chosen():
    made = []

    def numbers(name):
        for place in range(100):
            made.append(name)
            yield Number(-float(place))

    best_choices([LazyList(numbers(name)) for name in range(50)], 20)
    # A second of each could be among the best 20; more only of the first few, as long as there is
    # not much else to choose from.
    assert 2 * 50 <= len(made) <= 4 * 50


def test_long_sentences_are_searched_in_steps_between_which_it_may_be_ended():
    case = random_problem(3, types=2, scheme=Scheme.IOB2, lengths=[3 * STEPS])
    best, _ = viterbi(case.emissions, case.lengths, case.crf)
    called = []
    asked = (case.emissions, case.lengths, case.crf, best, [4])
    (plain,) = map(list, best_paths(*asked))
    (in_steps,) = map(list, best_paths(*asked, lambda: called.append(1)))
    assert len(called) >= 2
    assert [(tuple(a.path), a.log) for a in plain] == [(tuple(b.path), b.log) for b in in_steps]

    def stop():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        best_paths(*asked, stop)

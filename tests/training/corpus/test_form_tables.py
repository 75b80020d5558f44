"""Words of several sources, and pieces that are fitted to whole words."""

import numpy as np
import pytest

from tagbelt.model.features.vectors import by_rank
from tagbelt.training.corpus.form_tables import RIDGE, fitted_pieces

CHANCE = np.random.default_rng(4)


def test_words_of_several_sources_are_ordered_by_their_best_place():
    assert by_rank([["a", "b", "c"]]) == ("a", "b", "c")
    assert by_rank([["a", "b", "c"], ["c", "a", "d", "e"]]) == ("a", "c", "b", "d", "e")
    assert by_rank([]) == ()


def test_fitted_pieces_are_the_ridge_regression():
    pieces = CHANCE.normal(size=(9, 4)).astype(np.float32)
    cut = [CHANCE.integers(0, 9, size=n).tolist() for n in (1, 2, 3, 2, 5, 4, 1, 2)]
    rows = CHANCE.normal(size=(len(cut), 4)).astype(np.float32)
    many = [i for i, ids in enumerate(cut) if len(ids) > 1]
    means = np.zeros((len(many), 9))
    for row, i in enumerate(many):
        for piece in cut[i]:
            means[row, piece] += 1 / len(cut[i])
    square = means.T @ means + RIDGE * np.eye(9)
    moved = np.linalg.solve(square, means.T @ (rows[many] - means @ pieces))
    assert fitted_pieces(pieces, cut, rows) == pytest.approx(pieces + moved, abs=1e-4)


def test_pieces_stay_where_there_is_nothing_to_fit():
    pieces = CHANCE.normal(size=(3, 2)).astype(np.float32)
    assert np.array_equal(fitted_pieces(pieces, [[1], [0]], pieces[:2]), pieces)
    exact = pieces[[[0, 1], [1, 2]]].mean(axis=1)
    assert fitted_pieces(pieces, [[0, 1], [1, 2]], exact) == pytest.approx(pieces, abs=1e-6)

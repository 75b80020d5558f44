"""Small CRFs and their tag sequences, all written out."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tagbelt.data.conll.schemes import Scheme, allowed_transitions, tag_set
from tagbelt.inference.crf.parameters import CrfParameters, tag_table

SCHEMES = [Scheme.IOB2, Scheme.BIOES]


@dataclass
class Problem:
    tags: tuple[str, ...]
    scheme: Scheme
    crf: CrfParameters
    emissions: np.ndarray
    lengths: np.ndarray

    @property
    def table(self):
        return tag_table(self.tags, self.scheme)

    def row(self, row):
        """The row alone, without padding."""
        length = int(self.lengths[row])
        return self.emissions[:length, [row]].copy(), np.array([length])


def problem(tags, scheme, start, transitions, end, emissions, lengths):
    lengths = np.array(sorted(lengths, reverse=True))
    emissions = np.array(emissions, np.float32)
    for row, length in enumerate(lengths):
        emissions[length:, row] = np.nan  # whatever stands there must not matter
    crf = CrfParameters.constrained(start, transitions, end, allowed_transitions(tags, scheme))
    return Problem(tags, scheme, crf, emissions, lengths)


@st.composite
def problems(draw, whole=False, steps=4):
    """Small ragged batches; `whole` numbers add up without rounding and tie often."""
    scheme = draw(st.sampled_from(SCHEMES))
    types = draw(st.integers(0, 2 if scheme == Scheme.IOB2 else 1))
    tags = tag_set("XY"[:types], scheme)
    lengths = draw(st.lists(st.integers(1, steps), min_size=1, max_size=3))
    size = draw(st.sampled_from([1, 2, 50, 1000]))
    elements = st.integers(-size, size).map(float)
    if not whole:
        elements |= st.floats(-size, size, width=32)
    k, longest = len(tags), max(lengths)

    def array(*shape):
        return draw(hnp.arrays(np.float32, shape, elements=elements, fill=elements))

    return problem(
        tags,
        scheme,
        array(k),
        array(k, k),
        array(k),
        array(longest, len(lengths), k),
        lengths,
    )


def random_problem(seed, *, types, scheme, lengths, scale=3.0, shuffled=False):
    rng = np.random.default_rng(seed)
    tags = tag_set([f"T{i}" for i in range(types)], scheme)
    if shuffled:
        tags = tuple(rng.permutation(tags).tolist())
    k = len(tags)
    draws = [rng.normal(size=shape) * scale for shape in (k, (k, k), k)]
    emissions = rng.normal(size=(max(lengths), len(lengths), k)) * scale
    return problem(tags, scheme, *draws, emissions, lengths)


def all_paths(case, row):
    """Every tag sequence of a row [P, T] and its score [P], -inf for the forbidden ones."""
    length = int(case.lengths[row])
    paths = np.array(list(product(range(case.crf.size), repeat=length)))
    scores = case.crf.start[paths[:, 0]] + case.crf.end[paths[:, -1]]
    for step in range(length):
        scores += case.emissions[step, row, paths[:, step]].astype(np.float64)
    for step in range(1, length):
        scores += case.crf.transitions[paths[:, step - 1], paths[:, step]]
    return paths, scores


def chances(case, row):
    """The tag sequences of a row that can be, and their probabilities."""
    paths, scores = all_paths(case, row)
    weights = np.exp(scores - scores.max())
    return paths[weights > 0], weights[weights > 0] / weights.sum()


def log_sum(scores):
    return scores.max() + np.log(np.exp(scores - scores.max()).sum())

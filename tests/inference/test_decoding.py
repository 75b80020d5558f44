"""Viterbi and posteriors against all K^T tag sequences, written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, tag_set, tags_to_spans
from tagbelt.inference.crf.algorithms import (
    find_spans,
    span_posteriors,
    token_marginals,
    viterbi,
)
from tagbelt.inference.crf.parameters import CrfParameters, Spans, tag_table
from tagbelt.inference.crf.reference import LogChart
from tests.inference.problems import (
    SCHEMES,
    all_paths,
    chances,
    log_sum,
    problem,
    problems,
    random_problem,
)

pytestmark = pytest.mark.usefixtures("implementation")


def every_span(case, row):
    length, labels = int(case.lengths[row]), len(case.table.labels)
    found = [
        (row, start, end, label)
        for start in range(length)
        for end in range(start + 1, length + 1)
        for label in range(labels)
    ]
    return Spans(*np.array(found, np.intp).reshape(-1, 4).T)


@given(problems())
def test_viterbi_finds_the_best_of_all_sequences(case):
    paths, best = viterbi(case.emissions, case.lengths, case.crf)
    for row, length in enumerate(case.lengths):
        every, scores = all_paths(case, row)
        assert best[row] == pytest.approx(scores.max(), rel=1e-12, abs=1e-9)
        own = scores[(every == paths[:length, row]).all(axis=1)]
        assert own == pytest.approx(scores.max(), rel=1e-12, abs=1e-9)
        assert not paths[length:, row].any()


@given(problems(whole=True))
def test_ties_go_to_the_lower_tag_from_the_end_backwards(case):
    paths, _ = viterbi(case.emissions, case.lengths, case.crf)
    for row, length in enumerate(case.lengths):
        every, scores = all_paths(case, row)
        winner = min(every[scores == scores.max()].tolist(), key=lambda path: path[::-1])
        assert paths[:length, row].tolist() == winner


@given(problems(steps=5))
def test_log_partition_and_marginals_equal_enumeration(case):
    batch = case.emissions, case.lengths, case.crf
    chart = LogChart(*batch)
    for row in range(len(case.lengths)):
        _, scores = all_paths(case, row)
        assert chart.log_partition[row] == pytest.approx(log_sum(scores), rel=1e-9, abs=1e-9)
    for marginals in (chart.token_marginals(), token_marginals(*batch)):
        for row, length in enumerate(case.lengths):
            every, weights = chances(case, row)
            expected = np.zeros(marginals[:length, row].shape)
            for step in range(length):
                np.add.at(expected[step], every[:, step], weights)
            np.testing.assert_allclose(marginals[:length, row], expected, atol=1e-9)
            np.testing.assert_allclose(marginals[:length, row].sum(axis=1), 1.0, atol=1e-9)
            assert not marginals[length:, row].any()


@given(problems())
@settings(max_examples=60)
def test_span_posteriors_equal_enumeration(case):
    oracle = LogChart(case.emissions, case.lengths, case.crf)
    for row in range(len(case.lengths)):
        expected = {}
        for path, weight in zip(*chances(case, row), strict=True):
            for span in tags_to_spans([case.tags[tag] for tag in path], case.scheme):
                expected[span] = expected.get(span, 0.0) + weight
        spans = every_span(case, row)
        for scores in (
            oracle.span_posteriors(spans, case.table),
            span_posteriors(case.emissions, case.lengths, case.crf, spans, case.table),
        ):
            assert ((scores >= 0) & (scores <= 1)).all()
            found = zip(spans.starts, spans.ends, spans.labels, scores, strict=True)
            for start, end, label, score in found:
                span = (start, end, case.table.labels[label])
                wanted = next(
                    (p for s, p in expected.items() if (s.start, s.end, s.label) == span), 0.0
                )
                assert score == pytest.approx(wanted, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES), st.sampled_from([0.1, 3, 40, 1000]))
@settings(max_examples=40)
def test_probabilities_of_all_entities_at_a_token_and_of_outside_add_up_to_one(seed, scheme, scale):
    case = random_problem(seed, types=2, scheme=scheme, lengths=[9, 4, 1], scale=scale)
    batch = case.emissions, case.lengths, case.crf
    outside = token_marginals(*batch)[:, :, case.tags.index("O")]
    for row, length in enumerate(case.lengths):
        spans = every_span(case, row)
        scores = span_posteriors(*batch, spans, case.table)
        for step in range(length):
            over = scores[(spans.starts <= step) & (step < spans.ends)].sum()
            assert over + outside[step, row] == pytest.approx(1.0, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES), st.sampled_from([1, 100]))
@settings(max_examples=20)
def test_posteriors_equal_those_of_log_space_on_real_sizes(seed, scheme, scale):
    lengths = [40, 40, 23, 7, 1]
    case = random_problem(seed, types=4, scheme=scheme, lengths=lengths, scale=scale)
    plain = LogChart(case.emissions, case.lengths, case.crf)
    marginals = token_marginals(case.emissions, case.lengths, case.crf)
    np.testing.assert_allclose(marginals, plain.token_marginals(), atol=1e-9)
    paths, _ = viterbi(case.emissions, case.lengths, case.crf)
    spans = find_spans(paths, case.lengths, case.table)
    expected = plain.span_posteriors(spans, case.table)
    scores = span_posteriors(case.emissions, case.lengths, case.crf, spans, case.table)
    np.testing.assert_allclose(scores, expected, atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES))
@settings(max_examples=20)
def test_a_row_does_not_depend_on_the_others(seed, scheme):
    # Scales far apart, so that some rows take the way through log space and others do not.
    case = random_problem(seed, types=3, scheme=scheme, lengths=[12, 12, 9, 5, 2, 1])
    case.emissions[:, ::2] *= 500
    paths, best = viterbi(case.emissions, case.lengths, case.crf)
    spans = find_spans(paths, case.lengths, case.table)
    batch = case.emissions, case.lengths, case.crf
    totals, marginals = LogChart(*batch).log_partition, token_marginals(*batch)
    scores = span_posteriors(*batch, spans, case.table)
    for row, length in enumerate(case.lengths):
        emissions, lengths = case.row(row)
        own_path, own_best = viterbi(emissions, lengths, case.crf)
        assert paths[:length, row].tolist() == own_path[:, 0].tolist()
        assert best[row] == own_best[0]
        alone = emissions, lengths, case.crf
        np.testing.assert_allclose(totals[row], LogChart(*alone).log_partition[0])
        own_marginals = token_marginals(*alone)[:, 0]
        np.testing.assert_allclose(marginals[:length, row], own_marginals, atol=1e-12)
        own = find_spans(own_path, lengths, case.table)
        mine = spans.rows == row
        assert spans.starts[mine].tolist() == own.starts.tolist()
        own_scores = span_posteriors(*alone, own, case.table)
        np.testing.assert_allclose(scores[mine], own_scores, atol=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(SCHEMES),
    st.sampled_from([0.0, 1.0, 1000.0, 1e30, 3e38]),
)
def test_no_weights_decode_to_an_invalid_sequence(seed, scheme, scale):
    rng = np.random.default_rng(seed)
    case = random_problem(seed, types=4, scheme=scheme, lengths=[13, 6, 6, 2, 1])
    emissions = rng.uniform(-1, 1, case.emissions.shape) * scale
    paths, best = viterbi(emissions.astype(np.float32), case.lengths, case.crf)
    assert np.isfinite(best).all()
    for row, length in enumerate(case.lengths):
        tags = [case.tags[tag] for tag in paths[:length, row]]
        tags_to_spans(tags, scheme, on_invalid="error")


@given(st.integers(0, 2**32 - 1), st.sampled_from([Scheme.BMES, Scheme.BILUO, *SCHEMES]))
def test_spans_found_are_those_that_the_scheme_reads(seed, scheme):
    # The tags stand in any order, so that the padding is not "O" by chance.
    case = random_problem(seed, types=3, scheme=scheme, lengths=[15, 15, 8, 3, 1], shuffled=True)
    paths, _ = viterbi(case.emissions, case.lengths, case.crf)
    found = find_spans(paths, case.lengths, case.table)
    listed = zip(found.rows, found.starts, found.ends, found.labels, strict=True)
    got = [(row, start, end, case.table.labels[label]) for row, start, end, label in listed]
    expected = [
        (row, span.start, span.end, span.label)
        for row, length in enumerate(case.lengths)
        for span in tags_to_spans([case.tags[tag] for tag in paths[:length, row]], scheme)
    ]
    assert got == expected


def iob2(emissions, *, lengths=None):
    """One entity type, no preferences but the emissions'."""
    emissions = np.array(emissions, np.float32)
    tags = tag_set(["X"], Scheme.IOB2)
    zeros = [np.zeros(3), np.zeros((3, 3)), np.zeros(3)]
    return problem(tags, Scheme.IOB2, *zeros, emissions, lengths or [len(emissions)])


@pytest.mark.parametrize(
    "steps",
    [
        # What the first step all but rules out, the later ones demand: at once, or little by
        # little, so that no single step leaves the range of float64.
        [[0, -800, 0], [0, -900, 900]],
        [[0, -900, 0], *[[0, -900, 300]] * 4],
        [[0, -740, 0], [0, -900, 739.5]],
        [[0, 0, -800], *[[-400, -400, 0]] * 3],
    ],
)
def test_what_underflows_in_one_step_is_not_lost_for_the_next(steps):
    case = iob2([[step] for step in steps])
    chart = LogChart(case.emissions, case.lengths, case.crf)
    every, weights = chances(case, 0)
    expected = np.zeros((len(steps), 3))
    for step in range(len(steps)):
        np.add.at(expected[step], every[:, step], weights)
    np.testing.assert_allclose(chart.token_marginals()[:, 0], expected, atol=1e-9)
    marginals = token_marginals(case.emissions, case.lengths, case.crf)
    np.testing.assert_allclose(marginals[:, 0], expected, atol=1e-9)
    _, scores = all_paths(case, 0)
    assert chart.log_partition[0] == pytest.approx(log_sum(scores), rel=1e-12)


def test_a_single_tag_is_certain():
    crf = CrfParameters([0.5], [[0.25]], [0.125])
    emissions = np.ones((3, 2, 1), np.float32)
    lengths = np.array([3, 1])
    paths, best = viterbi(emissions, lengths, crf)
    assert not paths.any()
    assert best.tolist() == [4.125, 1.625]
    for marginals in (
        LogChart(emissions, lengths, crf).token_marginals(),
        token_marginals(emissions, lengths, crf),
    ):
        assert marginals[:, 0].tolist() == [[1.0]] * 3
        assert marginals[:, 1].tolist() == [[1.0], [0.0], [0.0]]


def test_an_empty_batch_is_empty():
    crf = CrfParameters(np.zeros(3), np.zeros((3, 3)), np.zeros(3))
    emissions, lengths = np.zeros((0, 0, 3), np.float32), np.zeros(0, np.intp)
    paths, best = viterbi(emissions, lengths, crf)
    assert paths.shape == (0, 0)
    assert best.shape == (0,)
    chart = LogChart(emissions, lengths, crf)
    assert chart.log_partition.shape == (0,)
    assert chart.token_marginals().shape == (0, 0, 3)
    assert token_marginals(emissions, lengths, crf).shape == (0, 0, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_emissions_that_are_not_finite_are_refused_with_their_row(value):
    case = iob2(np.zeros((2, 3, 3)), lengths=[2, 2, 2])
    case.emissions[0, 1] = value
    with pytest.raises(ValueError, match="row 1 has no path of finite score"):
        viterbi(case.emissions, case.lengths, case.crf)


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 1, 4), [2], r"emissions have shape \[2, 1, 4\], expected \[T, 1, 3\]"),
        ((2, 3, 3), [2, 1], r"expected \[T, 2, 3\]"),
        ((2, 2, 3), [1, 2], "longest first"),
        ((2, 2, 3), [2, 0], r"lengths must be in 1\.\.2, got 0\.\.2"),
        ((2, 2, 3), [3, 1], r"lengths must be in 1\.\.2, got 1\.\.3"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(shape, lengths, message):
    crf = CrfParameters(np.zeros(3), np.zeros((3, 3)), np.zeros(3))
    for function in (viterbi, LogChart, token_marginals):
        with pytest.raises(ValueError, match=message):
            function(np.zeros(shape, np.float32), np.array(lengths), crf)


def test_parameters_are_checked_and_cannot_be_changed():
    with pytest.raises(ValueError, match=r"transitions has shape \(2, 3\), expected \(2, 2\)"):
        CrfParameters(np.zeros(2), np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match=r"end holds NaN or \+inf"):
        CrfParameters(np.zeros(1), np.zeros((1, 1)), [np.nan])
    given_start = np.zeros(1)
    crf = CrfParameters(given_start, np.zeros((1, 1)), np.zeros(1))
    given_start[0] = 7.0
    assert crf.start[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        crf.start[0] = 1.0


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (("O", "I-X"), Scheme.IO),
        (("O", "B-X", "I-X"), Scheme.IOB1),
        (("O", "B-X"), Scheme.IOB2),
        (("B-X", "I-X"), Scheme.IOB2),
        (("O", "B-X", "I-X", "I-X"), Scheme.IOB2),
        (("O", "B-X", "I-X"), Scheme.BIOES),
    ],
)
def test_tags_that_cannot_be_decoded_are_refused(tags, scheme):
    with pytest.raises(ValueError, match=f"cannot decode {scheme} with the tags"):
        tag_table(tags, scheme)

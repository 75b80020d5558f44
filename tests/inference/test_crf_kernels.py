"""The CRF's functions in C against those in numpy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, Transitions, allowed_transitions, tag_set
from tagbelt.inference.crf import reference
from tagbelt.inference.crf.algorithms import span_posteriors, token_marginals
from tagbelt.inference.crf.parameters import CrfParameters, Spans, tag_table
from tagbelt.inference.crf.reference import LogChart

SEEDS = st.integers(0, 2**32 - 1)
# Blocks are of 8 rows: fewer, exactly as many, one more, several.
LENGTHS = st.lists(st.integers(1, 14), min_size=1, max_size=20).map(lambda n: sorted(n)[::-1])


def scores(rng, shape, whole):
    """Small whole numbers tie often; others hardly ever."""
    if whole:
        return rng.integers(-2, 3, shape).astype(np.float64)
    return rng.normal(scale=3.0, size=shape)


def emissions_for(rng, lengths, tags, whole):
    emissions = scores(rng, (lengths[0] + 1, len(lengths), tags), whole).astype(np.float32)
    for row, length in enumerate(lengths):
        emissions[length:, row] = np.nan  # must never be read into a result
    return emissions


def scheme_case(seed, types, scheme, lengths, scale):
    rng = np.random.default_rng(seed)
    tags = tag_set([f"T{i}" for i in range(types)], scheme)
    tags = tuple(rng.permutation(tags).tolist())
    allowed = allowed_transitions(tags, scheme)
    k = len(tags)
    start, step, end = (rng.normal(scale=scale, size=shape) for shape in (k, (k, k), k))
    crf = CrfParameters.constrained(start, step, end, allowed)
    emissions = emissions_for(rng, lengths, k, whole=False) * np.float32(scale / 3)
    return crf, tag_table(tags, scheme), emissions, np.array(lengths)


def same(native, lengths, emissions, crf):
    """Both ways give the very same numbers, or the same error."""
    outcomes = []
    for function in (native.viterbi, reference.viterbi):
        try:
            paths, best = function(emissions, lengths, crf)
            outcomes.append((paths.tolist(), best.tolist(), paths.dtype, best.dtype))
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


@given(SEEDS, st.integers(1, 60), LENGTHS, st.sampled_from([1.0, 0.6, 0.2]), st.booleans())
@settings(max_examples=200)
@example(0, 1, [1], 1.0, True)
@example(1, 60, [14] * 17, 0.6, True)
def test_best_paths_of_c_and_numpy_are_the_same_to_the_last_bit(
    native, seed, tags, lengths, density, whole
):
    rng = np.random.default_rng(seed)
    drawn = [scores(rng, shape, whole) for shape in (tags, (tags, tags), tags)]
    masks = [rng.random(shape) < density for shape in (tags, (tags, tags), tags)]
    crf = CrfParameters.constrained(*drawn, Transitions(*masks))
    emissions = emissions_for(rng, lengths, tags, whole)
    same(native, np.array(lengths), emissions, crf)


@given(SEEDS, st.integers(1, 60), LENGTHS, st.sampled_from([1.0, 0.6, 0.2]), st.booleans())
@settings(max_examples=100)
@example(0, 1, [1], 1.0, True)
@example(1, 5, [2 * reference.STEPS + 1, reference.STEPS, 1], 0.6, False)
def test_forward_scores_of_c_are_those_of_numpy(native, seed, tags, lengths, density, whole):
    rng = np.random.default_rng(seed)
    drawn = [scores(rng, shape, whole) for shape in (tags, (tags, tags), tags)]
    masks = [rng.random(shape) < density for shape in (tags, (tags, tags), tags)]
    crf = CrfParameters.constrained(*drawn, Transitions(*masks))
    asked = emissions_for(rng, lengths, tags, whole), np.array(lengths), crf
    called = []
    found, totals = native.forward_scores(*asked, lambda: called.append(1))
    expected, expected_totals = reference.forward_scores(*asked)
    assert len(called) == (lengths[0] - 1) // reference.STEPS
    np.testing.assert_allclose(totals, expected_totals, rtol=1e-12, atol=1e-12)
    for row, length in enumerate(lengths):
        assert found[:length, row].tolist() == expected[:length, row].tolist()
        assert (found[length - 1, row] + crf.end).max() <= totals[row]


@given(SEEDS, LENGTHS, st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans())
@settings(max_examples=150)
def test_emissions_that_are_not_finite_have_the_same_outcome(
    native, seed, lengths, value, everywhere
):
    crf, _, emissions, lengths = scheme_case(seed, 2, Scheme.BIOES, lengths, 3.0)
    rng = np.random.default_rng(seed)
    row = rng.integers(len(lengths))
    step = rng.integers(lengths[row])
    emissions[step, row, slice(None) if everywhere else rng.integers(crf.size)] = value
    outcome = same(native, lengths, emissions, crf)
    if everywhere or value != -np.inf:
        assert outcome.startswith(f"row {row} has no path of finite score")


@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_the_largest_numbers_do_not_overflow(native, scale):
    crf, _, emissions, lengths = scheme_case(3, 3, Scheme.BIOES, [12, 12, 5], scale)
    _, best, *_ = same(native, lengths, emissions, crf)
    assert np.isfinite(best).all()


@given(SEEDS, st.integers(0, 4), st.sampled_from([Scheme.IOB2, Scheme.BIOES]), LENGTHS)
def test_c_and_numpy_find_the_same_entities(native, seed, types, scheme, lengths):
    crf, table, emissions, lengths = scheme_case(seed, types, scheme, lengths, 3.0)
    paths, _ = native.viterbi(emissions, lengths, crf)
    found = native.find_spans(paths, lengths, table)
    expected = reference.find_spans(paths, lengths, table)
    for name in ("rows", "starts", "ends", "labels"):
        own, other = getattr(found, name), getattr(expected, name)
        assert own.tolist() == other.tolist()
        assert own.dtype == np.intp


def some_spans(rng, lengths, table, count):
    rows = np.sort(rng.integers(len(lengths), size=count))
    starts = np.array([rng.integers(lengths[row]) for row in rows], np.intp)
    ends = np.array([rng.integers(a, lengths[r]) + 1 for r, a in zip(rows, starts, strict=True)])
    return Spans(rows, starts, ends.astype(np.intp), rng.integers(len(table.labels), size=count))


@given(
    SEEDS,
    st.integers(1, 14),
    st.sampled_from([Scheme.IOB2, Scheme.BIOES]),
    LENGTHS,
    st.sampled_from([0.1, 3.0, 20.0]),
)
@settings(max_examples=150)
def test_probabilities_of_c_and_of_log_space_agree(native, seed, types, scheme, lengths, scale):
    crf, table, emissions, lengths = scheme_case(seed, types, scheme, lengths, scale)
    spans = some_spans(np.random.default_rng(seed), lengths, table, 40)
    oracle = LogChart(emissions, lengths, crf)
    found, lost = native.span_posteriors(emissions, lengths, crf, spans, table)
    assert lost == 0
    expected = oracle.span_posteriors(spans, table)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    marginals, rows = native.token_marginals(emissions, lengths, crf)
    assert rows.tolist() == []
    np.testing.assert_allclose(marginals, oracle.token_marginals(), rtol=1e-11, atol=1e-12)


@given(SEEDS, LENGTHS, st.sampled_from([300.0, 3000.0]))
@settings(max_examples=60)
def test_rows_that_leave_the_range_of_c_are_computed_in_log_space(native, seed, lengths, scale):
    crf, table, emissions, lengths = scheme_case(seed, 2, Scheme.BIOES, lengths, 3.0)
    emissions[:, ::2] *= np.float32(scale)  # every other row
    spans = some_spans(np.random.default_rng(seed), lengths, table, 40)
    plain = LogChart(emissions, lengths, crf)
    found, lost = native.span_posteriors(emissions, lengths, crf, spans, table)
    kept = ~np.isnan(found)
    assert lost == (~kept).sum()
    assert kept[spans.rows % 2 == 1].all()
    expected = plain.span_posteriors(spans, table)
    np.testing.assert_allclose(found[kept], expected[kept], atol=1e-9)
    whole = span_posteriors(emissions, lengths, crf, spans, table)
    np.testing.assert_allclose(whole, expected, atol=1e-9)
    _, rows = native.token_marginals(emissions, lengths, crf)
    assert set(spans.rows[~kept]) <= set(rows.tolist())
    assert (rows % 2 == 0).all()
    marginals = token_marginals(emissions, lengths, crf)
    np.testing.assert_allclose(marginals, plain.token_marginals(), atol=1e-9)
    # What was computed again has the padding of all rows.
    for row, length in enumerate(lengths):
        assert not marginals[length:, row].any()


def test_some_rows_do_leave_the_range(native):
    crf, table, emissions, lengths = scheme_case(0, 2, Scheme.BIOES, [14, 9], 3.0)
    emissions[:, 0] *= np.float32(3000.0)
    spans = some_spans(np.random.default_rng(0), lengths, table, 40)
    found, lost = native.span_posteriors(emissions, lengths, crf, spans, table)
    assert np.isnan(found).tolist() == (spans.rows == 0).tolist()
    assert lost == (spans.rows == 0).sum() > 0
    assert native.token_marginals(emissions, lengths, crf)[1].tolist() == [0]


@given(SEEDS)
@settings(max_examples=30)
def test_rounding_lifts_no_probability_above_one(native, seed):
    crf, table, emissions, lengths = scheme_case(seed, 1, Scheme.BIOES, [60], 1.0)
    sure = np.full((60, 1, 5), -90, np.float32)
    sure[:, 0, table.places[0, 0]] = 0  # an entity on each token
    steps = np.arange(60)
    spans = Spans(np.zeros(60, np.intp), steps, steps + 1, np.zeros(60, np.intp))
    found, _ = native.span_posteriors(sure + emissions[:60], lengths, crf, spans, table)
    assert 0.999 < found.min() <= found.max() <= 1.0
    marginals, _ = native.token_marginals(sure + emissions[:60], lengths, crf)
    assert 0.999 < marginals.max(axis=2).min() <= marginals.max() <= 1.0


def test_a_crf_may_forbid_every_move(native):
    crf = CrfParameters([0.0, 1.0], np.full((2, 2), -np.inf), [0.5, -np.inf])
    emissions = np.zeros((1, 3, 2), np.float32)
    marginals, lost = native.token_marginals(emissions, np.ones(3, np.intp), crf)
    assert marginals.tolist() == [[[1.0, 0.0]] * 3]
    assert not len(lost)


@pytest.mark.parametrize("lengths", [[8193, 20], [8192, 20], [9000] * 3])
def test_rows_of_thousands_of_tokens_are_decoded_as_in_numpy(native, lengths):
    crf, table, emissions, lengths = scheme_case(1, 1, Scheme.BIOES, lengths, 2.0)
    same(native, lengths, emissions, crf)
    spans = some_spans(np.random.default_rng(0), np.minimum(lengths, 20), table, 9)
    oracle = LogChart(emissions, lengths, crf)
    found, _ = native.span_posteriors(emissions, lengths, crf, spans, table)
    np.testing.assert_allclose(found, oracle.span_posteriors(spans, table), atol=1e-12)
    marginals, _ = native.token_marginals(emissions, lengths, crf)
    np.testing.assert_allclose(marginals, oracle.token_marginals(), atol=1e-12)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: np.pad(a, ((1, 1), (2, 2), (3, 3)))[1:-1, 2:-2, 3:-3],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a[:, :, ::-1].copy()[:, :, ::-1],
    ],
)
def test_emissions_may_have_any_strides(native, view):
    crf, table, emissions, lengths = scheme_case(5, 3, Scheme.BIOES, [9, 9, 4, 1], 3.0)
    seen = view(emissions)
    np.testing.assert_array_equal(seen, emissions)
    expected = native.viterbi(emissions, lengths, crf)
    found = native.viterbi(seen, lengths, crf)
    assert [a.tolist() for a in found] == [a.tolist() for a in expected]
    spans = native.find_spans(found[0], lengths, table)
    assert len(spans) > 2
    one, _ = native.span_posteriors(emissions, lengths, crf, spans, table)
    other, _ = native.span_posteriors(seen, lengths, crf, spans, table)
    assert one.tolist() == other.tolist()
    one, _ = native.token_marginals(emissions, lengths, crf)
    other, _ = native.token_marginals(seen, lengths, crf)
    assert one.tolist() == other.tolist()


def test_lengths_may_have_another_dtype_or_stride(native):
    crf, _, emissions, lengths = scheme_case(6, 2, Scheme.IOB2, [7, 5, 5], 3.0)
    expected = native.viterbi(emissions, lengths, crf)
    for kind in (lengths.astype(np.int32), np.repeat(lengths, 2)[::2]):
        found = native.viterbi(emissions, kind, crf)
        assert [a.tolist() for a in found] == [a.tolist() for a in expected]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emissions": lambda e: e.astype(np.float64)}, "are float64, expected float32"),
        ({"emissions": lambda e: e[:, :1]}, r"expected \[T, 2, 5\]"),
        ({"emissions": lambda e: e[:, :, :4]}, r"expected \[T, 2, 5\]"),
        ({"emissions": lambda e: e[0]}, r"expected \[T, 2, 5\]"),
        ({"lengths": lambda n: n[::-1]}, "longest first"),
        ({"lengths": lambda n: n + 9}, r"must be in 1\.\.7, got 12\.\.15"),
        ({"lengths": lambda n: n * [1, 0]}, r"must be in 1\.\.7, got 0\.\.6"),
        ({"lengths": lambda n: n[:, None]}, r"lengths have shape \[2, 1\]"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(native, change, message):
    crf, table, emissions, lengths = scheme_case(7, 1, Scheme.BIOES, [6, 3], 3.0)
    spans = Spans(*np.array([[0, 1], [0, 0], [1, 2], [0, 0]], np.intp))
    assert native.span_posteriors(emissions, lengths, crf, spans, table)[0].shape == (2,)
    emissions = change.get("emissions", np.asarray)(emissions)
    lengths = change.get("lengths", np.asarray)(lengths)
    with pytest.raises(ValueError, match=message):
        native.viterbi(emissions, lengths, crf)
    with pytest.raises(ValueError, match=message):
        native.span_posteriors(emissions, lengths, crf, spans, table)
    with pytest.raises(ValueError, match=message):
        native.token_marginals(emissions, lengths, crf)


@pytest.mark.parametrize(
    "span",
    [
        {"rows": -1},
        {"rows": 2},
        {"starts": -1},
        {"starts": 3},
        {"ends": 1},
        {"ends": 5},
        {"labels": -1},
        {"labels": 2},
    ],
)
def test_a_span_outside_its_row_is_refused(native, span):
    crf, table, emissions, lengths = scheme_case(8, 2, Scheme.BIOES, [6, 4], 3.0)
    good = {"rows": 1, "starts": 1, "ends": 3, "labels": 1}

    def posteriors(fields):
        spans = Spans(**{name: np.array([value], np.intp) for name, value in fields.items()})
        return native.span_posteriors(emissions, lengths, crf, spans, table)[0]

    assert posteriors(good).shape == (1,)
    with pytest.raises(ValueError, match="do not fit each other"):
        posteriors(good | span)


def test_arrays_of_spans_and_tables_that_do_not_fit_are_refused(native):
    crf, table, emissions, lengths = scheme_case(9, 2, Scheme.BIOES, [6, 4], 3.0)
    spans = Spans(*np.array([[1], [1], [3], [1]], np.intp))
    shorter = replace(spans, ends=np.zeros(0, np.intp))
    with pytest.raises(ValueError, match="differ in length"):
        native.span_posteriors(emissions, lengths, crf, shorter, table)
    other = tag_table(tag_set(["X"], Scheme.BIOES), Scheme.BIOES)
    with pytest.raises(ValueError, match="a CRF of 9 tags and a table of 5"):
        native.span_posteriors(emissions, lengths, crf, spans, other)
    wild = replace(table, places=table.places + 9)
    with pytest.raises(ValueError, match="places that are none of its 9 tags"):
        native.span_posteriors(emissions, lengths, crf, spans, wild)


@pytest.mark.parametrize(
    ("paths", "lengths", "message"),
    [
        ([[0], [9]], [2], "a tag is out of range"),
        ([[-1], [0]], [2], "a tag is out of range"),
        ([[0], [0]], [3], "out of range"),
        ([[0], [0]], [-1], "out of range"),
        ([[1, 0], [1, 0]], [2, -2], "out of range"),
        ([[0], [0]], [1, 1], r"2 lengths for paths of shape \[2, 1\]"),
        ([0, 0], [1], r"1 lengths for paths of shape \[2\]"),
    ],
)
def test_paths_out_of_range_are_refused(native, paths, lengths, message):
    table = tag_table(tag_set(["X", "Y"], Scheme.BIOES), Scheme.BIOES)
    with pytest.raises(ValueError, match=message):
        native.find_spans(np.array(paths), np.array(lengths), table)

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tag_set, tags_to_spans
from tagbelt.data.types import Span
from tagbelt.training.rundir import MetricsLog
from tagbelt.training.scores.evaluate import MODES, report, score_of, span_score

LABELS = ("PER", "LOC", "ORG-X")


@st.composite
def sentences(draw):
    """Two readings of the same sentences, as valid IOB2 tags."""
    tags = tag_set(LABELS, Scheme.IOB2)
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))

    def valid(length):
        drawn = draw(st.lists(st.sampled_from(tags), min_size=length, max_size=length))
        spans = tags_to_spans(drawn, Scheme.IOB2, on_invalid="repair")
        return list(spans_to_tags(spans, length, Scheme.IOB2))

    gold = [valid(length) for length in lengths]
    found = [row if draw(st.booleans()) else valid(len(row)) for row in gold]
    return gold, found


@given(sentences())
def test_span_scores_are_seqevals_in_both_modes(case):
    gold, found = case
    ours = span_score(*([tags_to_spans(r, Scheme.IOB2) for r in rows] for rows in case))
    for mode in MODES:
        theirs = report(gold, found, mode)["micro"]
        assert theirs == pytest.approx(vars(ours))


def test_a_report_by_type():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"], ["B-PER"]]
    found = [["B-PER", "I-PER", "O", "B-ORG"], ["B-ORG", "O"], ["O"]]
    scores = report(gold, found, "strict")
    assert scores.pop("tool").startswith("seqeval 1.")
    assert scores == {
        "mode": "strict",
        "scheme": "IOB2",
        "micro": {"precision": 2 / 3, "recall": 0.5, "f1": pytest.approx(4 / 7), "support": 4},
        "types": {
            "LOC": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
            "ORG": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
            "PER": {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        },
    }


def test_modes_differ_where_gold_is_no_iob2():
    tags = [["I-PER", "I-PER", "O", "B-LOC"]]
    assert report(tags, tags, "default")["micro"]["support"] == 2
    assert report(tags, tags, "strict")["micro"]["support"] == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tags", [[["O", "O"]], []], ids=["no entity", "no sentence"])
def test_a_report_of_nothing_is_zero(mode, tags):
    scores = report(tags, tags, mode)
    assert scores["micro"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert scores["types"] == {}


def test_a_type_that_is_found_but_not_in_gold_counts_against():
    scores = report([["O", "B-PER"]], [["B-LOC", "B-PER"]], "strict")
    assert scores["micro"]["precision"] == 0.5
    assert scores["types"]["LOC"]["support"] == 0


def test_scores_of_counts():
    assert vars(score_of(0, 0, 0)) == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert vars(score_of(1, 2, 4)) == {
        "precision": 0.25,
        "recall": 0.5,
        "f1": pytest.approx(1 / 3),
        "support": 2,
    }


def test_a_span_counts_once_and_only_with_its_label():
    gold = [(Span(0, 1, "PER"), Span(2, 4, "LOC"))]
    assert span_score(gold, [(Span(0, 1, "LOC"), Span(2, 3, "LOC"))]).f1 == 0.0
    assert span_score(gold, gold).f1 == 1.0
    with pytest.raises(ValueError, match=r"shorter|longer"):
        span_score(gold, [])


@pytest.fixture
def log(tmp_path):
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_metrics_are_one_json_object_a_line(log):
    for epoch in (1, 2):
        log.write({"epoch": epoch, "dev/f1": epoch / 4})
    lines = log.path.read_text(encoding="utf-8").splitlines()
    assert list(map(json.loads, lines)) == [
        {"epoch": 1, "dev/f1": 0.25},
        {"epoch": 2, "dev/f1": 0.5},
    ]


def test_what_a_killed_run_wrote_ahead_of_its_state_is_dropped(log, tmp_path):
    for epoch in (1, 2, 3):
        log.write({"epoch": epoch})
    with log.path.open("a", encoding="utf-8") as stream:
        stream.write('{"epoch": 4, "dev/')
    log.keep_until(2)
    assert log.path.read_text(encoding="utf-8") == '{"epoch": 1}\n{"epoch": 2}\n'
    log.write({"epoch": 3})
    log.keep_until(3)
    assert len(log.path.read_text(encoding="utf-8").splitlines()) == 3
    assert list(tmp_path.iterdir()) == [log.path]


def test_a_log_that_is_not_there_has_nothing_to_drop(log):
    log.keep_until(0)
    assert not log.path.exists()

"""Drift: what is found in texts that have changed, beside a baseline of the checkpoint."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tagbelt.data.checkpoint.artifact import BASELINE, Baseline, verify_sums, write_sums
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.inference.baseline import add_baseline, measure_baseline
from tagbelt.service.models.served import Served
from tagbelt.service.telemetry.metrics import SAMPLE, SAMPLE_A_SECOND, Metrics, Moment
from tests.service.fake import FakeTagger
from tests.service.models.folders import real
from tests.service.telemetry.test_metrics import values

ALERTS = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml"


def fires(name, found):
    """Whether an alert's own expression holds for what one server tells, rates being counts."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["alert"] == name]
    bare = re.sub(r"(sum|max) by \([^)]*\)|rate|\[1h\]", "", rule["expr"])
    totals = {}
    for series, value in found.items():
        family = series.partition("{")[0]
        totals[family] = totals.get(family, 0.0) + value
    return eval(bare, {}, totals)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return real(tmp_path_factory.mktemp("models") / "en")


@pytest.fixture(scope="module")
def known(checkpoint):
    """Sentences of words that the model knows."""
    words = json.loads((checkpoint / "vocabulary.json").read_text(encoding="utf-8"))["words"][1:]
    return [words[start : start + 8] for start in range(0, min(len(words), 400), 8)]


@pytest.fixture(scope="module")
def tagger(checkpoint, known):
    assert Tagger.load(checkpoint, threads=1).info.baseline is None
    before = verify_sums(checkpoint)
    made = add_baseline(checkpoint, known)
    tagger = Tagger.load(checkpoint, threads=1)
    assert tagger.info.baseline == made == Baseline.read(checkpoint)
    assert tagger.info.digest == verify_sums(checkpoint) != before
    return tagger


def told(tagger, sentences):
    metrics, served = Metrics(), Served(tagger)
    metrics.watch(lambda: Moment(models=[served]))
    metrics.refresh()
    for sentence in sentences:
        metrics.annotated(served, tagger.annotate_tokens([sentence]))
    return values(metrics)


def test_a_stream_of_another_language_raises_the_alert_and_its_own_does_not(tagger, known):
    own = told(tagger, known)
    version = f'{{model="{tagger.info.name}",version="{tagger.info.version}"}}'
    assert own[f"tagbelt_drift_tokens_total{version}"] == sum(map(len, known))
    assert not fires("TagbeltUnknownWords", own)
    assert not fires("TagbeltScoresFall", own)
    foreign = told(tagger, [["Ceci", "n'est", "qu'une", "phrase", "étrangère"]] * 50)
    assert fires("TagbeltUnknownWords", foreign)
    assert not any("étrangère" in series for series in foreign)


def test_a_model_that_is_less_sure_raises_the_alert():
    fake = FakeTagger("en")
    score = Baseline(tokens=9, unknown=0.0, score=0.99, scores={"0.99": 1.0}, entities={"PER": 9})
    fake.info = type(fake.info)(**{**vars_of(fake.info), "baseline": score})
    reading = fake.tokenize("Angela Merkel")
    metrics, served = Metrics(), Served(fake)
    metrics.watch(lambda: Moment(models=[served]))
    metrics.refresh()
    metrics.annotated(served, fake.annotate_items([reading]))
    assert fires("TagbeltScoresFall", values(metrics))
    metrics.watch(Moment)  # unloaded: there is nothing to compare with
    metrics.refresh()
    assert not any(series.startswith("tagbelt_baseline") for series in values(metrics))


def vars_of(info):
    return {name: getattr(info, name) for name in info.__dataclass_fields__}


def test_only_a_sample_of_a_batch_is_looked_at():
    metrics, fake = Metrics(), FakeTagger("en")
    readings = [fake.tokenize("Toyota x")] * 500
    metrics.annotated(Served(fake), fake.annotate_items(readings))
    found = values(metrics)
    version = '{model="en",version="3"}'
    assert found[f"tagbelt_drift_tokens_total{version}"] == SAMPLE
    assert found[f"tagbelt_drift_unknown_words_total{version}"] == SAMPLE // 2
    assert found['tagbelt_drift_entities_total{label="ORG",model="en",version="3"}'] == SAMPLE // 2
    assert found[f"tagbelt_drift_score_count{version}"] == SAMPLE // 2
    assert found['tagbelt_entities_total{label="ORG",model="en"}'] == 500


def test_only_so_much_is_looked_at_in_a_second(monkeypatch):
    now = [5.0]
    monkeypatch.setattr("tagbelt.service.telemetry.metrics.time.monotonic", lambda: now[0])
    metrics, fake = Metrics(), FakeTagger("en")
    found = fake.annotate_items([fake.tokenize("Toyota x")] * (SAMPLE // 2))
    for second in (1, 2):
        for _ in range(2 * SAMPLE_A_SECOND // SAMPLE):
            metrics.annotated(Served(fake), found)
        looked = values(metrics)['tagbelt_drift_tokens_total{model="en",version="3"}']
        assert looked == second * SAMPLE_A_SECOND
        now[0] += 1.0


def test_the_baseline_is_what_the_tagger_finds(tagger, known):
    found = tagger.annotate_tokens(known)
    entities = [entity for one in found for entity in one.entities]
    made = measure_baseline(tagger, [*known, ["qu'une", "étrangère"]])
    tokens = sum(map(len, known)) + 2
    assert made.unknown == pytest.approx(2 / tokens)
    assert made.scores["1.0"] == pytest.approx(1.0 if entities else 0.0)
    own = measure_baseline(tagger, known)
    assert sum(own.entities.values()) == pytest.approx(1000 * len(entities) / (tokens - 2))
    with pytest.raises(ValueError, match="at least one token"):
        measure_baseline(tagger, [[]])


def test_a_damaged_baseline_is_named(tmp_path):
    path = real(tmp_path / "en")
    (path / BASELINE).write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"baseline\.json: SHA256SUMS does not know it"):
        Tagger.load(path)
    write_sums(path)
    with pytest.raises(CheckpointError, match=r"baseline\.json: cannot be read: "):
        Tagger.load(path)

"""What is counted, and how it is exposed."""

import itertools
import threading
from types import SimpleNamespace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from tagbelt.inference import Phases, VectorCacheUse
from tagbelt.service.models.served import Served
from tagbelt.service.telemetry.metrics import MAX_SERIES, Metrics, Moment
from tests.service.fake import FakeTagger


class Tagger(FakeTagger):
    use = VectorCacheUse(0, 0)

    def vector_cache_use(self) -> VectorCacheUse:
        return self.use


def served(name: str = "en", **changes: object) -> Served:
    return Served(Tagger(name, **changes))


def annotation(*labels: str) -> SimpleNamespace:
    entities = [SimpleNamespace(label=label, score=0.5) for label in labels]
    return SimpleNamespace(entities=entities, tokens=labels)


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels as the text has them."""
    text = metrics.exposition()[0].decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_requests_are_counted_and_timed(metrics):
    for seconds in (0.0004, 0.003, 20.0):
        metrics.request("/v1/tag", "POST", 200, seconds)
    metrics.request("/v1/tag", "POST", 429, 0.001)
    found = values(metrics)
    counted = 'tagbelt_requests_total{method="POST",route="/v1/tag",status="%s"}'
    assert (found[counted % 200], found[counted % 429]) == (3, 1)
    bucket = 'tagbelt_request_seconds_bucket{le="%s",route="/v1/tag"}'
    bounds = ("0.0005", "0.001", "0.002", "0.005", "10.0", "+Inf")
    assert [found[bucket % le] for le in bounds] == [1, 2, 2, 3, 3, 4]
    assert found['tagbelt_request_seconds_sum{route="/v1/tag"}'] == pytest.approx(20.0044)


def test_a_batch_is_counted_with_its_phases_and_waits(metrics):
    phases = Phases(tokenize=0.0001, infer=0.004, decode=0.0003)
    metrics.batch(served(), items=3, tokens=40, phases=phases, waited=[0.0, 0.02])
    metrics.batch(served(), items=1, tokens=2, phases=phases, waited=[])
    found = values(metrics)
    assert found["tagbelt_batch_items_sum"] == 4
    assert found["tagbelt_batch_tokens_sum"] == 42
    assert found['tagbelt_batch_items_bucket{le="2.0"}'] == 1
    assert found["tagbelt_tokenize_seconds_sum"] == pytest.approx(0.0002)
    assert found["tagbelt_infer_seconds_sum"] == pytest.approx(0.008)
    assert found["tagbelt_decode_seconds_sum"] == pytest.approx(0.0006)
    assert found["tagbelt_queue_seconds_count"] == 2
    assert found["tagbelt_queue_seconds_sum"] == pytest.approx(0.02)
    assert found['tagbelt_tokens_total{model="en"}'] == 42


def test_entities_are_counted_by_label(metrics):
    metrics.annotated(served(), [annotation("PER", "LOC"), annotation(), annotation("PER")])
    metrics.annotated(served("zh"), [annotation("PER")])
    found = values(metrics)
    assert found['tagbelt_entities_total{label="PER",model="en"}'] == 2
    assert found['tagbelt_entities_total{label="LOC",model="en"}'] == 1
    assert found['tagbelt_entities_total{label="PER",model="zh"}'] == 1


def test_what_did_not_work_is_counted_by_reason(metrics):
    for _ in range(3):
        metrics.rejected("queue_full")
    metrics.failed("internal")
    metrics.model_change("reload", "failed")
    found = values(metrics)
    assert found['tagbelt_rejected_total{reason="queue_full"}'] == 3
    assert found['tagbelt_items_failed_total{reason="internal"}'] == 1
    assert found['tagbelt_model_changes_total{action="reload",outcome="failed"}'] == 1


def test_gauges_show_the_moment(metrics):
    moments = [
        Moment(queue_depth=7, queue_characters=900, ready=True),
        Moment(),
    ]
    metrics.watch(lambda: moments.pop(0))
    metrics.refresh()
    found = values(metrics)
    names = ("tagbelt_queue_depth", "tagbelt_queue_characters", "tagbelt_ready")
    assert [found[name] for name in names] == [7, 900, 1]
    metrics.refresh()
    found = values(metrics)
    assert [found[name] for name in names] == [0, 0, 0]


def test_only_loaded_models_have_an_info(metrics):
    old, new, other = served(version="1"), served(version="2"), served("zh", language="zh")
    models = [old, other]
    metrics.watch(lambda: Moment(models=models))

    def infos() -> set[str]:
        metrics.refresh()
        return {name for name in values(metrics) if name.startswith("tagbelt_model_info")}

    def info(name: str, version: str, language: str) -> str:
        labels = f'digest="{"ab" * 32}",language="{language}",model="{name}",version="{version}"'
        return f"tagbelt_model_info{{{labels}}}"

    assert infos() == {info("en", "1", "en"), info("zh", "3", "zh")}
    models = [new, other]
    assert infos() == {info("en", "2", "en"), info("zh", "3", "zh")}
    models = [old, new]
    assert infos() == {info("en", "1", "en"), info("en", "2", "en")}


def test_lookups_are_counted_once_also_when_a_model_is_replaced(metrics):
    first, second = served(), served()
    models = [first]
    metrics.watch(lambda: Moment(models=models))
    first.tagger.use = VectorCacheUse(10, 2)
    metrics.refresh()
    metrics.refresh()
    first.tagger.use = VectorCacheUse(15, 3)
    second.tagger.use = VectorCacheUse(1, 1)
    models = [second]
    metrics.refresh()
    first.tagger.use = VectorCacheUse(99, 99)
    metrics.refresh()
    found = values(metrics)
    # The old name is kept for one release.
    for name in ("tagbelt_vector_cache_lookups_total", "tagbelt_lexicon_lookups_total"):
        assert found[name + '{model="en",result="hit"}'] == 16
        assert found[name + '{model="en",result="miss"}'] == 4


def test_labels_are_bounded(metrics):
    for number in range(10_000):
        metrics.request(f"/made/up/{number}", f"VERB{number}", 200, 0.001)
        metrics.annotated(served(f"model{number}"), [annotation(f"LABEL{number}")])
        metrics.rejected(f"reason {number}")
    found = values(metrics)
    for start in ("tagbelt_requests_total", "tagbelt_entities_total", "tagbelt_rejected_total"):
        samples = {name: value for name, value in found.items() if name.startswith(start)}
        assert len(samples) == MAX_SERIES + 1
        assert sum(samples.values()) == 10_000
    assert not any("VERB" in name for name in found)
    assert found['tagbelt_entities_total{label="other",model="other"}'] == 10_000 - MAX_SERIES


def test_apps_in_one_process_count_for_themselves():
    one, other = Metrics(), Metrics()
    one.rejected("queue_full")
    assert 'tagbelt_rejected_total{reason="queue_full"}' in values(one)
    assert 'tagbelt_rejected_total{reason="queue_full"}' not in values(other)


def test_threads_lose_no_count(metrics):
    def work() -> None:
        for number in range(500):
            metrics.batch(served(), items=1, tokens=2, phases=Phases(), waited=[0.001])
            metrics.rejected(str(number % 7))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = values(metrics)
    assert found['tagbelt_tokens_total{model="en"}'] == 4000
    assert found["tagbelt_queue_seconds_count"] == 2000
    rejected = [value for name, value in found.items() if name.startswith("tagbelt_rejected")]
    assert sum(rejected) == 2000


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", parse_plain),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parse_plain),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            parse_open,
        ),
        # What no scraper sends does no harm.
        ("application/openmetrics-text;version=x;;,", "application/openmetrics-text", parse_open),
    ],
)
def test_both_formats_can_be_read(metrics, accept, kind, parse):
    metrics.watch(lambda: Moment(models=[served('a"b\\c\n')]))
    metrics.refresh()
    metrics.request("/v1/tag", "POST", 200, 0.001)
    text, content_type = metrics.exposition(accept)
    assert content_type.startswith(kind)
    families = {family.name: family for family in parse(text.decode())}
    (info,) = families["tagbelt_model_info"].samples
    assert info.labels["model"] == 'a"b\\c\n'
    assert all(family.documentation for family in families.values())


def test_series_have_no_time_of_their_beginning(metrics):
    metrics.request("/v1/tag", "POST", 200, 0.001)
    assert not [name for name in values(metrics) if "_created" in name]


def test_buckets_rise(metrics):
    metrics.request("/v1/tag", "POST", 200, 0.001)
    (text, _) = metrics.exposition()
    histograms = [f for f in parse_plain(text.decode()) if f.type == "histogram" and f.samples]
    assert len(histograms) == 7
    for family in histograms:
        bounds = [float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")]
        assert bounds[-1] == float("inf")
        assert all(low < high for low, high in itertools.pairwise(bounds))

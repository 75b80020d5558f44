"""The metrics of an app: filled by the middleware and the engine, read at /metrics."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Gauge, Metric, ProcessCollector, exposition
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tagbelt.inference import Annotation, Phases, VectorCacheUse
from tagbelt.service.engine.recorder import CanaryComparison, Recorder
from tagbelt.service.models.served import Served
from tagbelt.service.telemetry.exchange import METHODS, OTHER
from tagbelt.service.telemetry.families import Families
from tagbelt.service.telemetry.shared import VARIABLE

ALIASES = {"tagbelt_vector_cache_lookups": "tagbelt_lexicon_lookups"}
"""Names of 0.1, kept for one release, by the names that replace them."""
_NONE = -1.0  # the baseline of a model that is no longer loaded
SAMPLE = 128
"""Tokens of a batch, those of its first items, that are looked at for drift."""
SAMPLE_A_SECOND = 2_048
"""Tokens that are looked at for drift in a second; batches that come after them are not."""
_OPENMETRICS = "application/openmetrics-text"


class MetricSource(Protocol):
    """A source of metrics: the registry of one process, or the files of several."""

    def collect(self) -> Iterable[Metric]:
        """All of them, with their samples."""


def expose(source: MetricSource, accept: str) -> tuple[bytes, str]:
    """The metrics in the format that an Accept header asks for, and the content type."""
    wanted = {media.partition(";")[0].strip().lower() for media in accept.split(",")}
    if _OPENMETRICS in wanted:
        body: bytes = openmetrics.generate_latest(_Lean(source))  # type: ignore[no-untyped-call]
        return body, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(_Lean(source)), exposition.CONTENT_TYPE_PLAIN_0_0_4


class _Lean(Collector):
    """Leaves out series that say when a series began, and models that are no longer loaded.

    Metrics of ALIASES come under their old names as well.
    """

    def __init__(self, source: MetricSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for metric in self._source.collect():
            metric.samples = [
                sample
                for sample in metric.samples
                if not sample.name.endswith("_created")
                and (sample.value or sample.name != "tagbelt_model_info")
                and (sample.value >= 0 or not sample.name.startswith("tagbelt_baseline_"))
            ]
            yield metric
            if metric.name in ALIASES:
                yield _renamed(metric, ALIASES[metric.name])


def _renamed(metric: Metric, name: str) -> Metric:
    alias = Metric(name, f"The old name of {metric.name}; gone in 0.3.", metric.type)
    alias.samples = [
        sample._replace(name=sample.name.replace(metric.name, name, 1)) for sample in metric.samples
    ]
    return alias


MAX_SERIES = 1000
"""Of one family, in one process; what comes later is counted as "other"."""

C = TypeVar("C", bound=MetricWrapperBase)


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the service at one moment, for the gauges."""

    queue_depth: int = 0
    queue_characters: int = 0
    ready: bool = False
    models: Sequence[Served] = ()


class Metrics(Recorder):
    """The metrics of one app; as the engine's Recorder, safe to call from its threads.

    With PROMETHEUS_MULTIPROC_DIR in the environment they are those of all its processes.
    """

    def __init__(self) -> None:
        self._folder = os.environ.get(VARIABLE)
        self._registry = None if self._folder else CollectorRegistry()
        self._families = families = Families(self._registry)
        if self._registry:
            ProcessCollector(registry=self._registry)
        self._requests = _Children(families.requests)
        self._request_seconds = _Children(families.request_seconds)
        self._entities = _Children(families.entities)
        self._tokens = _Children(families.tokens)
        self._lookups = _Children(families.vector_cache_lookups)
        self._rejected = _Children(families.rejected)
        self._items_failed = _Children(families.items_failed)
        self._model_changes = _Children(families.model_changes)
        self._drift_tokens = _Children(families.drift_tokens)
        self._drift_unknown_words = _Children(families.drift_unknown_words)
        self._drift_entities = _Children(families.drift_entities)
        self._drift_score = _Children(families.drift_score)
        self._canary_requests = _Children(families.canary_requests)
        self._canary_items = _Children(families.canary_items)
        self._canary_entities = _Children(families.canary_entities)
        self._canary_score = _Children(families.canary_score)
        self._canary_seconds = _Children(families.canary_seconds)
        # Until when the tokens that are left are all that are looked at for drift.
        self._drift_until = 0.0
        self._drift_left = 0
        self._look: Callable[[], Moment] = Moment
        self._baselines: set[tuple[Gauge, tuple[str, ...]]] = set()
        self._cache_uses: dict[Served, VectorCacheUse] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request for `route`, a template, was answered."""
        method = method if method in METHODS else OTHER
        self._requests[route, method, str(status)].inc()
        self._request_seconds[route,].observe(seconds)

    def batch(
        self,
        served: Served,
        *,
        items: int,
        tokens: int,
        phases: Phases,
        waited: Sequence[float],
    ) -> None:
        """A batch was tagged; `waited` are the seconds that each new request of it had waited."""
        families = self._families
        families.batch_items.observe(items)
        families.batch_tokens.observe(tokens)
        families.tokenize_seconds.observe(phases.tokenize)
        families.infer_seconds.observe(phases.infer)
        families.decode_seconds.observe(phases.decode)
        for seconds in waited:
            families.queue_seconds.observe(seconds)
        self._tokens[served.name,].inc(tokens)

    def annotated(self, served: Served, annotations: Sequence[Annotation]) -> None:
        """These annotations were made."""
        found: dict[str, int] = {}
        for annotation in annotations:
            for entity in annotation.entities:
                found[entity.label] = found.get(entity.label, 0) + 1
        for label, count in found.items():
            self._entities[served.name, label].inc(count)
        self._look_for_drift(served, annotations)

    def _look_for_drift(self, served: Served, annotations: Sequence[Annotation]) -> None:
        """Count what tells that texts have changed, in a sample of them; nothing of it is kept."""
        now = time.monotonic()
        if now >= self._drift_until:
            self._drift_until, self._drift_left = now + 1.0, SAMPLE_A_SECOND
        if self._drift_left <= 0:
            return
        version, tokens, unknown = (served.name, served.version), 0, 0
        for annotation in annotations:
            if tokens >= SAMPLE:
                break
            # Of a long item all entities are counted, and so are all tokens.
            tokens += len(annotation.tokens)
            unknown += served.tagger.count_unknown(annotation.tokens)
            for entity in annotation.entities:
                self._drift_entities[*version, entity.label].inc()
                self._drift_score[version].observe(entity.score)
        self._drift_left -= tokens
        self._drift_tokens[version].inc(tokens)
        self._drift_unknown_words[version].inc(unknown)

    def rejected(self, reason: str) -> None:
        """A request was turned away, or dropped before it was computed."""
        self._rejected[reason,].inc()

    def failed(self, reason: str) -> None:
        """An item could not be tagged."""
        self._items_failed[reason,].inc()

    def answered(self, served: Served) -> None:
        """A request for a name that has a canary was answered by this one of the two."""
        self._canary_requests[served.name, served.version].inc()

    def compared(self, comparison: CanaryComparison) -> None:
        """A canary and the model whose place it took have both tagged an item."""
        stable, canary = comparison.stable, comparison.canary
        one, two = comparison.by_stable, comparison.by_canary
        is_same = one == two if one is None or two is None else one.keys() == two.keys()
        self._canary_items[canary.name, canary.version, "same" if is_same else "different"].inc()
        one, two = one or {}, two or {}
        both = len(one.keys() & two.keys())
        counts = {"both": both, "stable": len(one) - both, "canary": len(two) - both}
        for found_by, count in counts.items():
            self._canary_entities[canary.name, canary.version, found_by].inc(count)
        for served, found in ((stable, one), (canary, two)):
            for score in found.values():
                self._canary_score[served.name, served.version].observe(score)

    def timed(self, served: Served, seconds: float) -> None:
        """One of the two models that are compared took so long over the items of a request."""
        self._canary_seconds[served.name, served.version].observe(seconds)

    def not_compared(self, canary: Served, items: int) -> None:
        """A canary has answered for items that the other model did not tag as well."""
        self._canary_items[canary.name, canary.version, "skipped"].inc(items)

    def model_change(self, action: str, outcome: str) -> None:
        """A model was loaded, reloaded and so on, or was not; an outcome is ok or failed."""
        self._model_changes[action, outcome].inc()

    def watch(self, look: Callable[[], Moment]) -> None:
        """Asks `look` at every `refresh`."""
        self._look = look

    def refresh(self) -> None:
        """Brings what is only looked at up to date. From one thread at a time."""
        now, families = self._look(), self._families
        families.queue_depth.set(now.queue_depth)
        families.queue_characters.set(now.queue_characters)
        families.ready.set(now.ready)
        before = {_identity(served) for served in self._cache_uses}
        after = {_identity(served) for served in now.models}
        for gone in before - after:
            # Files that processes share can only grow.
            if self._folder:
                families.model_info.labels(*gone).set(0)
            else:
                families.model_info.remove(*gone)
        for new in after - before:
            families.model_info.labels(*new).set(1)
        if before != after:
            self._show_baselines(now.models)
        self._count_lookups(now.models)

    def _show_baselines(self, models: Sequence[Served]) -> None:
        families = self._families
        shown: dict[tuple[Gauge, tuple[str, ...]], float] = dict.fromkeys(self._baselines, _NONE)
        for served in models:
            version, known = (served.name, served.version), served.info.baseline
            if known is None:
                continue
            shown[families.baseline_unknown_share, version] = known.unknown
            shown[families.baseline_score, version] = known.score
            for bound, share in known.scores.items():
                shown[families.baseline_score_share, (*version, bound)] = share
            for label, count in known.entities.items():
                shown[families.baseline_entities, (*version, label)] = count
        for (family, labels), value in shown.items():
            family.labels(*labels).set(value)
        self._baselines = set(shown)

    def _count_lookups(self, models: Sequence[Served]) -> None:
        counted = dict.fromkeys(models, VectorCacheUse(0, 0)) | self._cache_uses
        for served, last in counted.items():
            use = counted[served] = served.tagger.vector_cache_use()
            self._lookups[served.name, "hit"].inc(use.hits - last.hits)
            self._lookups[served.name, "miss"].inc(use.misses - last.misses)
        # A model that was unloaded is looked at this last time.
        self._cache_uses = {served: counted[served] for served in models}

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All of it in the format that an Accept header asks for, and that format's name."""
        return expose(self._registry or _all_processes(self._folder), accept)

    def route(self) -> Route:
        """GET /metrics."""

        async def metrics(request: Request) -> Response:
            self.refresh()
            accept = request.headers.get("accept", "")
            body, content_type = await asyncio.to_thread(self.exposition, accept)
            return Response(body, headers={"content-type": content_type})

        return Route("/metrics", metrics)


class _Children(Generic[C]):
    """The series of a family by their labels: looked up once, and never more than MAX_SERIES."""

    def __init__(self, family: C) -> None:
        self._family = family
        self._known: dict[tuple[str, ...], C] = {}

    def __getitem__(self, labels: tuple[str, ...]) -> C:
        child = self._known.get(labels)
        return self._new(labels) if child is None else child

    def _new(self, labels: tuple[str, ...]) -> C:
        if len(self._known) >= MAX_SERIES:
            return self._family.labels(*[OTHER] * len(labels))
        child = self._known[labels] = self._family.labels(*labels)
        return child


def _all_processes(folder: str | None) -> MetricSource:
    source: MetricSource = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]
    return source


def _identity(served: Served) -> tuple[str, str, str, str]:
    return served.name, served.version, served.digest, served.info.language

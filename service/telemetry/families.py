"""The metrics: their names, labels and buckets."""

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tagbelt.data.checkpoint.artifact import SCORE_BOUNDS

REQUEST_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
PHASE_BUCKETS = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
# Overload shows here: a wait may be as long as a request's deadline.
QUEUE_BUCKETS = (*PHASE_BUCKETS, 2.0, 5.0, 10.0)
ITEM_BUCKETS = tuple(float(1 << power) for power in range(13))
TOKEN_BUCKETS = tuple(float(1 << power) for power in range(3, 17))


class Families:
    """Every metric, registered in `registry`; None registers them nowhere."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tagbelt_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, mode: str = "livesum") -> Gauge:
            return Gauge(
                f"tagbelt_{name}",
                text,
                labels,
                registry=registry,
                multiprocess_mode=mode,  # type: ignore[arg-type]
            )

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"tagbelt_{name}", text, labels, registry=registry, buckets=buckets)

        self.requests = counter(
            "requests_total", "Requests that were answered.", "route", "method", "status"
        )
        self.request_seconds = histogram(
            "request_seconds", "From a request to the end of its reply.", REQUEST_BUCKETS, "route"
        )
        self.queue_seconds = histogram(
            "queue_seconds", "From a request's arrival to its first batch.", QUEUE_BUCKETS
        )
        self.tokenize_seconds = histogram(
            "tokenize_seconds", "Finding the tokens of a batch.", PHASE_BUCKETS
        )
        self.infer_seconds = histogram("infer_seconds", "The network, over a batch.", PHASE_BUCKETS)
        self.decode_seconds = histogram(
            "decode_seconds", "From scores to entities, over a batch.", PHASE_BUCKETS
        )
        self.batch_items = histogram("batch_items", "Items of a batch.", ITEM_BUCKETS)
        self.batch_tokens = histogram("batch_tokens", "Tokens of a batch.", TOKEN_BUCKETS)
        self.queue_depth = gauge("queue_depth", "Requests that wait.")
        self.queue_characters = gauge("queue_characters", "Characters in all that waits.")
        self.entities = counter("entities_total", "Entities found.", "model", "label")
        self.tokens = counter("tokens_total", "Tokens tagged.", "model")
        self.vector_cache_lookups = counter(
            "vector_cache_lookups_total",
            "Word forms looked up; a hit was known, a miss was computed.",
            "model",
            "result",
        )
        version = ("model", "version")
        self.drift_tokens = counter(
            "drift_tokens_total", "Tokens of the sample that is looked at for drift.", *version
        )
        self.drift_unknown_words = counter(
            "drift_unknown_words_total", "Those that are not in the vocabulary.", *version
        )
        self.drift_entities = counter(
            "drift_entities_total", "Entities found in the sample.", *version, "label"
        )
        self.drift_score = histogram(
            "drift_score", "Scores of the entities of the sample.", SCORE_BOUNDS, *version
        )

        def baseline(name: str, text: str, *labels: str) -> Gauge:
            return gauge(f"baseline_{name}", text, *version, *labels, mode="livemax")

        self.baseline_unknown_share = baseline("unknown_share", "Unknown words of all, on dev.")
        self.baseline_score = baseline("score", "Mean score of an entity, on dev.")
        self.baseline_score_share = baseline("score_share", "Scores up to a bound, on dev.", "le")
        self.baseline_entities = baseline("entities", "Of 1,000 tokens, on dev.", "label")
        self.canary_requests = counter(
            "canary_requests_total",
            "Requests for a name that has a canary, by the version that answered.",
            "model",
            "version",
        )
        self.canary_items = counter(
            "canary_items_total",
            "Items that a canary answered, by the other version's: same, different, skipped.",
            "model",
            "canary",
            "result",
        )
        self.canary_entities = counter(
            "canary_entities_total",
            "Entities of compared items, found by both versions or by one.",
            "model",
            "canary",
            "found_by",
        )
        self.canary_score = histogram(
            "canary_score",
            "Scores of the entities that a version found in compared items.",
            SCORE_BOUNDS,
            "model",
            "version",
        )
        self.canary_seconds = histogram(
            "canary_seconds",
            "Tagging the items of a compared request, by version.",
            REQUEST_BUCKETS,
            "model",
            "version",
        )
        self.rejected = counter(
            "rejected_total", "Requests turned away, or dropped before inference.", "reason"
        )
        self.items_failed = counter("items_failed_total", "Items not tagged.", "reason")
        self.model_info = gauge(
            "model_info", "1 for each loaded model.", "model", "version", "digest", "language",
            mode="livemax",
        )  # fmt: skip
        self.model_changes = counter(
            "model_changes_total", "Loads, reloads and so on.", "action", "outcome"
        )
        self.ready = gauge("ready", "1 when every process can answer requests.", mode="livemin")
        self.build = gauge(
            "build_info", "1; the labels say what runs.", "version", "python", mode="livemax"
        )
        self.build.labels(build_version(), platform.python_version()).set(1)


def build_version() -> str:
    """Of the installed distribution."""
    try:
        return version("tagbelt")
    except PackageNotFoundError:  # run from its source
        return "unknown"

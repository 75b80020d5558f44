"""Metrics as text, in the two formats that scrapers ask for."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import Metric, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

_OPENMETRICS = "application/openmetrics-text"


class Source(Protocol):
    """Where metrics come from: the registry of one process, or the files of several."""

    def collect(self) -> Iterable[Metric]:
        """All of them, with their samples."""


def expose(source: Source, accept: str) -> tuple[bytes, str]:
    """The metrics in the format that an Accept header asks for, and the content type."""
    wanted = {media.partition(";")[0].strip().lower() for media in accept.split(",")}
    if _OPENMETRICS in wanted:
        body: bytes = openmetrics.generate_latest(_Lean(source))  # type: ignore[no-untyped-call]
        return body, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest(_Lean(source)), exposition.CONTENT_TYPE_PLAIN_0_0_4


class _Lean(Collector):
    """Leaves out series that say when a series began, and models that are no longer loaded."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for metric in self._source.collect():
            metric.samples = [
                sample
                for sample in metric.samples
                if not sample.name.endswith("_created")
                and (sample.value or sample.name != "tagbelt_model_info")
            ]
            yield metric

"""Requests as OpenTelemetry spans, sent in batches from a thread of their own."""

import threading
from typing import Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from tagbelt.service.engine.recorder import Work
from tagbelt.service.telemetry.exchange import METHODS, OTHER, Exchange
from tagbelt.service.telemetry.families import build_version

PATH = "/v1/traces"
SEND_SECONDS = 5
CLOSE_SECONDS = 3.0
_NANO = 1_000_000_000


class OtelTracing:
    """A server span for each request, with one child for each phase of the engine's work.

    Spans are made when the request is over, so that nobody waits for it. Which are sent is up
    to the caller's sampled flag, and without a caller to OTEL_TRACES_SAMPLER.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._ids = _Ids()
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes last and wins.
        resource = Resource.create({"service.name": "tagbelt", "service.version": build_version()})
        self._provider = TracerProvider(
            resource=resource.merge(OTELResourceDetector().detect()),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("tagbelt")

    @classmethod
    def to(cls, endpoint: str) -> Self:
        """Sends to a collector, by OTLP over HTTP, at this base URL or full URL."""
        base = endpoint.rstrip("/")
        url = base if base.endswith(PATH) else base + PATH
        return cls(OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS))

    def request(self, exchange: Exchange) -> None:
        """A request has been answered; its spans will be sent soon."""
        self._ids.trace_id = int(exchange.trace_id, 16)
        span = self._tracer.start_span(
            _name(exchange),
            context=_parent(exchange),
            kind=SpanKind.SERVER,
            attributes=_attributes(exchange),
            start_time=exchange.began_ns,
        )
        if span.is_recording():
            if exchange.work is not None:
                self._phases(span, exchange, exchange.work)
            if exchange.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end(_moment(exchange, exchange.seconds))

    def _phases(self, span: Span, exchange: Exchange, work: Work) -> None:
        """Children, end to end until the reply began: when exactly is not known, how long is."""
        context = set_span_in_context(span, Context())
        replied = (
            exchange.seconds if exchange.replied is None else exchange.replied - exchange.began
        )
        durations = {name: getattr(work, name) for name in ("queue", "tokenize", "infer", "decode")}
        begin = max(0.0, replied - sum(durations.values()))
        for name, seconds in durations.items():
            # Phases are summed over threads, so that they may be longer than the request.
            end = min(begin + seconds, replied)
            child = self._tracer.start_span(
                name,
                context=context,
                start_time=_moment(exchange, begin),
                attributes={"tagbelt.seconds": seconds},
            )
            child.end(_moment(exchange, end))
            begin = end

    def close(self) -> None:
        """Sends what is waiting, unless that takes longer than CLOSE_SECONDS, and stops."""
        # The library would try again and again while nobody listens.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


class _Ids(RandomIdGenerator):
    """Gives a trace the id that the request was logged under.

    Spans are made on the event loop, one request at a time, so there is one current id.
    """

    trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id


def _parent(exchange: Exchange) -> Context:
    if exchange.parent is None:
        return Context()
    state = TraceState.from_header([value.decode("latin-1") for value in exchange.tracestate])
    caller = SpanContext(
        int(exchange.parent.trace_id, 16),
        int(exchange.parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(exchange.parent.sampled),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(caller), Context())


def _name(exchange: Exchange) -> str:
    method = exchange.method if exchange.method in METHODS else "HTTP"
    return method if exchange.route == OTHER else f"{method} {exchange.route}"


def _attributes(exchange: Exchange) -> dict[str, AttributeValue]:
    scope, work = exchange.scope, exchange.work
    found: dict[str, AttributeValue] = {
        "http.request.method": exchange.method if exchange.method in METHODS else "_OTHER",
        "http.response.status_code": exchange.status,
        "network.protocol.version": scope["http_version"],
        "tagbelt.request_id": exchange.request_id,
        "url.path": exchange.path,
        "url.scheme": scope["scheme"],
    }
    if exchange.route != OTHER:
        found["http.route"] = exchange.route
    if scope.get("server"):
        host, port = scope["server"]
        found |= {"server.address": host} | ({} if port is None else {"server.port": port})
    if exchange.status >= 500:
        found["error.type"] = str(exchange.status)
    if work is not None:
        found |= {
            "tagbelt.model": work.model,
            "tagbelt.items": work.items,
            "tagbelt.tokens": work.tokens,
        }
    return found


def _moment(exchange: Exchange, seconds: float) -> int:
    """Nanoseconds since 1970 of a moment so many seconds into the request."""
    return exchange.began_ns + round(seconds * _NANO)

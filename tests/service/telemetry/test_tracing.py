import asyncio
import gzip
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tagbelt.errors import SettingsError
from tagbelt.service.engine.recorder import Work
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.exchange import Exchange
from tagbelt.service.telemetry.observe import Telemetry, Tracing, make_tracing
from tests.service.live import serving

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from tagbelt.service.telemetry import otel
from tagbelt.service.telemetry.otel import OtelTracing

ROOT = Path(__file__).parents[3]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
WORK = Work("en@3", 2, 11, 0.01, 0.002, 0.02, 0.005)
PHASES = ["queue", "tokenize", "infer", "decode"]


class Route:
    path_format = "/v1/tag"


async def no_receive():
    raise AssertionError("nothing is received")


async def no_send(_):
    raise AssertionError("nothing is sent")


def exchange(
    *headers: tuple[bytes, bytes], status: int = 200, work: Work | None = WORK
) -> Exchange:
    """A request of 50 ms whose reply began after 45."""
    made = Exchange(
        {
            "type": "http",
            "method": "POST",
            "path": "/v1/tag",
            "raw_path": b"/v1/tag",
            "scheme": "http",
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "route": Route(),
            "headers": headers,
            "state": {"work": work, "client_name": None},
        },
        no_receive,
        no_send,
    )
    made.sent_status = status
    made.replied, made.ended = made.began + 0.045, made.began + 0.050
    return made


def parent(flags: str) -> tuple[bytes, bytes]:
    return b"traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode()


def seconds(span: ReadableSpan) -> float:
    assert span.start_time
    assert span.end_time
    return (span.end_time - span.start_time) / 1e9


def spans(*exchanges: Exchange) -> list[ReadableSpan]:
    """What is exported, each request's own span after those of its phases."""
    exporter = InMemorySpanExporter()
    tracing = OtelTracing(exporter)
    for one in exchanges:
        tracing.request(one)
    tracing.close()
    return list(exporter.get_finished_spans())


def test_a_request_is_a_span_with_its_phases_as_children():
    asked = exchange()
    *phases, request = spans(asked)
    assert (request.name, request.kind) == ("POST /v1/tag", SpanKind.SERVER)
    assert request.parent is None
    assert format_trace_id(request.context.trace_id) == asked.trace_id
    assert seconds(request) == pytest.approx(0.05)
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/tag",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "tagbelt.request_id": asked.request_id,
        "tagbelt.model": "en@3",
        "tagbelt.items": 2,
        "tagbelt.tokens": 11,
        "url.path": "/v1/tag",
        "url.scheme": "http",
    }
    assert [phase.name for phase in phases] == PHASES
    assert [seconds(phase) for phase in phases] == pytest.approx([0.01, 0.002, 0.02, 0.005])
    assert all(phase.parent == request.context for phase in phases)
    # Each begins where the one before ends, the last ends where the reply begins.
    ends = [phase.end_time for phase in phases]
    assert ends[:-1] == [phase.start_time for phase in phases[1:]]
    assert ends[-1] == asked.began_ns + 45_000_000


def test_phases_summed_over_threads_stay_within_their_request():
    *phases, request = spans(exchange(work=Work("en@3", 1, 1, 0.01, 0.5, 0.5, 0.5)))
    assert all(request.start_time <= p.start_time <= p.end_time <= request.end_time for p in phases)
    assert [p.attributes["tagbelt.seconds"] for p in phases] == [0.01, 0.5, 0.5, 0.5]


def test_a_request_without_work_has_no_children():
    (request,) = spans(exchange(work=None))
    assert "tagbelt.model" not in request.attributes


def test_the_span_of_a_stream_has_the_work_of_all_its_batches(monkeypatch):
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(
        "tagbelt.service.telemetry.observe.make_tracing", lambda _: OtelTracing(exporter)
    )
    texts = b"".join(b'{"text":"Toyota in Nagoya"}\n' for _ in range(300))
    with serving() as url:
        reply = httpx.post(f"{url}/v1/tag/stream", content=texts, timeout=60)
        assert len(reply.content.splitlines()) == 300
    found = {span.name: span for span in exporter.get_finished_spans()}
    said = found["POST /v1/tag/stream"].attributes
    names = ("tagbelt.model", "tagbelt.items", "tagbelt.tokens")
    assert [said[name] for name in names] == ["fake@3", 300, 900]
    # A fake says of each batch that it took 2 ms.
    assert found["infer"].attributes["tagbelt.seconds"] > 0.003


def test_the_callers_span_is_the_parent():
    state = (b"tracestate", b"vendor=value")
    *_, request = spans(exchange(parent("01"), state))
    assert format_trace_id(request.context.trace_id) == TRACE
    assert format_span_id(request.parent.span_id) == SPAN
    assert request.parent.is_remote
    assert request.context.trace_state.get("vendor") == "value"


def test_what_the_caller_does_not_sample_is_not_exported():
    assert spans(exchange(parent("00")), exchange(parent("02"))) == []


@pytest.mark.parametrize(
    ("status", "is_error"), [(200, False), (422, False), (499, False), (503, True)]
)
def test_only_faults_of_the_server_are_errors(status, is_error):
    *_, request = spans(exchange(status=status))
    assert (request.status.status_code is StatusCode.ERROR) is is_error
    assert request.attributes.get("error.type") == (str(status) if is_error else None)


def test_an_unknown_route_or_method_makes_no_new_name():
    asked = exchange()
    del asked.scope["route"]
    asked.scope["method"] = "BREW"
    *_, request = spans(asked)
    assert request.name == "HTTP"
    assert "http.route" not in request.attributes
    assert request.attributes["http.request.method"] == "_OTHER"


def test_the_environment_names_the_service(monkeypatch):
    *_, request = spans(exchange())
    assert request.resource.attributes["service.name"] == "tagbelt"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "names")
    *_, request = spans(exchange())
    assert request.resource.attributes["service.name"] == "names"


class Collector:
    """Receives what is exported over a real socket."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.names: list[str] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.receive(self.path, ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def receive(self, path: str, request: ExportTraceServiceRequest) -> None:
        self.paths.append(path)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names += [span.name for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def tracing_to(url: str) -> Tracing:
    tracing = make_tracing(Settings(otlp_endpoint=url))
    assert tracing is not None
    return tracing


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
def test_spans_reach_a_collector_at_the_latest_when_the_app_ends(collector, path):
    tracing = tracing_to(collector.url + path)
    for _ in range(10):
        tracing.request(exchange())
    tracing.close()
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.names == [*PHASES, "POST /v1/tag"] * 10


def test_the_end_does_not_wait_long_for_a_collector(monkeypatch):
    gate, done = threading.Event(), threading.Event()

    class Slow(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            gate.wait(20)
            done.set()
            return super().export(spans)

    monkeypatch.setattr(otel, "CLOSE_SECONDS", 0.05)
    tracing = OtelTracing(Slow())
    tracing.request(exchange())
    tracing.close()
    assert not done.is_set()
    gate.set()
    assert done.wait(20)


def test_without_an_endpoint_nothing_is_imported():
    program = (
        "import sys; from tagbelt.service.settings import Settings\n"
        "from tagbelt.service.telemetry.observe import Telemetry\n"
        "Telemetry(Settings())\n"
        "assert not {'opentelemetry.sdk', 'requests', 'google.protobuf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_missing_packages_are_named_with_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "tagbelt.service.telemetry.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"opentelemetry\.sdk\.trace.+tagbelt\[otel\]"):
        make_tracing(Settings(otlp_endpoint="http://127.0.0.1:4318"))


def test_telemetry_sends_what_is_left_when_it_ends(collector):
    async def run() -> None:
        telemetry = Telemetry(Settings(otlp_endpoint=collector.url))
        async with telemetry.running():
            telemetry.tell(exchange())

    asyncio.run(run())
    assert collector.names == [*PHASES, "POST /v1/tag"]

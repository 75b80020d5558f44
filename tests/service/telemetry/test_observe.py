"""The outermost layer around a small app that has the service's other layers."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from tagbelt.service.api.errors import HANDLERS
from tagbelt.service.api.middleware import BodyLimit, FaultNet
from tagbelt.service.engine.recorder import Work
from tagbelt.service.private_logging import logger
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry import observe
from tagbelt.service.telemetry.metrics import Moment
from tagbelt.service.telemetry.observe import Observe, Telemetry
from tests.service.conftest import Client

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
MAX_BYTES = 100

router = APIRouter(prefix="/v1")


@router.post("/tag")
async def tag(request: Request) -> Response:
    await request.body()
    request.state.work = Work(
        "en@3", 2, 11, 0.0012, 0.0001, 0.002, 0.0003, ["Ada", ["in", "Paris"]]
    )
    logger.info("at work")
    return Response("four")


@router.get("/models/{name}")
async def model(name: str, request: Request) -> dict[str, Any]:
    request.state.client_name = "crawler"
    return {"name": name, "id": request.state.request_id, "trace": request.state.trace_id}


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"12"
        await asyncio.sleep(0.02)
        yield b"345"

    return StreamingResponse(parts())


@router.get("/fault")
async def fault() -> None:
    raise RuntimeError("Ada Lovelace")


@router.get("/wait")
async def wait(request: Request) -> Response:
    while not await request.is_disconnected():
        await asyncio.sleep(0)
    return Response("nobody reads this")


@router.get("/refused")
async def refused() -> None:
    raise AssertionError("the guard answers")


class Guard:
    """Answers in the place of the app, as a check of keys does."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refuses = scope["type"] == "http" and scope["path"] == "/v1/refused"
        await (Response(status_code=401) if refuses else self._app)(scope, receive, send)


def make(**settings: Any) -> tuple[FastAPI, Telemetry]:
    telemetry = Telemetry(Settings(**settings))
    app = FastAPI(exception_handlers=HANDLERS, redirect_slashes=False)
    app.include_router(router)
    app.routes.append(telemetry.metrics.route())
    app.add_middleware(BodyLimit, max_bytes=MAX_BYTES)
    app.add_middleware(Guard)
    app.add_middleware(FaultNet)
    app.add_middleware(Observe, telemetry=telemetry)
    return app, telemetry


@pytest.fixture
def http() -> Client:
    return Client(make()[0])


def counts(http: Client) -> dict[tuple[str, str, str], float]:
    """Requests by route, method and status."""
    pattern = r'tagbelt_requests_total\{method="(.+)",route="(.+)",status="(.+)"\} (.+)'
    found = re.findall(pattern, http.get("/metrics").text)
    return {(route, method, status): float(count) for method, route, status, count in found}


def test_each_reply_has_the_id_of_its_request(http):
    for request_id in ("abc", "x" * 128):
        reply = http.get("/v1/models/en", headers={"x-request-id": request_id})
        assert reply.headers["x-request-id"] == reply.json()["id"] == request_id
    made = {
        http.get(path).headers["x-request-id"] for path in ("/v1/models/en", "/no", "/v1/refused")
    }
    assert len(made) == 3
    reply = http.get("/v1/models/en", headers={"x-request-id": "a b"})
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


def test_the_trace_is_the_callers_or_a_new_one(http):
    def trace(*parents: str) -> str:
        headers = [("traceparent", parent) for parent in parents]
        found: str = http.get("/v1/models/en", headers=headers).json()["trace"]
        return found

    assert trace(f"00-{TRACE}-{SPAN}-01") == TRACE
    new = [trace(), trace(f"00-{TRACE}-{SPAN}"), trace(*[f"00-{TRACE}-{SPAN}-01"] * 2)]
    assert len({TRACE, *new}) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in new)


def test_requests_are_counted_under_the_template_of_their_route(http):
    for number in range(3):
        http.get(f"/v1/models/m{number}")
        http.get(f"/made/up/{number}")
    http.post_json(b"{}")
    http.request("DELETE", "/v1/models/en")
    http.request("BREW", "/v1/models/en")
    assert counts(http) == {
        ("/v1/models/{name}", "GET", "200"): 3,
        ("other", "GET", "404"): 3,
        ("/v1/tag", "POST", "200"): 1,
        ("/v1/models/{name}", "DELETE", "405"): 1,
        ("/v1/models/{name}", "other", "405"): 1,
    }


def test_any_number_of_paths_and_ids_adds_no_series(http):
    async def send() -> None:
        async with http.connect() as client:
            for number in range(2_000):
                await client.get(f"/v1/{number}", headers={"x-request-id": str(number)})

    asyncio.run(send())
    assert counts(http) == {("other", "GET", "404"): 2_000}


def test_replies_of_the_layers_below_are_seen(http, lines):
    reply = http.request("POST", "/v1/tag", content=b"x" * (MAX_BYTES + 1))
    assert reply.status_code == 413
    assert http.get("/v1/refused").status_code == 401
    assert http.get("/v1/fault").status_code == 500
    assert counts(http) == {
        ("/v1/tag", "POST", "413"): 1,
        ("other", "GET", "401"): 1,
        ("/v1/fault", "GET", "500"): 1,
    }
    assert [line["status"] for line in lines.all()] == [413, 401, 500]
    (failure,) = [line for line in lines.all("service") if line["level"] == "error"]
    assert failure["request_id"] == lines.all()[2]["request_id"]
    assert "RuntimeError at" in failure["message"]
    assert "Lovelace" not in str(lines.all(""))


def test_an_exception_that_nothing_answers_is_a_500(lines):
    async def broken(*_: Any) -> None:
        raise RuntimeError

    telemetry = Telemetry(Settings())
    with pytest.raises(RuntimeError):
        Client(Observe(broken, telemetry=telemetry)).get("/")
    assert [line["status"] for line in lines.all()] == [500]


def test_a_stream_is_timed_to_its_end(http, lines):
    assert http.get("/v1/stream").content == b"12345"
    (line,) = lines.all()
    assert line["seconds"] >= 0.02
    assert line["bytes"] == 5


class Connection:
    """The server's side of one request whose client leaves when `leave` is called."""

    def __init__(self, path: str) -> None:
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        self.sent: list[Any] = []
        self._left = asyncio.Event()
        self._asked = False

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request"}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


def test_a_client_that_leaves_is_a_499(lines):
    app, _ = make()

    async def ask() -> None:
        connection = Connection("/v1/wait")
        asking = asyncio.create_task(app(connection.scope, connection.receive, connection.send))
        await asyncio.sleep(0)
        connection.leave()
        await asking

    asyncio.run(ask())
    assert counts(Client(app))[("/v1/wait", "GET", "499")] == 1
    (line,) = lines.all()
    assert line["status"] == 499
    assert "address" not in line


def test_leaving_after_the_reply_is_no_499(lines):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response("all of it")(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    async def ask() -> None:
        connection = Connection("/")
        connection._asked = True
        connection.leave()
        await Observe(app, telemetry=Telemetry(Settings()))(
            connection.scope, connection.receive, connection.send
        )

    asyncio.run(ask())
    assert [line["status"] for line in lines.all()] == [200]


def test_a_request_that_the_server_gives_up_is_a_503(lines):
    app, _ = make()

    async def ask() -> None:
        connection = Connection("/v1/wait")
        asking = asyncio.create_task(app(connection.scope, connection.receive, connection.send))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    assert [line["status"] for line in lines.all()] == [503]


def test_where_the_time_went_is_told(http):
    reply = http.post_json(b"{}")
    number = r"(\d+\.\d{3})"
    names = ("queue", "tokenize", "infer", "decode", "total")
    pattern = ", ".join(f"{name};dur={number}" for name in names)
    found = re.fullmatch(pattern, reply.headers["server-timing"])
    assert found
    assert found.groups()[:4] == ("1.200", "0.100", "2.000", "0.300")
    assert "server-timing" not in http.get("/v1/models/en").headers


def test_a_line_has_what_is_needed_to_find_a_request(http, lines):
    headers = {"x-request-id": "r1", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    http.request("POST", "/v1/tag?key=hidden", headers=headers)
    http.get("/v1/models/en")
    tagged, described = lines.all()
    assert tagged.pop("time") <= described.pop("time")  # both may be of one millisecond
    assert 0 < tagged.pop("seconds") < 60
    assert tagged == {
        "level": "info",
        "logger": "service.requests",
        "message": "POST /v1/tag 200",
        "request_id": "r1",
        "trace_id": TRACE,
        "method": "POST",
        "path": "/v1/tag",
        "route": "/v1/tag",
        "status": 200,
        "bytes": 4,
        "address": "127.0.0.1",
        "model": "en@3",
        "items": 2,
        "tokens": 11,
    }
    assert (described["client"], described["route"]) == ("crawler", "/v1/models/{name}")
    assert "hidden" not in str(lines.all(""))


def test_every_line_of_a_request_has_its_id(http, lines):
    async def ask(client: httpx.AsyncClient, number: int) -> None:
        await client.post("/v1/tag", headers={"x-request-id": f"r{number}"})

    async def all_at_once() -> None:
        async with http.connect() as client:
            await asyncio.gather(*(ask(client, number) for number in range(20)))
            await ask(client, 20)
            logger.info("outside")

    asyncio.run(all_at_once())
    ids = {line["request_id"] for line in lines.all("service") if line["message"] == "at work"}
    assert ids == {f"r{number}" for number in range(21)}
    assert "request_id" not in lines.all("service")[-1]


def test_texts_are_logged_only_when_asked_for(http, lines):
    http.post_json(b"{}")
    Client(make(log_texts=True)[0]).post_json(b"{}")
    without, with_texts = lines.all()
    assert "texts" not in without
    assert with_texts["texts"] == ["Ada", "in Paris"]


def test_the_access_log_can_be_off(lines):
    Client(make(access_log=False)[0]).post_json(b"{}")
    assert lines.all() == []


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/health", "/v2/health/ready"])
def test_what_machines_ask_all_day_is_logged_at_debug(http, lines, path):
    http.get(path)
    assert lines.all() == []
    before = logger.level
    logger.setLevel("DEBUG")
    http.get(path)
    logger.setLevel(before)
    assert [(line["path"], line["level"]) for line in lines.all()] == [(path, "debug")]


def test_metrics_are_served_in_the_format_that_is_asked_for(http):
    assert http.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    reply = http.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")
    assert http.request("POST", "/metrics").status_code == 405


def test_gauges_are_kept_fresh_while_an_app_runs(monkeypatch, lines):
    monkeypatch.setattr(observe, "REFRESH_SECONDS", 0.01)
    telemetry = Telemetry(Settings())
    looks = []

    def look() -> Moment:
        looks.append(None)
        if len(looks) == 1:
            raise RuntimeError
        return Moment(queue_depth=5)

    async def run() -> None:
        telemetry.metrics.watch(look)
        async with asyncio.timeout(20), telemetry.running():
            while len(looks) < 2:
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert "RuntimeError" in lines.all("service")[0]["message"]
    assert "tagbelt_queue_depth 5.0" in telemetry.metrics.exposition()[0].decode()


def test_other_connections_are_passed_on():
    seen = []

    async def app(scope: Any, *_: Any) -> None:
        seen.append(scope)

    scope: Any = {"type": "lifespan"}
    asyncio.run(Observe(app, telemetry=Telemetry(Settings()))(scope, None, None))  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]

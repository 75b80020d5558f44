"""The end of a server: nothing that reached it is lost."""

import http.client
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.service.process.hammer import Hammer
from tests.service.process.running import PATIENCE, is_alive, running, until

HALF = "content-type: application/json\r\ncontent-length: 99\r\n\r\n{"


def tag(server, text):
    return httpx.post(f"{server.url}/v1/tag", json={"text": text}, timeout=PATIENCE)


def drain(server):
    """Send SIGTERM, and wait until it is known."""
    server.process.send_signal(signal.SIGTERM)
    until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503, "the drain")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("drain_seconds", [0, 0.3])
def test_sigterm_under_load_loses_no_request(tmp_path, workers, drain_seconds):
    settings = {"workers": workers, "drain_seconds": drain_seconds, "log_level": "warning"}
    with running(tmp_path, settings=settings) as server, Hammer(server.url, 12) as hammer:
        hammer.wait_for(300)
        assert server.end() == 0
        hammer.join()
        counts = hammer.counts
        # Each request that was read has its reply, right and whole, and there were no others.
        assert server.count() == (counts["right"], counts["right"])
        assert counts["right"] >= 300
        assert (counts["wrong"], counts["broken"]) == (0, 0)
        # A connection may be closed before anything of its request was read: once, at the end.
        assert counts["unread"] <= 12, hammer.errors
        assert server.log == ""


def test_while_it_drains_all_are_answered_and_told_to_go(tmp_path):
    settings = {"drain_seconds": 1}
    with running(tmp_path, settings=settings) as server, ThreadPoolExecutor(1) as pool:
        idle = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE)
        idle.request("GET", "/livez")
        assert idle.getresponse().read()
        in_flight = pool.submit(tag, server, "hold Toyota")
        until((tmp_path / "holding").exists, "the tagging")
        drain(server)
        # A connection from before is served a last time, and new ones are.
        idle.request("GET", "/livez")
        reply = idle.getresponse()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        idle.close()
        assert httpx.get(f"{server.url}/livez").headers["connection"] == "close"
        (tmp_path / "go").touch()
        reply = in_flight.result()
        assert (reply.status_code, reply.headers["connection"]) == (200, "close")
        assert len(reply.json()["results"][0]["entities"]) == 1
        assert server.process.wait(PATIENCE) == 0


def test_what_takes_too_long_is_ended_and_said(tmp_path):
    settings = {"drain_seconds": 0, "shutdown_seconds": 0.2}
    with running(tmp_path, settings=settings) as server, ThreadPoolExecutor(1) as pool:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as half:
            half.sendall(f"POST /v1/tag HTTP/1.1\r\nhost: {host}\r\n{HALF}".encode())
            held = pool.submit(tag, server, "hold")
            until((tmp_path / "holding").exists, "the tagging")
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                held.result()
            assert half.recv(1) == b""
            (tmp_path / "go").touch()
        assert server.process.wait(PATIENCE) == 0
    assert "2 connections were not done 0.2 s after the server stopped listening" in server.log


def test_a_stream_is_finished(tmp_path):
    with running(tmp_path) as server, httpx.Client(timeout=PATIENCE) as http:

        def lines():
            yield b'{"text": "Toyota"}\n'
            drain(server)
            yield b'{"text": "Nagoya"}\n'

        headers = {"content-type": "application/x-ndjson"}
        url = f"{server.url}/v1/tag/stream"
        with http.stream("POST", url, content=lines(), headers=headers) as reply:
            found = [json.loads(line) for line in reply.iter_lines()]
        assert [line["entities"][0]["text"] for line in found[:2]] == ["Toyota", "Nagoya"]
        assert server.process.wait(PATIENCE) == 0


def test_a_model_that_hangs_does_not_keep_it_from_ending(tmp_path):
    settings = {"drain_seconds": 0, "shutdown_seconds": 0.1}
    with running(tmp_path, rest=0.5, settings=settings) as server, ThreadPoolExecutor(1) as pool:
        held = pool.submit(tag, server, "hold")
        until((tmp_path / "holding").exists, "the tagging")
        assert server.end() == 1
        with pytest.raises(httpx.HTTPError):
            held.result()
    assert "not ended in order after 0.6 s: ended at once" in server.log


def test_a_second_signal_ends_it_at_once(tmp_path):
    with running(tmp_path, settings={"drain_seconds": 3600}) as server:
        drain(server)
        assert server.end(signal.SIGINT) == 130
        assert "a second signal" in server.log


def test_a_second_signal_ends_all_workers_at_once(tmp_path):
    with running(tmp_path, settings={"drain_seconds": 3600, "workers": 2}) as server:
        workers = server.workers
        drain(server)
        assert server.end() == 143
        assert not any(map(is_alive, workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_that_all_processes_get_counts_once(tmp_path, workers):
    settings = {"drain_seconds": 0.5, "workers": workers}
    with running(tmp_path, settings=settings) as server, ThreadPoolExecutor(1) as pool:
        held = pool.submit(tag, server, "hold")
        until((tmp_path / "holding").exists, "the tagging")
        for process in (server.process.pid, *server.workers):
            os.kill(process, signal.SIGINT)
        (tmp_path / "go").touch()
        assert held.result().status_code == 200
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_a_server_that_is_not_up_yet(tmp_path, workers):
    settings = {"workers": workers}
    with running(tmp_path, greets=False, waits=True, settings=settings) as server:
        until((tmp_path / "loading").exists, "the load")
        children = server.workers
        assert len(children) == workers - 1
        assert server.end() == 143
        assert not any(map(is_alive, children))
        assert server.process.stdout.read() == ""
        assert server.log == ""


def test_a_worker_that_is_up_drains_while_others_are_not_up_yet(tmp_path):
    settings = {"workers": 2, "drain_seconds": 0, "uds": str(tmp_path / "socket")}
    with running(tmp_path, greets=False, second_waits=True, settings=settings) as server:
        until((tmp_path / "loading").exists, "the load of the second")
        transport = httpx.HTTPTransport(uds=settings["uds"])
        with (
            httpx.Client(transport=transport, timeout=PATIENCE) as http,
            ThreadPoolExecutor(1) as pool,
        ):
            assert http.get("http://localhost/readyz").status_code == 200
            held = pool.submit(http.post, "http://localhost/v1/tag", json={"text": "hold"})
            until((tmp_path / "holding").exists, "the tagging")
            server.process.send_signal(signal.SIGTERM)
            until(lambda: "draining" in server.log, "the drain")
            for name in ("load", "go"):
                (tmp_path / name).touch()
            assert held.result().status_code == 200
        assert server.process.wait(PATIENCE) == 0
        assert "Try: " not in server.process.stdout.read()

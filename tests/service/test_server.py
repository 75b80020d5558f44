"""A real server on a real socket, and the process that `run` makes."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.server import run
from service.settings import Settings, SettingsError
from tests.service.fake import FakeTagger
from tests.service.live import serving

# `run` over two fake models: everything but the loading is real.
PROGRAM = """
import sys
from pathlib import Path
from service import server
from service.settings import load_settings
from tests.service.fake import FakeTagger

def load(path, threads):
    assert threads == 1
    return FakeTagger(path.name, poison="sesame")

server.Tagger.load = load
server.run(load_settings(port=0, threads=1), Path(sys.argv[1]), say=lambda s: print(s, flush=True))
"""


@pytest.fixture
def models(tmp_path):
    for name in ("en", "zh"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    return tmp_path


def test_a_request_and_an_error_over_a_socket():
    with serving() as url, httpx.Client(base_url=url) as http:
        assert http.get("/readyz").status_code == 200
        reply = http.post("/v1/tag", json={"text": "李明 met 👩‍🚀Ana"})
        assert [e["start"] for e in reply.json()["results"][0]["entities"]] == [0, 7]
        assert http.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_a_body_too_large_is_refused_over_a_socket():
    with serving() as url, httpx.Client(base_url=url) as http:
        reply = http.post("/v1/tag", json={"text": "a" * (4 << 20)})
        assert reply.status_code == 413
        assert "limit of 1048576 bytes" in reply.json()["detail"]
        assert http.post("/v1/tag", json={"text": "Toyota"}).status_code == 200


def test_many_clients_get_their_own_answers():
    def ask(number: int) -> str:
        texts = ["", f"{number} Toyota", "Nagoya"][: number % 3 + 1]
        reply = httpx.post(f"{url}/v1/tag", json={"texts": texts})
        expected = [[], [len(f"{number} ")], [0]][: number % 3 + 1]
        assert [[e["start"] for e in r["entities"]] for r in reply.json()["results"]] == expected
        return "right"

    with serving() as url, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(80))) == {"right"}


def test_a_client_that_leaves_does_no_harm():
    tagger = FakeTagger()
    with serving(tagger, max_waiting=4) as url, httpx.Client(base_url=url) as http:
        tagger.gate.clear()
        for _ in range(3):
            with pytest.raises(httpx.ReadTimeout):
                http.post("/v1/tag", json={"text": "a"}, timeout=0.05)
        tagger.gate.set()
        assert http.post("/v1/tag", json={"text": "Toyota"}).status_code == 200


def test_the_process_says_where_it_is_and_ends_in_order(models):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(models)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    )
    try:
        greeting = [process.stdout.readline() for _ in range(4)]
        assert greeting[0] == "Serving en 3 (PER, ORG, LOC), zh 3 (PER, ORG, LOC)\n"
        url = re.search(r"http://127\.0\.0\.1:\d+", greeting[1]).group()
        assert httpx.get(f"{url}/v1/models").json()["default"] == "en"
        command = shlex.split(greeting[3].partition("Try:")[2])
        assert command[:2] == ["curl", "-s"]
        header = dict([command[4].split(": ")])
        reply = httpx.post(command[2], headers=header, content=command[6])
        assert len(reply.json()["results"][0]["entities"]) == 3
        assert httpx.post(command[2], json={"text": "open sesame"}).status_code == 500
    finally:
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    assert re.search("ERROR:    .*an item failed: RuntimeError at ", log)
    assert "Angela" not in log
    assert "sesame" not in log


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"port {port}: .*in use.*TAGBELT_PORT"):
            run(Settings(port=port), tmp_path / "nothing", say=print)


def test_a_host_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot listen on 203\.0\.113\.1 port 0"):
        run(Settings(host="203.0.113.1", port=0), tmp_path, say=print)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        run(Settings(port=0), tmp_path, say=print)

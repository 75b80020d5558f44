"""The real thing: build, start, ask, kill, stop. Runs if TAGBELT_COMPOSE names the compose command.

TAGBELT_CONTAINERS names the command that kills a container, docker unless it is set.
"""

import http.client
import json
import os
import re
import shlex
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPOSE = os.environ.get("TAGBELT_COMPOSE", "")
CONTAINERS = shlex.split(os.environ.get("TAGBELT_CONTAINERS", "docker"))
START_SECONDS = 60

pytestmark = pytest.mark.skipif(
    not COMPOSE, reason="TAGBELT_COMPOSE is not set, for example to 'docker compose'"
)


def compose(*arguments: str, port: int) -> str:
    """Runs compose on a project of its own; its output."""
    done = subprocess.run(
        [*shlex.split(COMPOSE), "-p", "tagbelttest", *arguments],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def request(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"content-type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def ready(port: int) -> bool:
    try:
        return request(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    try:
        compose("up", "-d", "--build", "--scale", "tagbelt=2", "tagbelt", port=number)
        compose("up", "-d", "--scale", "tagbelt=2", "proxy", port=number)
        deadline = time.monotonic() + START_SECONDS
        while not ready(number):
            assert time.monotonic() < deadline, compose("logs", "tagbelt", port=number)
            time.sleep(0.2)
        yield number
    finally:
        compose("down", port=number)


def inside(port: int, code: str) -> str:
    """What a Python program prints inside the running container."""
    return compose("exec", "-T", "tagbelt", "python", "-c", code, port=port).strip()


def test_it_tags(port):
    text = "Angela Merkel visited Toyota in Nagoya on Monday."
    status, content = request(port, "POST", "/v1/tag", {"text": text})
    assert status == 200
    entities = json.loads(content)["results"][0]["entities"]
    assert [(e["label"], e["text"]) for e in entities] == [
        ("PER", "Angela Merkel"),
        ("ORG", "Toyota"),
        ("LOC", "Nagoya"),
    ]
    assert all(text[e["start"] : e["end"]] == e["text"] for e in entities)


def test_figures_are_not_passed_on(port):
    assert request(port, "GET", "/metrics")[0] == 404


def test_it_shows_the_page(port):
    status, content = request(port, "GET", "/")
    assert status == 200
    assert b"<title>Tagbelt" in content


def test_its_own_health_check_passes(port):
    compose("exec", "-T", "tagbelt", "python", "-I", "healthcheck.py", port=port)


def test_it_has_no_rights_and_cannot_write(port):
    code = (
        "import os, pathlib\n"
        "status = pathlib.Path('/proc/self/status').read_text(encoding='utf-8')\n"
        "assert 'CapEff:\\t0000000000000000' in status and 'NoNewPrivs:\\t1' in status\n"
        "assert os.getuid() == 10001\n"
        "try: pathlib.Path('/app/x').touch()\n"
        "except OSError as error: print(error.strerror)\n"
    )
    assert inside(port, code).endswith("Read-only file system")


def test_it_has_neither_torch_nor_a_pip_of_its_own(port):
    code = (
        "import importlib.util, sys\n"
        "found = [n for n in ('torch', 'pip', 'onnx') if importlib.util.find_spec(n)]\n"
        "print([n for n in found if importlib.util.find_spec(n).origin.startswith('/opt')])"
    )
    assert inside(port, code).endswith("[]")


def test_its_log_has_no_text_and_no_complaint(port):
    log = compose("logs", "tagbelt", port=port)
    assert "/v1/tag" in log
    assert "Merkel visited" not in re.sub(r"Try: .*", "", log)
    assert not re.search("error|warning|onnx", log, re.IGNORECASE)


def test_a_client_with_one_retry_loses_nothing_to_a_killed_replica_and_a_reload(port):
    text = {"text": "Angela Merkel visited Toyota in Nagoya on Monday."}
    ended, counts = threading.Event(), Counter()

    def ask() -> None:
        while not ended.is_set():
            for _ in range(2):
                try:
                    status, content = request(port, "POST", "/v1/tag", text)
                except (OSError, http.client.HTTPException):
                    continue
                if status == 200:
                    found = json.loads(content)["results"][0]["entities"]
                    counts["right" if len(found) == 3 else "wrong"] += 1
                    break
            else:
                counts["lost"] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    containers = compose("ps", "-q", "tagbelt", port=port).split()
    subprocess.run([*CONTAINERS, "kill", containers[-1]], check=True, capture_output=True)
    time.sleep(3)
    compose("kill", "-s", "HUP", "tagbelt", port=port)
    time.sleep(3)
    ended.set()
    for thread in threads:
        thread.join()
    assert counts["right"] > 100
    assert counts.keys() == {"right"}

"""The wiring of `tagbelt serve`; the server itself: tests/service."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TAGBELT_")]:
        monkeypatch.delenv(name)


def test_it_serves_until_it_is_told_to_stop(checkpoint):
    command = [sys.executable, "-m", "tagbelt", "serve", str(checkpoint), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        said = ""
        while "Try:" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "Serving tiny 1 (LOC, ORG, PER)" in said
        address = re.search(r"The page:  (http://127\.0\.0\.1:\d+)/", said)[1]
        answer = httpx.post(f"{address}/v1/tag", json={"text": "Mara Ellison owns a boat ."})
        [found] = answer.json()["results"][0]["entities"]
        assert (found["label"], found["start"], found["end"]) == ("PER", 0, 12)
        process.send_signal(signal.SIGINT)
        assert process.wait() in (0, 130)
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--port", "70000"], {}, "tagbelt serve: port (TAGBELT_PORT): "),
        ([], {"TAGBELT_PORT": "http"}, "tagbelt serve: port (TAGBELT_PORT): "),
        ([], {"TAGBELT_MAX_WAITING": "-1"}, "tagbelt serve: max_waiting (TAGBELT_MAX_WAITING): "),
        ([], {"TAGBELT_LOG_LEVEL": "loud"}, "tagbelt serve: log_level (TAGBELT_LOG_LEVEL): "),
        (
            [],
            {"TAGBELT_DEFAULT_MODEL": "none"},
            "tagbelt serve: default_model='none' is not among",
        ),
        (["--host", "no such host"], {}, "tagbelt serve: cannot listen on no such host port"),
    ],
)
def test_bad_settings_are_one_line(cli, checkpoint, monkeypatch, arguments, environment, message):
    for name, value in {"TAGBELT_PORT": "0", **environment}.items():
        monkeypatch.setenv(name, value)
    done = cli("serve", checkpoint, *arguments)
    assert done.code == 1
    assert done.err.startswith(message), done.err
    assert len(done.err.splitlines()) == 1


def test_a_taken_port_is_one_line(cli, checkpoint):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli("serve", checkpoint, "--port", taken.getsockname()[1])
    assert done.code == 1
    assert done.err.startswith("tagbelt serve: cannot listen on 127.0.0.1 port ")
    assert len(done.err.splitlines()) == 1


def test_no_model_is_one_line(cli, tmp_path, monkeypatch):
    done = cli("serve", tmp_path, "--port", "0")
    assert done.code == 1
    assert done.err.startswith(f"tagbelt serve: no checkpoint at {tmp_path}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagbelt.models.__file__", str(tmp_path / "tagbelt" / "models.py"))
    assert cli("serve").err == "tagbelt serve: no checkpoints/ here: say which checkpoint to use\n"

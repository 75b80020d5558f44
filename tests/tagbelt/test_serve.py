"""The wiring of `tagbelt serve`; the server itself: tests/service."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TAGBELT_")]:
        monkeypatch.delenv(name)
    # A server that starts in this process must not change the logging of other tests.
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)


@contextmanager
def started(*arguments):
    command = [sys.executable, "-m", "tagbelt", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def greeting(process):
    said = ""
    while "Try:" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_it_serves_until_it_is_told_to_stop(checkpoint):
    with started(checkpoint) as process:
        said = greeting(process)
        assert "Serving tiny 1 (LOC, ORG, PER)" in said
        address = re.search(r"The page:  (http://127\.0\.0\.1:\d+)/", said)[1]
        answer = httpx.post(f"{address}/v1/tag", json={"text": "Mara Ellison owns a boat ."})
        [found] = answer.json()["results"][0]["entities"]
        assert (found["label"], found["start"], found["end"]) == ("PER", 0, 12)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Traceback" not in process.stderr.read()


def test_two_workers_serve_the_bundled_models():
    with started("--workers", "2", "--threads", "1", "--log-format", "text") as process:
        address = re.search(r"http://127\.0\.0\.1:\d+", greeting(process)).group()
        texts = {"en": "Ada Lovelace lived in London.", "zh": "李明在上海工作。"}
        for _ in range(8):  # new connections, so that both are asked
            for model, text in texts.items():
                reply = httpx.post(f"{address}/v1/tag", json={"text": text, "model": model})
                assert reply.json()["results"][0]["entities"], text
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        log = process.stderr.read()
        assert log.count("Finished server process") == 2
        assert "Traceback" not in log


def test_sigterm_is_handled_from_the_start():
    """The first process of a container has to handle it, or it is ignored."""
    with started("--workers", "1") as process:
        while not handles(process.pid, signal.SIGTERM):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        assert process.stderr.read() == ""


@pytest.mark.parametrize("is_closed", [True, False])
def test_it_serves_though_nobody_reads_what_it_says(tmp_path, is_closed):
    reader, writer = os.pipe()
    os.close(reader)
    path = tmp_path / "socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "tagbelt", "serve", "--uds", path],
        stderr=writer,
        preexec_fn=(lambda: os.close(2)) if is_closed else None,
    )
    os.close(writer)
    try:
        while not listens(path):
            assert process.poll() is None
            time.sleep(0.05)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            reply = http.post("http://localhost/v1/tag", json={"text": "Ada Lovelace"})
            assert reply.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()


def listens(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def handles(pid, number):
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16)
    return bool(caught >> (number - 1) & 1)


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
        (
            ["--host", "no such host", "--allow-anonymous"],
            {},
            "tagbelt serve: cannot listen on no such host port",
        ),
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
    monkeypatch.setattr("tagbelt.data.checkpoint.finding._near_folders", list)
    assert cli("serve").err == (
        "tagbelt serve: no model in checkpoints/ here: say which checkpoint to use\n"
    )


def test_a_certificate_that_is_not_there_is_one_line(cli, checkpoint, tmp_path):
    missing = tmp_path / "nothing.pem"
    done = cli("serve", checkpoint, "--tls-certificate", missing, "--tls-key", missing)
    assert done.code == 1
    assert done.err == (
        f"tagbelt serve: tls_certificate={missing}: cannot be read: No such file or directory\n"
    )


def test_a_model_that_cannot_be_loaded_is_one_line_however_many_workers(process, tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    done = process("serve", tmp_path, "--workers", "2", "--port", "0")
    assert done.code == 1
    assert done.err.startswith(f"tagbelt serve: {tmp_path}")
    assert len(done.err.splitlines()) == 1


def test_show_config_is_a_file_that_says_the_same(cli, tmp_path):
    first = cli("serve", "--show-config", "--port", 9000, "--workers", 2, "--versions", "all")
    assert first.code == 0
    assert "port = 9000  # argument\n" in first.out
    assert 'host = "127.0.0.1"  # default\n' in first.out
    file = tmp_path / "tagbelt.toml"
    file.write_text(first.out, encoding="utf-8")
    second = cli("serve", "--show-config", "--config", file, "--host", "::1")
    assert f"port = 9000  # file {file}\n" in second.out
    assert f'versions = "all"  # file {file}\n' in second.out
    assert 'host = "::1"  # argument\n' in second.out


def test_what_is_misspelt_is_told(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("TAGBELT_WORKER", "2")
    done = cli("serve", "--show-config")
    assert done.code == 0
    assert done.err == (
        "tagbelt serve: TAGBELT_WORKER is not a setting; did you mean TAGBELT_WORKERS?\n"
    )
    file = tmp_path / "tagbelt.toml"
    file.write_text("timeout = 5\n", encoding="utf-8")
    done = cli("serve", "--config", file)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"tagbelt serve: {file}: timeout is not a setting; did you mean timeout_seconds?"
    )

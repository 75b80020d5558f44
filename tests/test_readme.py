"""The README's commands, run in a fresh copy of the repository as a newcomer would."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.main import get_command

from tagbelt.commands.cli import app
from tagbelt.service.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [block.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
READY_SECONDS = 600  # a first start installs packages

SERVE, ASK, TEST, COMPOSE, OWN_DATA, LOOK, PIPE = SHELL


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone would hold, with what is changed and not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: there is nothing to clone")
    target = tmp_path_factory.mktemp("clone")
    for name in filter(None, listed.stdout.split("\n")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def newcomer(**more: str) -> dict[str, str]:
    """The environment without what belongs to this test run."""
    ours = ("TAGBELT_", "PYTEST_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shell(command: str, cwd: Path) -> str:
    run = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(
        run, cwd=cwd, env=newcomer(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(command: str, cwd: Path) -> Iterator[int]:
    """Run a serving command until the block ends; yields the port it listens on."""
    port = free_port()
    log = cwd / "serve.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=cwd,
            env=newcomer(PORT=str(port)),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            wait_until_ready(port, process, log)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"not ready: {log.read_text(encoding='utf-8')}")


def test_the_readme_opens_with_serving_and_testing() -> None:
    assert SERVE == "make serve"
    assert TEST == "make test"
    assert (
        COMPOSE == "docker compose up -d --build"
    )  # tests/deploy runs it where there is an engine


def test_make_serve_answers_the_readmes_question(copy: Path) -> None:
    with served(SERVE, copy) as port:
        answer = json.loads(shell(ASK.replace("localhost:8000", f"localhost:{port}"), copy))
        greeting = (copy / "serve.log").read_text(encoding="utf-8")
    assert f"http://127.0.0.1:{port}/" in greeting
    assert "curl" in greeting
    assert "installed" in greeting
    assert "WARNING" not in greeting  # what pip has to say stands in its log
    assert "Successfully installed" in (copy / ".venv/install.log").read_text(encoding="utf-8")
    text = json.loads(re.search(r"-d '(.*)'", ASK)[1])["text"]
    (result,) = answer["results"]
    found = {(e["label"], e["text"]) for e in result["entities"]}
    assert found == {("PER", "Angela Merkel"), ("ORG", "Toyota"), ("LOC", "Nagoya")}
    assert all(text[e["start"] : e["end"]] == e["text"] for e in result["entities"])
    installed = shell(".venv/bin/python -m pip list --format=freeze", copy)
    assert "onnxruntime==" in installed
    assert not re.search("^torch==", installed, re.MULTILINE)


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="needs the .venv of `make setup`")
def test_make_test_runs_the_tests() -> None:
    out = shell(f"{TEST} TESTS=tests/data/text", ROOT)
    assert re.search(r"\d+ passed", out)


def test_training_on_own_data_ends_in_a_model_that_serves(copy: Path) -> None:
    train, evaluate, tag, serve = OWN_DATA.split("\n")
    tagbelt = f"{sys.executable} -m tagbelt"
    shell(train.replace(".venv/bin/tagbelt", tagbelt), copy)
    scores = shell(evaluate.replace(".venv/bin/tagbelt", tagbelt), copy)
    assert "strict and default mode alike" in scores
    lines = shell(tag.replace(".venv/bin/tagbelt", tagbelt), copy).splitlines()
    assert all("entities" in json.loads(line) for line in lines)
    report, seeds, compare = LOOK.replace(".venv/bin/tagbelt", tagbelt).split("\n")
    assert (copy / shell(report, copy).removeprefix("report: ").strip()).exists()
    shell(seeds.replace("--seeds 5", "--seeds 2"), copy)
    assert "paired bootstrap" in shell(compare, copy)
    with (
        served(serve, copy) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models") as reply,
    ):
        assert json.load(reply)["default"] == "example"


def test_the_python_and_shell_examples_find_the_same(copy: Path) -> None:
    (program,) = PYTHON
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy,
        env=newcomer(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["PER", "ORG", "LOC"]
    tagbelt = f"{sys.executable} -m tagbelt"
    piped = json.loads(shell(PIPE.replace(".venv/bin/tagbelt", tagbelt), copy))
    assert [entity["label"] for entity in piped["entities"]] == ["PER", "ORG", "LOC"]


CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")


def shape_of(readme: str) -> list[str]:
    """Headings by their depth and commands without their comments and texts, in order."""
    parts = re.findall(r"^#+ |```\w+\n.*?```", readme, re.DOTALL | re.MULTILINE)
    own = re.compile(r',"model":"zh"|"[^"]*"| --model zh\b|\s+#.*$', re.MULTILINE)
    return [own.sub("", part) for part in parts]


def test_both_readmes_have_the_same_headings_and_commands() -> None:
    assert shape_of(README) == shape_of(CHINESE)
    assert len(shape_of(README)) > 10


PAGES = sorted([ROOT / "README.md", *ROOT.glob("*.zh.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name.endswith(".zh.md")])
def test_what_chinese_pages_say_to_type_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    english = page.with_name(page.name.replace(".zh.", "."))
    assert f"]({english.name})" in text[:200]
    assert f"]({page.name})" in english.read_text(encoding="utf-8")[:200]
    for name in re.findall(r"TAGBELT_([A-Z_]+)", text):
        assert name.lower() in Settings.model_fields or name in ("DATA", "MODELS", "PREFIX")
    for command, rest in re.findall(r"^\.venv/bin/tagbelt (\w+) (.*)", text, re.MULTILINE):
        options = get_command(app).commands[command]
        if hasattr(options, "commands"):
            options = options.commands[rest.split()[0]]
        known = {name for option in options.params for name in option.opts}
        asked = re.findall(r" (--[a-z-]+)", rest.partition("  #")[0])
        assert set(asked) <= known, f"{command} {rest}"

"""An installation shows progress, and the end of pip's log when pip fails."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "deploy" / "install.py"
NOISE = "WARNING: Location 'file:///x/simple/' is ignored: it is neither a file nor a directory."
SAID = f"""\
{NOISE}
Collecting torch>=2.7 (from tagbelt==0.1.0)
  Downloading torch-2.13.0-cp311-none-linux.whl.metadata (30 kB)
Downloading torch-2.13.0-cp311-none-linux.whl (890.1 MB)
Downloading idna-3.20-py3-none-any.whl (68 kB)
  Building editable for tagbelt (pyproject.toml): started
Installing collected packages: torch, idna, tagbelt
"""
ERROR = "ERROR: No matching distribution found for torch"
FAKE = f"""
import sys
print({SAID!r}, end="", flush=True)
print("asked for", *sys.argv[1:], flush=True)
if "--fail" in sys.argv:
    print({ERROR!r}, file=sys.stderr)
    sys.exit(3)
"""

step = runpy.run_path(str(INSTALL))["step"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment without pip."""
    folder = tmp_path_factory.mktemp("install") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def install(environment, tmp_path, *arguments, pip=FAKE):
    """Run the program with a pip that says what it is told."""
    (tmp_path / "pip.py").write_text(pip, encoding="utf-8")
    return subprocess.run(
        [environment / "bin" / "python", INSTALL, *arguments],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_takes_long_is_shown_and_the_rest_is_in_the_log(environment, tmp_path):
    done = install(environment, tmp_path, "-e", ".")
    assert done.returncode == 0
    assert [line.split(" s  ")[1] for line in done.stdout.splitlines()] == [
        "fetching torch (890.1 MB)",
        "building tagbelt",
        "installing 3 packages",
        "installed",
    ]
    assert done.stderr == ""
    log = (environment / "install.log").read_text(encoding="utf-8")
    assert log.startswith(SAID)
    assert log.splitlines()[-1].endswith("-e .")


def test_a_failure_shows_the_end_of_the_log_its_place_and_keeps_the_exit_status(
    environment, tmp_path
):
    done = install(environment, tmp_path, "--fail")
    assert done.returncode == 3
    assert done.stdout.splitlines()[-1].endswith("pip failed:")
    *tail, place = done.stderr.splitlines()
    assert tail[-1] == ERROR
    assert NOISE not in tail
    assert place == f"The whole log: {environment / 'install.log'}"
    assert NOISE in (environment / "install.log").read_text(encoding="utf-8")


def test_a_pip_that_cannot_start_is_a_failure(environment, tmp_path):
    done = install(environment, tmp_path, pip="import nothing_like_it")
    assert done.returncode == 1
    assert "nothing_like_it" in done.stderr


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  Downloading a_b-1.0-py3-none-any.whl (10.0 MB)", ("fetching a_b (10.0 MB)", True)),
        ("Using cached a-1.0.tar.gz (1.2 GB)", ("fetching a (1.2 GB)", True)),
        ("Downloading a-1.0.tar.gz (900 kB)", ("fetching a (900 kB)", False)),
        ("Processing /some/place/a-1.0-py3-none-any.whl (from b)", ("fetching a", False)),
        ("Downloading a-1.0-py3-none-any.whl.metadata (30 kB)", None),
        ("Requirement already satisfied: a in /some/place (1.0)", None),
        (NOISE, None),
    ],
)
def test_a_line_of_the_log_is_read_as_a_step(line, shown):
    assert step(line) == shown

"""One message and one exit code for what a user can mend."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from tagbelt.commands.failures import told
from tagbelt.errors import EXTRAS, ConllError, MissingPackageError, missing_package

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def outcome(error, capsys, **options):
    with pytest.raises(typer.Exit) as ended, told("work", **options):
        raise error
    return ended.value.exit_code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConllError("a.conll", 3, "odd"), "a.conll:3: odd"),
        (FileNotFoundError(2, "No such file", "a"), "[Errno 2] No such file: 'a'"),
        (OSError(28, "No space left"), "[Errno 28] No space left"),
        (FloatingPointError("the loss is not finite"), "the loss is not finite"),
        (MissingPackageError("install it"), "install it"),
    ],
)
def test_a_mendable_error_is_one_message_and_exit_code_1(error, message, capsys):
    assert outcome(error, capsys) == (1, f"tagbelt work: {message}\n")


def test_an_interrupt_is_exit_code_130_with_its_hint(capsys):
    assert outcome(KeyboardInterrupt(), capsys) == (130, "tagbelt work: stopped\n")
    found = outcome(KeyboardInterrupt(), capsys, if_stopped="go on with --resume")
    assert found == (130, "tagbelt work: stopped; go on with --resume\n")


@pytest.mark.parametrize("error", [ValueError("a"), ModuleNotFoundError("no", name="tagbelt.no")])
def test_a_fault_of_ours_keeps_its_traceback(error):
    with pytest.raises(type(error)), told("work"):
        raise error


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_module_names_the_extra_that_installs_it(extra, monkeypatch, capsys):
    for module in EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ModuleNotFoundError) as raised:
            __import__(module)
        code, message = outcome(raised.value, capsys)
        assert (code, message) == (1, f"tagbelt work: {missing_package(raised.value)}\n")
        assert message.startswith(f"tagbelt work: {module} is not installed: ")
        assert message.endswith(f"pip install 'tagbelt[{extra}]'\n")


@pytest.mark.parametrize("arguments", [["tag", "in.txt"], ["data", "check", "a.conll"]])
def test_what_has_nowhere_to_write_to_says_so(arguments):
    command = [sys.executable, "-m", "tagbelt", *arguments]
    closed = "import os, sys; os.close(1); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", closed, *command], stderr=subprocess.PIPE, text=True, check=False
    )
    said = "tagbelt: standard output is closed: send it to a file, or to /dev/null\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_each_extra_that_a_user_installs_is_known():
    stated = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(stated["optional-dependencies"]) - {"bench", "scale", "test"}

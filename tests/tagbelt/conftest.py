import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tagbelt.commands.cli import app
from tests.training.tiny import tiny_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A checkpoint that knows our small English corpus by heart."""
    from tagbelt.training.run.train import train

    directory = tmp_path_factory.mktemp("tagbelt")
    config = tiny_config({"training.epochs": 20, "data.dev": "train.conll"})
    train(config, directory)
    return directory / "checkpoint"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def cli():
    """Run a command in this process: `cli("tag", "file.txt", input=b"...")`."""

    def run(*arguments, input=None):
        done = CliRunner().invoke(app, list(map(str, arguments)), input=input)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def process():
    """Run `python -m tagbelt` in a process of its own; without torch unless told."""

    def run(*arguments, input=b"", **environment):
        done = subprocess.run(
            [sys.executable, "-m", "tagbelt", *map(str, arguments)],
            cwd=ROOT,
            input=input,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            check=False,
        )
        return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return run

import io

import pytest
import torch
from rich.console import Console

from tagbelt.commands.training_view import TrainingView
from tagbelt.training.run.train import train
from tests.training.tiny import ENGLISH, tiny_config


@pytest.fixture(autouse=True)
def keep_threads():
    """A run sets torch's threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Trained:
    """A finished run: its directory, what it reported and what it said."""

    def __init__(self, directory, changes=None, base=ENGLISH, **options):
        said = io.StringIO()
        self.directory = directory
        self.config = tiny_config(changes, base)
        console = Console(file=said, width=200)
        with TrainingView(console) as view:
            self.report = train(self.config, directory, progress=view, **options)
        self.said = said.getvalue()

    @property
    def checkpoint(self):
        return self.directory / "checkpoint"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Run a tiny config: `trained({"section.key": value})`."""

    def run(changes=None, base=ENGLISH, *, directory=None, **options):
        directory = directory or tmp_path_factory.mktemp("run") / "tiny"
        return Trained(directory, changes, base, **options)

    return run


@pytest.fixture(scope="session")
def learned(trained):
    """A run long enough to have learned its corpus."""
    return trained({"training.epochs": 12})

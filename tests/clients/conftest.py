import json
import shutil
from pathlib import Path

import pytest

from tagbelt.data.checkpoint.artifact import CONFIG, write_sums

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def english():
    """The bundled model."""
    return str(ROOT / "checkpoints" / "en")


@pytest.fixture(scope="session")
def characters(tmp_path_factory):
    """A model of characters that was never trained: it finds much, always the same."""
    folder = tmp_path_factory.mktemp("characters") / "checkpoint"
    shutil.copytree(ROOT / "tests" / "golden" / "checkpoint", folder)
    header = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    header |= {"unit": "character", "language": "zh"}
    (folder / CONFIG).write_text(json.dumps(header), encoding="utf-8")
    write_sums(folder)
    return str(folder)


@pytest.fixture(scope="session")
def nlp(english):
    """A blank English pipeline with the bundled model."""
    from tests.clients.pipelines import pipeline

    return pipeline(english)

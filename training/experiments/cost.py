"""`cost`: weights, multiply-adds and measured time of each cell, and of ever longer sentences."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.errors import MissingPackageError
from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import QuantisedNetwork
from tagbelt.model.config import CELLS, CharacterConfig, ModelConfig, WordConfig
from tagbelt.model.export.graphs import quantised_network
from tagbelt.model.network import Network
from tagbelt.training.experiments.drawing import band, legend, look
from tagbelt.training.experiments.trials import (
    VARIANTS,
    Experiment,
    Key,
    Record,
    Records,
    Table,
    Tell,
    Trying,
    grouped,
    spread,
)

BASE = "lstm"
"""What the time of every cell is compared with, in turns."""
INPUTS, UNITS = 150, 200
LENGTHS = (10, 30, 100, 300, 1000)
SENTENCES = 8
ROUNDS = {True: 3, False: 31}


def _trials(options: Trying, _: Records) -> Iterator[Key]:
    for variant in options.variants(*CELLS):
        for seed in range(1, options.seeds + 1):
            yield {"variant": variant, "rounds": ROUNDS[options.quick], "seed": seed}


def network_of(variant: str, seed: int) -> Network:
    """Make a network of the usual size whose tokens are words alone."""
    torch.manual_seed(seed)
    encoder = {"hidden": UNITS, "dropout": 0.0, **VARIANTS[variant]}
    config = ModelConfig.model_validate(
        {
            "words": WordConfig(size=INPUTS),
            "characters": CharacterConfig(kind="none"),
            "encoder": encoder,
        }
    )
    vocabulary = Vocabulary(words=("", "a"), characters="", trained=2)
    return Network(config, vocabulary, tuple(tag_set(("A", "B"), Scheme.IOB2)), Scheme.IOB2)


def trainer(network: Network, length: int) -> Callable[[], None]:
    """Return a forward and backward pass of the encoder over sentences of one length."""
    rows = torch.randn(length * SENTENCES, INPUTS)
    sizes = torch.full((length,), SENTENCES)

    def run() -> None:
        network.zero_grad()
        network.encoder(rows, sizes).sum().backward()

    return run


def server(network: Network, length: int) -> Callable[[], None]:
    """Return the emissions of the same sentences in bytes, as a server has them."""
    if library() is None:
        raise MissingPackageError("cost measures the compiled kernels: install with a C compiler")
    served = QuantisedNetwork(quantised_network(network, bound=4.0))
    vectors = np.random.default_rng(1).normal(size=(length * SENTENCES, INPUTS))
    table = served.row_bytes(vectors.astype(np.float32))
    rows = np.arange(length * SENTENCES).reshape(length, SENTENCES)
    lengths = np.full(SENTENCES, length)
    return lambda: void(served.emissions(table, rows, lengths))


def void(_: object) -> None:
    """Forget a value."""


def taken(run: Callable[[], None]) -> float:
    """Return the seconds of processor time that a call takes."""
    began = time.process_time()
    run()
    return time.process_time() - began


def _run(key: Key, _: Trying, tell: Tell) -> dict[str, Any]:
    network, base = network_of(key["variant"], key["seed"]), network_of(BASE, key["seed"])
    names = dict(network.encoder.named_parameters())
    result: dict[str, Any] = {
        "weights": sum(weight.numel() for weight in names.values()),
        "products": sum(w.numel() for name, w in names.items() if "bias" not in name),
    }
    for name, make in (("training", trainer), ("serving", server)):
        tell(name)
        ours, theirs = make(network, 20), make(base, 20)
        taken(ours), taken(theirs)
        ratios = [taken(ours) / taken(theirs) for _ in range(key["rounds"])]
        result[name] = round(statistics.median(ratios), 4)
    tell("length")
    result["lengths"] = []
    for length in LENGTHS:
        run, times = trainer(network, length), max(2, 100 // length)
        seconds = min(taken(run) for _ in range(times))
        result["lengths"].append(round(1e6 * seconds / (length * SENTENCES), 3))
    return result


def _draw(figure: Figure, records: Sequence[Record]) -> None:
    left, right = figure.subplots(1, 2)
    found = grouped(records, "variant")
    for (variant,), results in found.items():
        products = results[0]["products"] / 1e6
        for name, fill in (("training", "full"), ("serving", "none")):
            shown = {**look(variant), "linestyle": "none", "fillstyle": fill, "markersize": 8}
            values = [result[name] for result in results]
            left.plot(
                [products] * len(values),
                values,
                **shown,
            )
        rows = [result["lengths"] for result in results]
        band(right, variant, LENGTHS, rows)
    left.set_xlim(0)
    left.set_ylim(0)
    left.set_xlabel("multiply-adds a token, millions")
    left.set_ylabel("time, of that of lstm")
    left.set_title("Filled: training; empty: serving, 8 bits", loc="left")
    right.set_xscale("log")
    right.set_ylim(0)
    right.set_xlabel("tokens a sentence")
    right.set_ylabel("training, microseconds a token")
    right.set_title("Cost against length", loc="left")
    legend(figure, right)


def _table(records: Sequence[Record]) -> Table:
    rows = []
    for (variant,), results in grouped(records, "variant").items():
        growth = [r["lengths"][-1] / r["lengths"][1] for r in results]
        times = (spread([r[name] for r in results]) for name in ("training", "serving"))
        weights, products = results[0]["weights"], results[0]["products"]
        rows.append((variant, f"{weights:,}", f"{products:,}", *times, spread(growth)))
    columns = (
        *("cell", "weights", "multiply-adds a token"),
        *("training time, of lstm", "serving time, of lstm"),
        f"a token of {LENGTHS[-1]:,}, of one of {LENGTHS[1]}",
    )
    return Table(columns, tuple(rows))


cost = Experiment(
    "Coupled gates and GRUs cost less; a step costs the same however long the sentence.",
    _trials,
    _run,
    _draw,
    _table,
    (10.0, 4.0),
)

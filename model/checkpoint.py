"""Writing a checkpoint from a network, and reading the network back to train or compare."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from tagbelt.data.checkpoint.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    INT8_NETWORK,
    SEQUENCE_GRAPH,
    WEIGHTS,
    WORDS_GRAPH,
    Header,
    read_vocabulary,
    replaced,
    verify_sums,
    write_json,
    write_sums,
    write_vocabulary,
)
from tagbelt.data.checkpoint.finding import find_checkpoint
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.errors import CheckpointError
from tagbelt.model.config import ModelConfig
from tagbelt.model.export.graphs import (
    input_bound,
    quantised_network,
    sequence_graph,
    sequence_int8_graph,
    words_graph,
)
from tagbelt.model.network import Network

TABLE = ("words.embedding.trained", "words.embedding.fixed")
CONTEXT_TABLES = {"bigrams": "context.bigrams.weight", "lexicon": "context.lexicon"}
"""Stored once, in half precision, for the network and the runtime alike."""
SOURCES = "words.sources."
"""Weights behind the tables of forms, which are stored as the network reads them."""


def save_checkpoint(
    directory: Path, network: Network, vocabulary: Vocabulary, header: Header
) -> None:
    """Write a whole checkpoint; a killed writer leaves the one that was there.

    The tables of words and bigrams are rounded to half precision (in `network` too, so that what
    is measured from here on is what is stored). Those of further sources are projected and rounded
    to bytes, which `network` does not see.

    Raises:
        CheckpointError: a weight is not finite.
    """
    network.eval()
    _round_tables(network)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    try:
        _finite(weights)
    except ValueError as error:
        raise CheckpointError(f"{directory}: not written: {error}") from error
    start, step, end = network.crf.scores(constrained=False)
    vocabulary = replace(vocabulary, forms=network.words.sources.stored(vocabulary.forms))
    with replaced(directory) as fresh:
        write_json(fresh / CONFIG, header.model_dump(mode="json"))
        write_vocabulary(fresh, vocabulary)
        tables_of = (*TABLE, *CONTEXT_TABLES.values())
        rest = {
            k: v for k, v in weights.items() if k not in tables_of and not k.startswith(SOURCES)
        }
        save_file(rest, fresh / WEIGHTS)
        tables = {"embeddings": torch.cat([weights[name] for name in TABLE])}
        tables |= {k: weights[v] for k, v in CONTEXT_TABLES.items() if v in weights}
        halves = {name: table.numpy().astype(np.float16) for name, table in tables.items()}
        save_arrays(halves, fresh / EMBEDDINGS)
        scores = {"start": start, "transitions": step, "end": end}
        save_arrays({k: v.detach().numpy() for k, v in scores.items()}, fresh / CRF)
        onnx.save(words_graph(network), fresh / WORDS_GRAPH)
        onnx.save(sequence_graph(network), fresh / SEQUENCE_GRAPH)
        _save_int8(fresh, network, vocabulary)
        write_sums(fresh)


def _save_int8(directory: Path, network: Network, vocabulary: Vocabulary) -> None:
    """Write what there is of the network in 8 bits: for the kernels, and for ONNX Runtime."""
    bound = input_bound(network, vocabulary)
    save_arrays(quantised_network(network, bound=bound), directory / INT8_NETWORK)
    graph = sequence_int8_graph(network, bound=bound)
    if graph is not None:
        onnx.save(graph, directory / INT8_GRAPH)


def load_network(directory: Path) -> tuple[Network, Vocabulary, Header]:
    """Read a checkpoint's network on the CPU, in evaluation mode.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or weights that do not fit its config.
    """
    directory = find_checkpoint(directory)
    header = Header.read(directory)
    verify_sums(directory)
    if not (directory / WEIGHTS).exists():
        raise CheckpointError(f"{directory}: {WEIGHTS} is missing: this copy is for serving only")
    vocabulary = read_vocabulary(directory)
    table, weights = _read_weights(directory, vocabulary.trained)
    try:
        config = ModelConfig.model_validate_json(json.dumps(header.model))
        network = Network(config, vocabulary, header.tags, header.scheme, size=table.shape[1])
        network.load_state_dict(weights, strict=True)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{directory}: {WEIGHTS} does not fit {CONFIG}: {error}") from error
    return network.eval(), vocabulary, header


def _read_weights(directory: Path, trained: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the word table [V, E], and all weights as the network names them."""
    path = directory / EMBEDDINGS
    try:
        tables = _finite(load_file(path, device="cpu"))
        table = tables["embeddings"].float()
        path = directory / WEIGHTS
        weights = _finite(load_file(path, device="cpu"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path}: can't be read: {error}") from error
    weights |= {TABLE[0]: table[:trained], TABLE[1]: table[trained:]}
    weights |= {v: tables[k].float() for k, v in CONTEXT_TABLES.items() if k in tables}
    return table, weights


def _finite(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} holds values that are not finite")
    return weights


@torch.no_grad()
def _round_tables(network: Network) -> None:
    embedding, context = network.words.embedding, network.context
    parts = [embedding.trained, embedding.fixed]
    parts += [] if context.bigrams is None else [context.bigrams.weight]
    parts += [] if context.lexicon is None else [context.lexicon]
    for part in parts:
        part.copy_(part.half().float())

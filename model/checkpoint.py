"""Writing a checkpoint from a network, and reading the network back to train or compare."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    INT8_NETWORK,
    SEQUENCE_GRAPH,
    VOCABULARY,
    WEIGHTS,
    WORDS_GRAPH,
    CheckpointError,
    Header,
    replaced,
    verify_sums,
    write_json,
    write_sums,
)
from data.vocabulary import Vocabulary
from model.config import ModelConfig
from model.export import input_bound, sequence_graph, sequence_int8_graph, words_graph
from model.network import Network
from model.quantised import quantised_network

TABLE = ("words.embedding.trained", "words.embedding.fixed")
"""Stored once, in half precision, for the network and the runtime alike."""


def save_checkpoint(
    directory: Path, network: Network, vocabulary: Vocabulary, header: Header
) -> None:
    """Write a whole checkpoint; a killed writer leaves the one that was there.

    The word table is rounded to half precision (in `network` too, so that what is measured from
    here on is what is stored).

    Raises:
        CheckpointError: a weight is not finite.
    """
    network.eval()
    _round_table(network)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    try:
        _finite(weights)
    except ValueError as error:
        raise CheckpointError(f"{directory}: not written: {error}") from error
    start, step, end = network.crf.scores(constrained=False)
    with replaced(directory) as fresh:
        write_json(fresh / CONFIG, header.model_dump(mode="json"))
        write_json(fresh / VOCABULARY, vocabulary.to_json())
        save_file({k: v for k, v in weights.items() if k not in TABLE}, fresh / WEIGHTS)
        table = torch.cat([weights[name] for name in TABLE]).numpy().astype(np.float16)
        save_arrays({"embeddings": table}, fresh / EMBEDDINGS)
        scores = {"start": start, "transitions": step, "end": end}
        save_arrays({k: v.detach().numpy() for k, v in scores.items()}, fresh / CRF)
        onnx.save(words_graph(network), fresh / WORDS_GRAPH)
        onnx.save(sequence_graph(network), fresh / SEQUENCE_GRAPH)
        _save_int8(fresh, network, vocabulary)
        write_sums(fresh)


def _save_int8(directory: Path, network: Network, vocabulary: Vocabulary) -> None:
    """Write what there is of the network in 8 bits: for the kernels, and for ONNX Runtime."""
    bound = input_bound(network, vocabulary)
    arrays = quantised_network(network, bound=bound)
    if arrays is not None:
        save_arrays(arrays, directory / INT8_NETWORK)
    graph = sequence_int8_graph(network, bound=bound)
    if graph is not None:
        onnx.save(graph, directory / INT8_GRAPH)


def load_network(directory: Path) -> tuple[Network, Vocabulary, Header]:
    """Read a checkpoint's network on the CPU, in evaluation mode.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or weights that do not fit its config.
    """
    header = Header.read(directory)
    verify_sums(directory)
    if not (directory / WEIGHTS).exists():
        raise CheckpointError(f"{directory}: {WEIGHTS} is missing: this copy is for serving only")
    vocabulary, table, weights = _read_parts(directory)
    weights[TABLE[0]] = table[: vocabulary.trained]
    weights[TABLE[1]] = table[vocabulary.trained :]
    try:
        config = ModelConfig.model_validate_json(json.dumps(header.model))
        network = Network(config, vocabulary, header.tags, header.scheme, size=table.shape[1])
        network.load_state_dict(weights, strict=True)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{directory}: {WEIGHTS} does not fit {CONFIG}: {error}") from error
    return network.eval(), vocabulary, header


def _read_parts(directory: Path) -> tuple[Vocabulary, Tensor, dict[str, Tensor]]:
    """Return the vocabulary, the word table [V, E] and all other weights."""
    path = directory / VOCABULARY
    try:
        vocabulary = Vocabulary.from_json(json.loads(path.read_text(encoding="utf-8")))
        path = directory / EMBEDDINGS
        table = _finite(load_file(path, device="cpu"))["embeddings"].float()
        path = directory / WEIGHTS
        return vocabulary, table, _finite(load_file(path, device="cpu"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path}: can't be read: {error}") from error


def _finite(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} holds values that are not finite")
    return weights


@torch.no_grad()
def _round_table(network: Network) -> None:
    embedding = network.words.embedding
    for part in (embedding.trained, embedding.fixed):
        part.copy_(part.half().float())

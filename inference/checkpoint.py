"""Reading a checkpoint to serve it: verified, without torch, and nothing in it can run code."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import (
    CONFIG,
    CRF,
    EMBEDDINGS,
    INT8_GRAPH,
    INT8_NETWORK,
    SEQUENCE_GRAPH,
    WEIGHTS,
    WORDS_GRAPH,
    Baseline,
    Header,
    read_vocabulary,
    verify_sums,
)
from tagbelt.data.checkpoint.finding import find_checkpoint
from tagbelt.data.conll.schemes import allowed_transitions
from tagbelt.errors import CheckpointError, VectorError
from tagbelt.inference.annotation import ModelInfo
from tagbelt.inference.crf.parameters import CrfParameters, tag_table
from tagbelt.inference.float_network import FloatNetwork
from tagbelt.inference.inspector import Inspector
from tagbelt.inference.native.quantised import PORTABLE, QuantisedNetwork, best_tier
from tagbelt.inference.scoring.context import ContextLookup, context_of
from tagbelt.inference.scoring.form_encoder import encoded
from tagbelt.inference.scoring.graph import open_graph
from tagbelt.inference.scoring.scorer import OnnxScorer, QuantisedScorer, WordVectors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Precision = Literal["auto", "float32", "int8"]


@dataclass(frozen=True)
class LoadedCheckpoint:
    """The parts of a Tagger."""

    scorer: OnnxScorer | QuantisedScorer
    crf: CrfParameters
    info: ModelInfo
    window: int
    inspector: Inspector


def load_checkpoint(
    path: str | Path, *, precision: Precision, encode_forms: bool = False
) -> LoadedCheckpoint:
    """Read and verify a checkpoint: a directory, that of a training run, or a model's name.

    `precision = "auto"` is what the checkpoint was found to serve best in. With `encode_forms`, the
    vectors of forms that its tables lack are those of its transformer, not of their pieces.

    Raises:
        CheckpointError: no checkpoint, a damaged or foreign one, one that has nothing in int8, or
            one whose transformer is not installed.
    """
    directory = find_checkpoint(path)
    header = Header.read(directory)
    digest = verify_sums(directory)
    _check_tags(directory / CONFIG, header)
    features = _features(directory, encode_forms=encode_forms)
    scorer = _scorer(directory, header, precision, features)
    crf, info = _crf(directory, header), _info(header, digest, Baseline.read(directory))
    read = partial(read_float_network, directory, digest)
    inspector = Inspector(read, info, crf, *features, header.window)
    return LoadedCheckpoint(scorer, crf, info, header.window, inspector)


def read_float_network(directory: Path, digest: str) -> FloatNetwork:
    """Read the weights of a checkpoint, in float32, to look inside.

    Raises:
        CheckpointError: a damaged checkpoint, one without weights (a copy for serving only), or
            another one than that with this digest.
    """
    if not (directory / WEIGHTS).exists():
        raise CheckpointError(
            f"{directory}: {WEIGHTS} is missing: this copy is for serving only, and shows nothing "
            "of what happens inside"
        )
    if verify_sums(directory) != digest:
        raise CheckpointError(f"{directory}: was replaced since it was loaded: load it again")
    weights = _arrays(directory / WEIGHTS, ("emissions.weight", "emissions.bias"))
    try:
        return FloatNetwork.read(weights, Header.read(directory).model["encoder"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory}: {WEIGHTS} does not fit {CONFIG}: {error}") from error


def _check_tags(path: Path, header: Header) -> None:
    try:
        labels = tag_table(header.tags, header.scheme).labels
    except ValueError as error:
        raise CheckpointError(f"{path}: tags: {error}") from error
    if set(labels) != set(header.labels):
        raise CheckpointError(f"{path}: labels: {header.labels} are not those of the tags")


class _Features(NamedTuple):
    """The sources of a network's inputs."""

    vectors: WordVectors
    context: ContextLookup | None


def _features(directory: Path, *, encode_forms: bool) -> _Features:
    vocabulary = read_vocabulary(directory)
    if encode_forms:
        try:
            vocabulary = replace(vocabulary, forms=tuple(map(encoded, vocabulary.forms)))
        except VectorError as error:
            raise CheckpointError(f"{directory}: {error}") from error
    tables = _arrays(directory / EMBEDDINGS, ("embeddings",))
    embeddings = tables["embeddings"]
    if embeddings.ndim != 2:
        shape = list(embeddings.shape)
        raise CheckpointError(f"{directory / EMBEDDINGS}: embeddings of shape {shape}, not [V, E]")
    if len(embeddings) != len(vocabulary.words):
        counts = f"{len(embeddings)} embeddings for {len(vocabulary.words)} words"
        raise CheckpointError(f"{directory / EMBEDDINGS}: {counts}")
    try:
        context = context_of(vocabulary, tables)
    except ValueError as error:
        raise CheckpointError(f"{directory}: {error}") from error
    path = directory / WORDS_GRAPH
    session = _session(path)
    try:
        vectors = WordVectors(session, embeddings, vocabulary)
    except Exception as error:  # as in _session
        raise CheckpointError(f"{path}: no graph of words for this checkpoint: {error}") from error
    return _Features(vectors, context)


def _scorer(
    directory: Path, header: Header, precision: Precision, features: _Features
) -> OnnxScorer | QuantisedScorer:
    chosen = header.precision if precision == "auto" else precision
    if chosen == "int8":
        if _runs_fast(directory / INT8_NETWORK):
            return _quantised(directory / INT8_NETWORK, header, features)
        if (directory / INT8_GRAPH).exists():
            return _onnx(directory / INT8_GRAPH, features, len(header.tags))
        if precision == "int8":
            raise CheckpointError(f"{directory}: nothing here runs in int8: load it in float32")
    return _onnx(directory / SEQUENCE_GRAPH, features, len(header.tags))


def _onnx(path: Path, features: _Features, tags: int) -> OnnxScorer:
    session = _session(path)
    try:
        scorer = OnnxScorer(features.vectors, session, features.context)
        scorer.check(tags)
        return scorer
    except Exception as error:  # as in _session
        raise CheckpointError(f"{path}: no network for this checkpoint: {error}") from error


def has_int8(directory: Path) -> bool:
    """Whether a checkpoint can serve in 8 bits on this machine."""
    return _runs_fast(directory / INT8_NETWORK) or (directory / INT8_GRAPH).exists()


def _runs_fast(path: Path) -> bool:
    return path.exists() and best_tier() not in (None, PORTABLE)


def _quantised(path: Path, header: Header, features: _Features) -> QuantisedScorer:
    """Read the network for the compiled kernels."""
    arrays = _arrays(path, ())
    try:
        network = QuantisedNetwork(arrays)
        if network.tags != len(header.tags):
            raise ValueError(f"{network.tags} tags, {CONFIG} names {len(header.tags)}")
        scorer = QuantisedScorer(features.vectors, network, features.context)
        scorer.check(network.tags)
        return scorer
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{path}: no network for this checkpoint: {error}") from error


def _session(path: Path) -> "InferenceSession":
    try:
        return open_graph(path)
    except Exception as error:  # ONNX Runtime's have no common class
        raise CheckpointError(f"{path}: this ONNX Runtime can't run it: {error}") from error


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        # A kind of numbers that numpy does not have, as bfloat16, is any of the last three.
        raise CheckpointError(f"{path}: can't be read: {type(error).__name__}: {error}") from error
    # Where some package has taught numpy bfloat16, it can be read, but not computed with.
    odd = next((n for n, array in arrays.items() if array.dtype.kind not in "fiub"), None)
    if odd is not None:
        raise CheckpointError(f"{path}: can't be read: {odd!r} holds {arrays[odd].dtype}")
    for name in names:
        if name not in arrays:
            raise CheckpointError(f"{path}: holds no {name!r}")
    for name in arrays:
        if not np.isfinite(arrays[name]).all():
            raise CheckpointError(f"{path}: {name!r} holds values that are not finite")
    return dict(arrays)


def _crf(directory: Path, header: Header) -> CrfParameters:
    names = ("start", "transitions", "end")
    arrays = _arrays(directory / CRF, names)
    try:
        allowed = allowed_transitions(header.tags, header.scheme)
        start, transitions, end = (arrays[name] for name in names)
        return CrfParameters.constrained(start, transitions, end, allowed)
    except (ValueError, TypeError, LookupError) as error:
        place = f"{directory}: {CRF} and the {len(header.tags)} tags of {CONFIG} do not fit"
        raise CheckpointError(f"{place}: {error}") from error


def _info(header: Header, digest: str, baseline: Baseline | None) -> ModelInfo:
    return ModelInfo(
        name=header.name,
        version=header.version,
        labels=header.labels,
        tags=header.tags,
        scheme=header.scheme,
        unit=header.unit,
        digest=digest,
        language=header.language,
        description=header.description,
        licence=header.licence,
        metrics=dict(header.metrics),
        baseline=baseline,
        examples=header.examples,
    )

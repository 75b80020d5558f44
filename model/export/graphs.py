"""A network as ONNX graphs, built by hand: words to vectors, and vectors to emissions.

`words.onnx`: embeddings [N, E], characters int64 [N, C] padded with 0, lengths int32 [N] and
shapes int64 [N] (the last three where the network has them) -> vectors [N, D].
`sequence.onnx`: vectors [T, B, D'], lengths int32 [B] -> emissions [T, B, K]; what stands behind
a sentence's end has no meaning. These vectors are those of the forms followed by the context
features, which tables give. Decoding stays outside.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, ValueInfoProto, helper

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.covering import SETS
from tagbelt.model.batch import encode_forms
from tagbelt.model.export.onnx_graph import Graph
from tagbelt.model.export.onnx_recurrent import (
    encoder_nodes,
    quantisable,
    quantise,
    recurrent_nodes,
)
from tagbelt.model.features.words import CharacterCnn, CharacterRnn
from tagbelt.model.network import Network

CALIBRATION_WORDS = 20_000
CALIBRATION_QUANTILE = 0.9999


def words_graph(network: Network) -> onnx.ModelProto:
    """Build the graph that gives each distinct form its vector."""
    words, graph = network.words, Graph("words")
    size = words.embedding.trained.shape[1]
    inputs = [_tensor("embeddings", TensorProto.FLOAT, "N", size)]
    features = ["embeddings"]
    if words.characters is not None and words.reader is not None:
        inputs.append(_tensor("characters", TensorProto.INT64, "N", "C"))
        inputs.append(_tensor("lengths", TensorProto.INT32, "N"))
        vectors = graph.add("Gather", graph.weights(words.characters.weight), "characters")
        features.append(_character_features(graph, words.reader, vectors))
    if words.shapes is not None:
        inputs.append(_tensor("shapes", TensorProto.INT64, "N"))
        features.append(graph.add("Gather", graph.weights(words.shapes.weight), "shapes"))
    graph.add("Concat", *features, out="vectors", axis=1)
    return graph.model("words", inputs, _tensor("vectors", TensorProto.FLOAT, "N", words.size))


def _character_features(graph: Graph, reader: CharacterCnn | CharacterRnn, vectors: str) -> str:
    """Character vectors [N, C, E] -> features [N, H]."""
    if isinstance(reader, CharacterCnn):
        return _filtered(graph, reader, vectors)
    steps = graph.add("Transpose", vectors, perm=[1, 0, 2])
    states, final = "character_states", "character_features"
    layer = reader.layer
    graph.extend(
        recurrent_nodes(
            layer, x=steps, lengths="lengths", y=states, final=final, prefix="characters"
        )
    )
    return final


def _filtered(graph: Graph, reader: CharacterCnn, vectors: str) -> str:
    """A convolution and its maximum over each word."""
    filters = reader.filters
    assert filters.bias is not None
    weights = graph.weights(filters.weight), graph.weights(filters.bias)
    rows = graph.add("Transpose", vectors, perm=[0, 2, 1])
    pads = [filters.kernel_size[0] // 2] * 2
    scores = graph.add("Conv", rows, *weights, pads=pads)  # [N, H, C]
    scores = graph.add("Where", _within_word(graph), scores, graph.floats(-np.inf))
    return graph.add("ReduceMax", scores, axes=[2], keepdims=0)


def _within_word(graph: Graph) -> str:
    """bool [N, 1, C]: whether a character stands before the end of its word."""
    width = graph.add("Squeeze", graph.add("Shape", "characters", start=1, end=2))
    places = graph.add("Range", graph.constant(0), width, graph.constant(1))  # [C]
    ends = graph.add("Cast", "lengths", to=TensorProto.INT64)
    return graph.add("Less", places, graph.add("Unsqueeze", ends, graph.constant([1, 2])))


def sequence_graph(network: Network, *, bound: float | None = None) -> onnx.ModelProto:
    """Build the graph from vectors to emissions; with `bound`, one that can be quantised."""
    graph, linear = Graph("emissions"), network.emissions
    graph.extend(
        encoder_nodes(network.encoder, x="vectors", lengths="lengths", y="states", sentinel=bound)
    )
    scores = graph.add("MatMul", "states", graph.weights(linear.weight.T))
    graph.add("Add", scores, graph.weights(linear.bias), out="emissions")
    inputs = [
        _tensor("vectors", TensorProto.FLOAT, "T", "B", network.row_size),
        _tensor("lengths", TensorProto.INT32, "B"),
    ]
    output = _tensor("emissions", TensorProto.FLOAT, "T", "B", linear.out_features)
    return graph.model("sequence", inputs, output)


def sequence_int8_graph(network: Network, *, bound: float) -> onnx.ModelProto | None:
    """Build the quantised graph; None for a cell that has no quantised form."""
    if not quantisable(network.config.encoder.cell):
        return None
    return quantise(sequence_graph(network, bound=bound))


@torch.no_grad()
def input_bound(network: Network, vocabulary: Vocabulary) -> float:
    """Return the magnitude that all but one in ten thousand features of known words stay below.

    The same holds for the features of known pairs and of the lexicon; flags are all within it.
    """
    forms = encode_forms(list(vocabulary.words[:CALIBRATION_WORDS]), vocabulary)
    words, context = network.words, network.context
    embedded = words.embedding.table()[forms.words]
    vectors = words.with_surface(embedded, forms.characters, forms.lengths, forms.shapes)
    bounds = [_magnitude(vectors), 1.0 if context.flags else 0.0]
    if context.bigrams is not None:
        bounds.append(_magnitude(context.bigrams.weight))
    if context.lexicon is not None:  # whose weights sum to so many over all sets
        bounds.append(len(SETS) * _magnitude(context.lexicon))
    return max(bounds)


def _magnitude(vectors: torch.Tensor) -> float:
    values = vectors.abs().flatten().numpy()
    return float(np.quantile(values, CALIBRATION_QUANTILE))


def _tensor(name: str, kind: int, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))

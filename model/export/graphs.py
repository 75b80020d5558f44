"""A network as ONNX graphs, built by hand: words to vectors, and vectors to emissions.

`words.onnx`: embeddings [N, E], characters int64 [N, C] padded with 0, lengths int32 [N], shapes
int64 [N] and forms [N, S], the vectors of further sources (all but the first where the network has
them) -> vectors [N, D].
`sequence.onnx`: vectors [T, B, D'], lengths int32 [B] -> emissions [T, B, K]; what stands behind
a sentence's end has no meaning. These vectors are those of the forms followed by the context
features, which tables give. Decoding stays outside.
"""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.covering import SETS
from tagbelt.model.batch import encode_forms
from tagbelt.model.cells import CELLS
from tagbelt.model.cells.layer import RecurrentLayer, as_array
from tagbelt.model.export.nodes import Graph, encoder_nodes, recurrent_nodes
from tagbelt.model.features.tokens import CharacterCnn, CharacterRnn
from tagbelt.model.network import Network, SelfAttention

CALIBRATION_WORDS = 20_000
CALIBRATION_QUANTILE = 0.9999
LIMIT = 127
"""The largest magnitude of a weight in a byte."""
# With 7-bit weights the sum of two products fits 16 bits: processors without VNNI saturate there,
# and would otherwise give other results than those that have it.
WEIGHT_LIMIT = 64

Arrays = dict[str, NDArray[np.generic]]


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
    if words.sources.size:
        inputs.append(_tensor("forms", TensorProto.FLOAT, "N", words.sources.size))
        features.append("forms")
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
    if not CELLS[network.config.encoder.cell].has_onnx_8bit:
        return None
    return quantise(sequence_graph(network, bound=bound))


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose LSTM operators multiply in 8 bits (ONNX Runtime's DynamicQuantizeLSTM).

    Weights get one scale an output channel; all other operators stay as they are: they are a
    few per cent of the work. Raises ValueError for an LSTM without sentinels, whose results would
    depend on the batch.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    constants = {constant.name: constant for constant in quantised.graph.initializer}
    for node in quantised.graph.node:
        if node.op_type != "LSTM":
            continue
        if len(node.input) < 6 or not node.input[5]:
            raise ValueError(
                f"node {node.name!r} has no sentinels, so its 8-bit results would depend on the "
                "batch: build it with sentinel=..."
            )
        inputs = [*node.input, ""][:8]
        for name in inputs[1:3]:
            inputs += _quantise_weight(constants[name], quantised.graph)
        node.op_type, node.domain = "DynamicQuantizeLSTM", "com.microsoft"
        del node.input[:]
        node.input.extend(inputs)
    if all(opset.domain != "com.microsoft" for opset in quantised.opset_import):
        quantised.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return quantised


def _quantise_weight(constant: TensorProto, graph: onnx.GraphProto) -> list[str]:
    """Turn a weight [D, 4H, I] into int8 [D, I, 4H]; names of its scale and zero point [D, 4H]."""
    weight = numpy_helper.to_array(constant)
    scale = np.abs(weight).max(axis=2) / WEIGHT_LIMIT
    scale[scale == 0.0] = 1.0  # a sentinel's weights
    levels = np.rint(weight / scale[:, :, None]).astype(np.int8).transpose(0, 2, 1)
    constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(levels), constant.name))
    names = [f"{constant.name}/scale", f"{constant.name}/zero"]
    for name, values in zip(names, (scale, np.zeros_like(scale, np.int8)), strict=True):
        graph.initializer.append(numpy_helper.from_array(values, name))
    return names


def quantised_network(network: Network, *, bound: float) -> Arrays:
    """Arrays as `tagbelt.inference.native.quantised.QuantisedNetwork` reads them.

    Inputs are clipped to [-bound, bound]. Weights get one scale an output channel.
    """
    kernel = CELLS[network.config.encoder.cell].kernel
    arrays: Arrays = {
        "cell": np.frombuffer(kernel.encode("ascii"), np.uint8),
        "bound": np.array([bound], np.float32),
        "tags.weight": as_array(network.emissions.weight),
        "tags.bias": as_array(network.emissions.bias),
    }
    for index, layer in enumerate(network.encoder.layers):
        assert isinstance(layer, RecurrentLayer)
        # What a later layer reads are states, which are within 1.
        made = _layer_arrays(layer, bound if index == 0 else 1.0)
        arrays |= {f"{index}.{name}": array for name, array in made.items()}
    if network.encoder.attention is not None:
        arrays |= _attention_arrays(network.encoder.attention, network.emissions)
    return arrays


def _attention_arrays(attention: SelfAttention, emissions: torch.nn.Linear) -> Arrays:
    """Queries and keys in bytes; values, as they reach the scores of tags, and the tags' new bias.

    Between softmax and scores all is linear, and shares sum to 1.
    """
    heads, size = attention.heads, attention.output.in_features
    parts = (attention.projection, attention.output, emissions)
    projection, output, tags = (as_array(part.weight).astype(np.float64) for part in parts)
    shift, output_bias, tags_bias = (as_array(part.bias).astype(np.float64) for part in parts)
    factor = np.log2(np.e) / np.sqrt(size // heads)  # the kernels take powers of two
    weight, bias = projection.reshape(3, heads, -1, size), shift.reshape(3, heads, -1)
    weight[0] *= factor
    bias[0] *= factor
    levels, scale = _levels(weight[:2])
    reach = (tags @ output).reshape(len(tags), heads, -1).swapaxes(0, 1)  # [A, K, size / A]
    return {
        "heads.weight": levels,
        "heads.scale": (scale / LIMIT).astype(np.float32),
        "heads.bias": bias[:2].astype(np.float32),
        "heads.values": (reach @ weight[2]).astype(np.float32),
        "tags.bias": (tags_bias + tags @ (output_bias + output @ bias[2].ravel())).astype(
            np.float32
        ),
    }


def _levels(weight: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.floating]]:
    """Weights [..., I] as bytes, and what a step of them is worth, [...]."""
    scale = np.abs(weight).max(axis=-1) / LIMIT
    scale[scale == 0.0] = 1.0
    return np.rint(weight / scale[..., None]).astype(np.int8), scale


def _layer_arrays(layer: RecurrentLayer, bound: float) -> Arrays:
    """Bytes [D, G, H, I + H], scales and biases of a layer; gates in the order of the kernels.

    An output has one scale for its inputs and states: their bytes are multiplied as one row.
    """
    kernel = layer.network.kernel_weights()
    weight = np.concatenate((kernel.inputs * bound, kernel.states), axis=2)
    levels, scale = _levels(weight)
    shape = (len(weight), -1, layer.hidden)
    arrays: Arrays = {
        "weight": levels.reshape(*shape, weight.shape[2]),
        "scale": scale.reshape(shape) / LIMIT,
        "bias": kernel.bias.reshape(shape),
    }
    if kernel.peephole is not None:
        arrays["peephole"] = kernel.peephole
    return arrays


@torch.no_grad()
def input_bound(network: Network, vocabulary: Vocabulary) -> float:
    """Return the magnitude that all but one in ten thousand features of known words stay below.

    The same holds for the features of known pairs and of the lexicon; flags are all within it. The
    `vocabulary` is that of the checkpoint, whose tables hold what the network reads.
    """
    forms = encode_forms(list(vocabulary.words[:CALIBRATION_WORDS]), vocabulary)
    words, context = network.words, network.context
    embedded = words.embedding.table()[forms.words]
    more = [source.own.float() for source in forms.vectors]
    vectors = words.with_surface(
        embedded,
        forms.characters,
        forms.lengths,
        forms.shapes,
        torch.cat(more, dim=1) if more else None,
    )
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

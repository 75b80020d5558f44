"""A network as ONNX graphs, built by hand: words to vectors, and vectors to emissions.

`words.onnx`: embeddings [N, E], characters int64 [N, C] padded with 0, lengths int32 [N] and
shapes int64 [N] (the last three where the network has them) -> vectors [N, D].
`sequence.onnx`: vectors [T, B, D], lengths int32 [B] -> emissions [T, B, K]; what stands behind
a sentence's end has no meaning. Decoding stays outside.
"""

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from data.vocabulary import Vocabulary
from model.batch import encode_forms
from model.network import Network
from model.onnx_recurrent import encoder_nodes, quantisable, quantise, recurrent_nodes
from model.words import CharacterCnn, CharacterRnn

OPSET = 17
IR_VERSION = 9
"""Old enough for every ONNX Runtime since 1.15."""

CALIBRATION_WORDS = 20_000
CALIBRATION_QUANTILE = 0.9999


class GraphParts:
    """Nodes and constants of a graph that is being built."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: torch.Tensor | np.ndarray) -> str:
        """Add a constant and return its name."""
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def extend(self, made: tuple[list[NodeProto], list[TensorProto]]) -> None:
        """Add what another builder made."""
        self.nodes += made[0]
        self.constants += made[1]

    def model(
        self, name: str, inputs: list[ValueInfoProto], output: ValueInfoProto
    ) -> onnx.ModelProto:
        """Finish and check the graph."""
        graph = helper.make_graph(self.nodes, name, inputs, [output], self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def words_graph(network: Network) -> onnx.ModelProto:
    """Build the graph that gives each distinct form its vector."""
    words, parts = network.words, GraphParts()
    size = words.embedding.trained.shape[1]
    inputs = [_tensor("embeddings", TensorProto.FLOAT, "N", size)]
    features = ["embeddings"]
    if words.characters is not None and words.reader is not None:
        inputs.append(_tensor("characters", TensorProto.INT64, "N", "C"))
        inputs.append(_tensor("lengths", TensorProto.INT32, "N"))
        parts.constant("character_table", words.characters.weight)
        parts.node("Gather", ["character_table", "characters"], "character_vectors")
        features.append(_character_features(parts, words.reader))
    if words.shapes is not None:
        inputs.append(_tensor("shapes", TensorProto.INT64, "N"))
        parts.constant("shape_table", words.shapes.weight)
        features.append(parts.node("Gather", ["shape_table", "shapes"], "shape_vectors"))
    parts.node("Concat", features, "vectors", axis=1)
    return parts.model("words", inputs, _tensor("vectors", TensorProto.FLOAT, "N", words.size))


def _character_features(parts: GraphParts, reader: CharacterCnn | CharacterRnn) -> str:
    """character_vectors [N, C, E] -> the name of the features [N, H]."""
    if isinstance(reader, CharacterRnn):
        parts.node("Transpose", ["character_vectors"], "character_steps", perm=[1, 0, 2])
        parts.extend(
            recurrent_nodes(
                reader.layer,
                x="character_steps",
                lengths="lengths",
                y="character_states",
                final="character_features",
                prefix="characters",
            )
        )
        return "character_features"
    filters = reader.filters
    parts.constant("filter_weight", filters.weight)
    assert filters.bias is not None
    parts.constant("filter_bias", filters.bias)
    parts.node("Transpose", ["character_vectors"], "character_rows", perm=[0, 2, 1])
    margin = filters.kernel_size[0] // 2
    inputs = ["character_rows", "filter_weight", "filter_bias"]
    parts.node("Conv", inputs, "filter_scores", pads=[margin, margin])  # [N, H, C]
    _mask_behind_words(parts)
    parts.constant("lowest", np.array(-np.inf, dtype=np.float32))
    parts.node("Where", ["within_word", "filter_scores", "lowest"], "filter_scores_within")
    return parts.node(
        "ReduceMax", ["filter_scores_within"], "character_features", axes=[2], keepdims=0
    )


def _mask_behind_words(parts: GraphParts) -> None:
    """Make `within_word` [N, 1, C]: whether a character stands before the end of its word."""
    parts.constant("zero", np.array(0, dtype=np.int64))
    parts.constant("one", np.array(1, dtype=np.int64))
    parts.constant("axes", np.array([1, 2], dtype=np.int64))
    parts.node("Shape", ["characters"], "width_list", start=1, end=2)
    parts.node("Squeeze", ["width_list"], "width")
    parts.node("Range", ["zero", "width", "one"], "places")
    parts.node("Cast", ["lengths"], "lengths_long", to=TensorProto.INT64)
    parts.node("Unsqueeze", ["lengths_long", "axes"], "ends")  # [N, 1, 1]
    parts.node("Less", ["places", "ends"], "within_word")


def sequence_graph(network: Network, *, bound: float | None = None) -> onnx.ModelProto:
    """Build the graph from vectors to emissions; with `bound`, one that can be quantised."""
    parts, linear = GraphParts(), network.emissions
    parts.extend(
        encoder_nodes(network.encoder, x="vectors", lengths="lengths", y="states", sentinel=bound)
    )
    parts.constant("emission_weight", linear.weight.T)
    parts.constant("emission_bias", linear.bias)
    parts.node("MatMul", ["states", "emission_weight"], "scores")
    parts.node("Add", ["scores", "emission_bias"], "emissions")
    inputs = [
        _tensor("vectors", TensorProto.FLOAT, "T", "B", network.words.size),
        _tensor("lengths", TensorProto.INT32, "B"),
    ]
    output = _tensor("emissions", TensorProto.FLOAT, "T", "B", linear.out_features)
    return parts.model("sequence", inputs, output)


def sequence_int8_graph(network: Network, vocabulary: Vocabulary) -> onnx.ModelProto | None:
    """Build the quantised graph; None for a cell that has no quantised form."""
    if not quantisable(network.config.encoder.cell):
        return None
    return quantise(sequence_graph(network, bound=_input_bound(network, vocabulary)))


@torch.no_grad()
def _input_bound(network: Network, vocabulary: Vocabulary) -> float:
    """Return the magnitude that all but one in ten thousand features of known words stay below."""
    forms = encode_forms(list(vocabulary.words[:CALIBRATION_WORDS]), vocabulary)
    words = network.words
    embedded = words.embedding.table()[forms.words]
    vectors = words.with_surface(embedded, forms.characters, forms.lengths, forms.shapes)
    values = vectors.abs().flatten().numpy()
    return float(np.quantile(values, CALIBRATION_QUANTILE))


def _tensor(name: str, kind: int, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))

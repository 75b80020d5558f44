"""An ONNX graph under construction, and the encoder as its nodes, written from its weights.

Every cell is one standard operator: RNN, LSTM (with `P` for peepholes and `input_forget` for
coupled gates) or GRU. Sequences are padded and time-major here: T steps, B sequences, D
directions, H units. `lengths` is int32 [B], each at least 1. Dropout is absent.

8-bit operators choose the scale of their input from its smallest and largest value over the whole
batch, so a sentence's result would depend on its companions. *Sentinels* prevent that: two more
input columns hold the constants +bound and -bound, and two more units stay at +1 and -1 in every
step, so the range never changes. Nobody reads them: the weights from them are zero, and they are
cut off the output.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from tagbelt.model.cells.layer import OnnxWeights, RecurrentLayer, as_array
from tagbelt.model.network import Encoder, SelfAttention

OPSET = 17
IR_VERSION = 9
"""Old enough for every ONNX Runtime since 1.15."""

SATURATED = 30.0  # as a gate's bias: sigmoid(30) is 1 and sigmoid(-30) is 0 in float32
# ONNX Runtime approximates sigmoid and tanh, and overshoots 1 by a few units in the last place
# where they saturate. No unit may outdo a sentinel, so these sit on the two maxima (of the kernels
# with fused multiply-add, which x86 has had since 2013; a test looks for higher values).
SENTINEL_OUTPUT = 17.482065200805664  # as the output gate's bias: 1.0000001
SENTINEL_CELL = 8.627005577087402  # as the cell: 1.0000002
MASKED = -1e30  # as a softmax input: zero beside any real score, and finite, so never NaN

Nodes = tuple[list[NodeProto], list[TensorProto]]


@dataclass
class Graph:
    """Nodes and constants so far; generated names start with the prefix."""

    prefix: str
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Append a node with one output; returns the output's name."""
        output = out or f"{self.prefix}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, values: Any, kind: type[np.generic] = np.int64) -> str:
        """Append a constant tensor; returns its name."""
        name = f"{self.prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def floats(self, values: Any) -> str:
        """Append a float32 constant; returns its name."""
        return self.constant(values, np.float32)

    def weights(self, tensor: torch.Tensor) -> str:
        """Append a network's weights as a float32 constant; returns its name."""
        return self.floats(np.ascontiguousarray(as_array(tensor)))

    def external(self, name: str, shape: Sequence[int]) -> None:
        """Declare float32 weights that whoever runs the graph gives, by their name."""
        values = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        values.data_location = TensorProto.EXTERNAL
        values.external_data.add(key="location", value="weights")
        self.constants.append(values)

    def extend(self, made: Nodes) -> None:
        """Append what was built elsewhere."""
        self.nodes += made[0]
        self.constants += made[1]

    def model(
        self, name: str, inputs: list[ValueInfoProto], output: ValueInfoProto
    ) -> onnx.ModelProto:
        """Finish the graph and, where it holds all its weights, check it."""
        graph = helper.make_graph(self.nodes, name, inputs, [output], self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        if not any(constant.external_data for constant in self.constants):
            onnx.checker.check_model(model, full_check=True)
        return model


def recurrent_nodes(
    layer: RecurrentLayer,
    *,
    x: str,
    lengths: str,
    y: str,
    final: str | None = None,
    prefix: str,
    sentinel: float | None = None,
) -> Nodes:
    """x [T, B, I] -> y [T, B, D*H], zero beyond each length, and `final` states [B, D*H].

    `x`, `lengths`, `y` and `final` name the tensors; `prefix` starts all other names. With
    `sentinel` the layer can be quantised: x is clipped to [-sentinel, sentinel]. Raises
    ValueError for a sentinel at a cell that has no 8-bit form.
    """
    weights, hidden = layer.network.onnx_weights(), layer.hidden
    graph = Graph(prefix)
    initial = ["", ""]
    if sentinel is not None:
        if not layer.network.has_onnx_8bit:
            raise ValueError(
                f"sentinels need an LSTM cell, this layer's cell is {layer.network.kernel!r}"
            )
        weights = _with_sentinels(weights)
        x = _sentinel_columns(graph, x, sentinel)
        initial = _sentinel_states(graph, lengths, 1 + layer.bidirectional, hidden)
    states, last = f"{prefix}/states", f"{prefix}/last" if final else ""
    _operator(graph, weights, [x, lengths, *initial], [states, last], layer.bidirectional)
    # shape: states [T, D, B, H] -> [T, B, D*H], last [D, B, H] -> [B, D*H]
    _side_by_side(graph, states, [0, 2, 1, 3], hidden, y, cut=sentinel is not None)
    if final:
        _side_by_side(graph, last, [1, 0, 2], hidden, final, cut=sentinel is not None)
    return graph.nodes, graph.constants


def attention_nodes(
    attention: SelfAttention, *, x: str, lengths: str, y: str, prefix: str
) -> Nodes:
    """x [T, B, S] -> y [T, B, S]; what stands beyond a sequence's length is meaningless."""
    graph = Graph(prefix)
    heads, size = attention.heads, attention.output.in_features
    weight, bias = as_array(attention.projection.weight), as_array(attention.projection.bias)
    scale = (size // heads) ** -0.5
    weight[:size] *= scale  # the queries
    bias[:size] *= scale
    # shape: [T, B, 3S] -> [T, B, 3*heads, S/heads] -> three of [B, heads, T, S/heads]
    projected = graph.add("MatMul", x, graph.floats(weight.T))
    projected = graph.add("Add", projected, graph.floats(bias))
    projected = graph.add("Reshape", projected, graph.constant([0, 0, 3 * heads, size // heads]))
    projected = graph.add("Transpose", projected, perm=[1, 2, 0, 3])
    query, key, value = (
        graph.add(
            "Slice", projected, *(graph.constant([n]) for n in (i * heads, (i + 1) * heads, 1))
        )
        for i in range(3)
    )
    # shape: [B, heads, T, T]
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    inside = _inside(graph, x, lengths)
    scores = graph.add("Softmax", graph.add("Where", inside, scores, graph.floats(MASKED)), axis=-1)
    # shape: [B, heads, T, S/heads] -> [T, B, S]
    mixed = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[2, 0, 1, 3])
    mixed = graph.add("Reshape", mixed, graph.constant([0, 0, size]))
    mixed = graph.add("MatMul", mixed, graph.floats(as_array(attention.output.weight).T))
    mixed = graph.add("Add", mixed, graph.floats(as_array(attention.output.bias)))
    graph.add("Add", x, mixed, out=y)
    return graph.nodes, graph.constants


def encoder_nodes(
    encoder: Encoder,
    *,
    x: str,
    lengths: str,
    y: str,
    prefix: str = "encoder",
    sentinel: float | None = None,
) -> Nodes:
    """x [T, B, input] -> y [T, B, size]; what stands beyond a sequence's length is meaningless.

    With `sentinel`, the bound x is clipped to, the recurrent layers can be quantised.
    """
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    parts = [*encoder.layers] + ([encoder.attention] if encoder.attention is not None else [])
    for index, part in enumerate(parts):
        output = y if part is parts[-1] else f"{prefix}/{index}/output"
        name = f"{prefix}/{index}"
        if isinstance(part, RecurrentLayer):
            made = recurrent_nodes(
                part, x=x, lengths=lengths, y=output, prefix=name, sentinel=sentinel
            )
        else:
            made = attention_nodes(part, x=x, lengths=lengths, y=output, prefix=name)
        nodes += made[0]
        constants += made[1]
        x = output
        # What the next layer reads are states, which are within 1 whatever the words were.
        sentinel = None if sentinel is None else 1.0
    return nodes, constants


def _with_sentinels(weights: OnnxWeights) -> OnnxWeights:
    """Two more inputs and units, with zero weights and gates that keep a state for ever."""
    biases = np.pad(weights.biases, ((0, 0), (0, 0), (0, 0), (0, 2)))
    # i shut, o and f open, and a candidate of zero; a coupled cell's f is open because i is shut
    biases[:, 0, :, -2:] = np.array([-SATURATED, SENTINEL_OUTPUT, SATURATED, 0.0])[:, None]
    grow = ((0, 0), (0, 0), (0, 2), (0, 2))
    peephole = weights.peephole  # shape: [D, 3, H]
    return replace(
        weights,
        inputs=np.pad(weights.inputs, grow),
        recurrent=np.pad(weights.recurrent, grow),
        biases=biases,
        peephole=None if peephole is None else np.pad(peephole, ((0, 0), (0, 0), (0, 2))),
    )


def _sentinel_columns(graph: Graph, x: str, bound: float) -> str:
    """[T, B, I] -> [T, B, I + 2]: clipped to the bound, which two constant columns reach."""
    clipped = graph.add("Clip", x, graph.floats(-bound), graph.floats(bound))
    shape = graph.add("Shape", x, end=2)
    shape = graph.add("Concat", shape, graph.constant([2]), axis=0)
    columns = graph.add("Expand", graph.floats([bound, -bound]), shape)
    return graph.add("Concat", clipped, columns, axis=2)


def _sentinel_states(graph: Graph, lengths: str, directions: int, hidden: int) -> list[str]:
    """Initial h and c [D, B, H + 2]: zero, and the sentinels' constants."""
    batch = graph.add("Shape", lengths)
    shape = graph.add(
        "Concat", graph.constant([directions]), batch, graph.constant([hidden + 2]), axis=0
    )
    state = np.array([0.0] * hidden + [1.0, -1.0])
    return [graph.add("Expand", graph.floats(state * size), shape) for size in (1.0, SENTINEL_CELL)]


def _operator(
    graph: Graph, weights: OnnxWeights, inputs: list[str], outputs: list[str], bidirectional: bool
) -> None:
    """The recurrent operator; inputs are x, lengths, initial h and c."""
    x, lengths, *initial = inputs
    directions, gates, hidden, width = weights.inputs.shape
    names = [
        x,
        graph.floats(weights.inputs.reshape(directions, gates * hidden, width)),
        graph.floats(weights.recurrent.reshape(directions, gates * hidden, hidden)),
        graph.floats(weights.biases.reshape(directions, 2 * gates * hidden)),
        lengths,
        *initial,
    ]
    if weights.peephole is not None:
        names.append(graph.floats(weights.peephole.reshape(directions, 3 * hidden)))
    node = helper.make_node(
        weights.operator,
        names if weights.operator == "LSTM" else names[:6],
        outputs,
        f"{graph.prefix}/{weights.operator}",
        hidden_size=hidden,
        direction="bidirectional" if bidirectional else "forward",
        **weights.attributes,
    )
    graph.nodes.append(node)


def _side_by_side(
    graph: Graph, states: str, perm: list[int], hidden: int, output: str, *, cut: bool
) -> None:
    """Bring the directions to the last axes, cut the sentinels off, and join [D, H] to [D*H]."""
    states = graph.add("Transpose", states, perm=perm)
    if cut:
        states = graph.add("Slice", states, *(graph.constant([n]) for n in (0, hidden, -1)))
    shape = [0] * (len(perm) - 2) + [-1]
    graph.add("Reshape", states, graph.constant(shape), out=output)


def _inside(graph: Graph, x: str, lengths: str) -> str:
    """bool [B, 1, 1, T]: whether a step is within the sequence."""
    steps = graph.add("Squeeze", graph.add("Shape", x, end=1))
    zero, one = graph.constant(0), graph.constant(1)
    steps = graph.add("Cast", graph.add("Range", zero, steps, one), to=TensorProto.INT32)
    ends = graph.add("Unsqueeze", lengths, graph.constant([1, 2, 3]))
    return graph.add("Less", steps, ends)

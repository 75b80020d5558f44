"""A transformer of BERT's kind as an ONNX graph, built by hand (Devlin et al. 2019).

Its weights are external: whoever runs the graph gives them, by the names that they have in the
package's safetensors file. Letters: N forms, L pieces of each, E numbers of a state, A heads.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tagbelt.model.export.nodes import Graph

Weights = Mapping[str, NDArray[np.float32]]


def transformer_graph(settings: Mapping[str, float], weights: Weights) -> bytes:
    """Build the graph: pieces int64 [N, L], as ids and without padding -> vectors [N, E].

    `settings` are those of BERT's config; of the weights, it has names and shapes alone.
    A vector is the mean of the last states over all L pieces.
    """
    body = _Body(settings, weights)
    states = body.embedded()
    for number in range(int(settings["num_hidden_layers"])):
        states = body.layer(states, f"encoder.layer.{number}")
    states = body.reshaped(states, body.size)
    body.graph.add("ReduceMean", states, axes=[1], keepdims=0, out="vectors")
    given = helper.make_tensor_value_info("pieces", TensorProto.INT64, ["N", "L"])
    made = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["N", body.size])
    result: bytes = body.graph.model("forms", [given], made).SerializeToString()
    return result


class _Body:
    """The parts of the graph; states lie as [N * L, E]."""

    def __init__(self, settings: Mapping[str, float], weights: Weights) -> None:
        self.size, self.heads = int(settings["hidden_size"]), int(settings["num_attention_heads"])
        self.epsilon = float(settings["layer_norm_eps"])
        self.graph = Graph("forms")
        for name, values in weights.items():
            self.graph.external(name, values.shape)
        self._pieces = self.graph.add("Shape", "pieces")

    def embedded(self) -> str:
        """Pieces with their places, [N * L, E]."""
        graph, table = self.graph, "embeddings.{}_embeddings.weight".format
        first, one = graph.constant([0]), graph.constant([1])
        length = graph.add("Shape", "pieces", start=1, end=2)
        states = graph.add("Gather", table("word"), "pieces")
        states = graph.add("Add", states, graph.add("Slice", table("position"), first, length))
        states = graph.add("Add", states, graph.add("Slice", table("token_type"), first, one))
        states = graph.add("Reshape", states, graph.constant([-1, self.size]))
        return self._normed(states, "embeddings.LayerNorm")

    def layer(self, states: str, name: str) -> str:
        """Self-attention over each form's pieces, then a hidden layer; both added, and normed."""
        graph = self.graph
        names = (f"{name}.attention.self.{part}" for part in ("query", "key", "value"))
        query, key, value = (self._by_head(self._linear(states, part)) for part in names)
        scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        scale = graph.floats((self.size // self.heads) ** -0.5)
        chances = graph.add("Softmax", graph.add("Mul", scores, scale), axis=-1)
        # shape: [N, A, L, E / A] -> [N * L, E]
        mixed = graph.add("Transpose", graph.add("MatMul", chances, value), perm=[0, 2, 1, 3])
        mixed = graph.add("Reshape", mixed, graph.constant([-1, self.size]))
        states = self._added(states, self._linear(mixed, f"{name}.attention.output.dense"), name)
        hidden = self._gelu(self._linear(states, f"{name}.intermediate.dense"))
        return self._added(states, self._linear(hidden, f"{name}.output.dense"), name, "")

    def reshaped(self, states: str, *inner: int) -> str:
        """[N * L, E] -> [N, L, *inner]."""
        shape = self.graph.add("Concat", self._pieces, self.graph.constant(inner), axis=0)
        return self.graph.add("Reshape", states, shape)

    def _by_head(self, states: str) -> str:
        """[N * L, E] -> [N, A, L, E / A]."""
        states = self.reshaped(states, self.heads, self.size // self.heads)
        return self.graph.add("Transpose", states, perm=[0, 2, 1, 3])

    def _linear(self, states: str, name: str) -> str:
        return self.graph.add("Gemm", states, f"{name}.weight", f"{name}.bias", transB=1)

    def _added(self, states: str, more: str, layer: str, part: str = ".attention") -> str:
        return self._normed(self.graph.add("Add", states, more), f"{layer}{part}.output.LayerNorm")

    def _normed(self, states: str, name: str) -> str:
        weights = f"{name}.weight", f"{name}.bias"
        return self.graph.add("LayerNormalization", states, *weights, epsilon=self.epsilon)

    def _gelu(self, states: str) -> str:
        """x * Phi(x), of the normal distribution (Hendrycks & Gimpel 2016)."""
        graph = self.graph
        error = graph.add("Erf", graph.add("Mul", states, graph.floats(0.5**0.5)))
        doubled = graph.add("Add", error, graph.floats(1.0))
        return graph.add("Mul", graph.add("Mul", states, doubled), graph.floats(0.5))

"""An ONNX graph under construction."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9
"""Old enough for every ONNX Runtime since 1.15."""

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

    def extend(self, made: Nodes) -> None:
        """Append what was built elsewhere."""
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


def as_array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Copy a tensor to a float32 array."""
    return tensor.detach().cpu().to(torch.float32).numpy().copy()

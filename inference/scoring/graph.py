"""Open a graph of a checkpoint in ONNX Runtime, after a look at what it would run."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # slow to import
    from onnxruntime import InferenceSession

# Numbers of fields in onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE = 1
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_GRAPHS = (6, 11)

_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}


def open_graph(
    source: Path | bytes, *, weights: Mapping[str, NDArray[np.float32]] | None = None
) -> "InferenceSession":
    """Open a graph on the CPU, to be run by the thread that calls it and no other.

    `weights` are those that the graph names as external. Raises ValueError for a graph within a
    node, as loops and branches have, which could run forever; and whatever ONNX Runtime raises.
    """
    # Before the import: ONNX Runtime 1.31 reports usage to its maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    graph = source if isinstance(source, bytes) else source.read_bytes()
    _refuse_loops(memoryview(graph))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if weights is not None:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    opened = graph if isinstance(source, bytes) else str(source)
    # Without it a failure is printed, and tried again on the CPU.
    once = {"enable_fallback": 0}
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(opened, options, providers=providers, **once)


def _refuse_loops(model: memoryview) -> None:
    """Look through the nodes of a serialized model; weights are skipped as they lie."""
    for number, graph in _fields(model):
        if number == _MODEL_FUNCTIONS:
            raise ValueError("it defines functions of its own")
        if number == _MODEL_GRAPH:
            for part, node in _fields(graph):
                if part == _GRAPH_NODE:
                    _refuse_subgraphs(node)


def _refuse_subgraphs(node: memoryview) -> None:
    parts = list(_fields(node))
    attributes = (value for number, value in parts if number == _NODE_ATTRIBUTE)
    if any(number in _ATTRIBUTE_GRAPHS for a in attributes for number, _ in _fields(a)):
        names = [bytes(value).decode() for number, value in parts if number == _NODE_OPERATOR]
        raise ValueError(f"a node holds a graph of its own: {', '.join(names)}")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field of a protobuf message that has a length.

    Raises ValueError for what is no such message.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
            continue
        if kind == _LENGTH:
            size, place = _varint(message, place)
            yield key >> 3, message[place : place + size]
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError("it is no ONNX model")
        place += size
        if place > len(message):
            raise ValueError("it is cut short")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("it is no ONNX model, or cut short")

"""Open a graph of a checkpoint in ONNX Runtime, after a look at what it would run."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # slow to import
    from onnxruntime import InferenceSession

# Numbers of fields in onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_SPARSE = 1, 11, 15
_VALUE_NAME = 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_GRAPHS = (6, 11)

# What makes no more numbers than it is given.
_NEVER_LARGER = {
    *(b"Cast", b"Identity", b"Reshape", b"Shape"),
    *(b"Slice", b"Squeeze", b"Transpose", b"Unsqueeze"),
}

_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}


def open_graph(
    source: Path | bytes, *, weights: Mapping[str, NDArray[np.float32]] | None = None
) -> "InferenceSession":
    """Open a graph on the CPU, to be run by the thread that calls it and no other.

    `weights` are those that the graph names as external. Raises ValueError for a graph within a
    node, as loops and branches have, which could run forever, and for what a few bytes make large
    as it is opened; and whatever ONNX Runtime raises.
    """
    # Before the import: ONNX Runtime 1.31 reports usage to its maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    graph = source if isinstance(source, bytes) else source.read_bytes()
    _refuse_endless(memoryview(graph))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if weights is not None:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    opened = graph if isinstance(source, bytes) else str(source)
    # Without the first a failure is printed, and tried again on the CPU. The second would compute
    # what shapes fix, of any size, before there is an input; our graphs have next to nothing of it.
    special = {"enable_fallback": 0, "disabled_optimizers": ["ConstantFolding"]}
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(opened, options, providers=providers, **special)


def _refuse_endless(model: memoryview) -> None:
    """Look through the nodes of a serialized model; weights are skipped as they lie."""
    parts: list[tuple[int, memoryview]] = []
    for number, content in _fields(model):
        if number == _MODEL_FUNCTIONS:
            raise ValueError("it defines functions of its own")
        if number == _MODEL_GRAPH:  # of several, a reader makes one
            parts += _fields(content)
    if any(number == _GRAPH_SPARSE for number, _ in parts):
        raise ValueError("it holds sparse weights, which unpack to any size")
    inputs = (value for number, value in parts if number == _GRAPH_INPUT)
    varying = {bytes(name) for value in inputs for name in _those(_VALUE_NAME, [*_fields(value)])}
    for number, content in parts:
        if number == _GRAPH_NODE:
            node = [*_fields(content)]
            operators = [bytes(name) for name in _those(_NODE_OPERATOR, node)]
            said = b", ".join(operators).decode(errors="replace")
            attributes = _those(_NODE_ATTRIBUTE, node)
            if any(of in _ATTRIBUTE_GRAPHS for each in attributes for of, _ in _fields(each)):
                raise ValueError(f"a node holds a graph of its own: {said}")
            if varying.intersection(map(bytes, _those(_NODE_INPUT, node))):
                varying.update(map(bytes, _those(_NODE_OUTPUT, node)))
            elif not _NEVER_LARGER.issuperset(operators):
                raise ValueError(f"a node computes a constant, which could be of any size: {said}")


def _those(wanted: int, parts: Iterable[tuple[int, memoryview]]) -> Iterator[memoryview]:
    return (content for number, content in parts if number == wanted)


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

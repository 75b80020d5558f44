"""The matrix products of a tagger's network, each alone in ONNX Runtime, and their time."""

import ctypes
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tagbelt.inference.native import library
from tagbelt.inference.native.quantised import TIERS, best_tier

KINDS = ("int8", "float32")
_BARE_ROUNDS = 100_000


@dataclass(frozen=True)
class Shape:
    """One product: [B, `inputs`] x [`inputs`, `outputs`], `times` of them a row.

    `kinds` are the number formats that it has.
    """

    name: str
    inputs: int
    outputs: int
    times: int = 1
    kinds: tuple[str, ...] = KINDS


def shapes(inputs: int, hidden: int, tags: int) -> tuple[Shape, ...]:
    """The products of a bidirectional LSTM of `hidden` units and its tag scores."""
    return (
        Shape("input", inputs, 8 * hidden),
        Shape("recurrent", hidden, 4 * hidden, times=2),
        Shape("emission", 2 * hidden, tags, kinds=("float32",)),
    )


def timed(shape: Shape, kind: str, rows: int, least: float) -> Callable[[], float]:
    """A function that returns the seconds a token of a product, a mean over `least` seconds."""
    run = _runner(shape, kind, rows)
    run()

    def seconds() -> float:
        passes, passed = 0, 0.0
        began = time.perf_counter()
        while not passes or passed < least:
            run()
            passes += 1
            passed = time.perf_counter() - began
        return passed / (passes * rows)

    return seconds


@dataclass(frozen=True)
class BareLoop:
    """A tier's instructions alone: its name, and what returns the seconds of a token's products."""

    name: str
    seconds: Callable[[], float]


def bare_loop(wanted: Iterable[Shape], least: float) -> BareLoop | None:
    """The loop of this processor's tier; None where there is none, or no kernels.

    The seconds are a mean over `least` seconds.
    """
    kernels, tier = library(), best_tier()
    if kernels is None or tier is None:
        return None
    number, token = TIERS.index(tier), sum(s.inputs * s.outputs * s.times for s in wanted)
    run = kernels.tagbelt_bare_products
    run.restype, run.argtypes = ctypes.c_int64, (ctypes.c_int32, ctypes.c_int64)
    if not run(number, 1):
        return None

    def seconds() -> float:
        made, passed = 0, 0.0
        began = time.perf_counter()
        while not made or passed < least:
            made += run(number, _BARE_ROUNDS)
            passed = time.perf_counter() - began
        return passed * token / made

    return BareLoop(f"bare loop, {tier}", seconds)


def _runner(shape: Shape, kind: str, rows: int) -> Callable[[], None]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    model = graph(shape, kind).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    binding = session.io_binding()
    for name in (node.name for node in session.get_inputs()):
        row: Any = random.normal(size=(rows, shape.inputs)).astype(np.float32)
        if kind == "int8":
            row = random.integers(0, 256, (rows, shape.inputs), np.uint8)
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(row))
    made = np.int32 if kind == "int8" else np.float32
    for name in (node.name for node in session.get_outputs()):
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((rows, shape.outputs), made))
        binding.bind_ortvalue_output(name, value)
    return partial(session.run_with_iobinding, binding)


def graph(shape: Shape, kind: str) -> onnx.ModelProto:
    """A graph of a product, with weights of its own for each of its `times`."""
    is_int8 = kind == "int8"
    row = TensorProto.UINT8 if is_int8 else TensorProto.FLOAT
    result = TensorProto.INT32 if is_int8 else TensorProto.FLOAT
    nodes, weights, inputs, outputs = [], [], [], []
    for number in range(shape.times):
        names = (f"rows{number}", f"weights{number}", f"products{number}")
        inputs.append(helper.make_tensor_value_info(names[0], row, ["B", shape.inputs]))
        outputs.append(helper.make_tensor_value_info(names[2], result, ["B", shape.outputs]))
        weights.append(numpy_helper.from_array(weights_of(shape, is_int8, number), names[1]))
        operator = "MatMulInteger" if is_int8 else "MatMul"
        given = [*names[:2], "zero"] if is_int8 else list(names[:2])
        nodes.append(helper.make_node(operator, given, [names[2]]))
    if is_int8:  # what rows of both signs are shifted by
        weights.append(numpy_helper.from_array(np.array(128, np.uint8), "zero"))
    made = helper.make_graph(nodes, shape.name, inputs, outputs, weights)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=10)


def weights_of(shape: Shape, is_int8: bool, seed: int) -> np.ndarray:
    """Random weights [inputs, outputs]: which ones they are costs nothing."""
    random = np.random.default_rng(seed)
    size = (shape.inputs, shape.outputs)
    if is_int8:
        return random.integers(-64, 65, size, np.int8)
    return random.normal(0.0, 0.1, size).astype(np.float32)

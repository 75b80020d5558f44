"""The ONNX nodes, run by ONNX Runtime, against torch; and the promise about 8-bit results."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from tagbelt.model import cells
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.config import CELLS, Cell, EncoderConfig
from tagbelt.model.export.graphs import quantise
from tagbelt.model.export.nodes import (
    SENTINEL_CELL,
    SENTINEL_OUTPUT,
    encoder_nodes,
    recurrent_nodes,
)
from tagbelt.model.network import Encoder

Array = NDArray[np.float32]
ALL_CELLS: list[tuple[Cell, bool]] = [(cell, False) for cell in CELLS] + [("lstm-coupled", True)]
LSTM_CELLS = [(cell, peephole) for cell, peephole in ALL_CELLS if cells.CELLS[cell].has_onnx_8bit]
BATCHES = [[1], [7], [4, 4], [9, 5, 5, 2, 1], [30, 1], [3] * 17]
INPUTS, HIDDEN = 5, 8
SHAPES = {"y": ["T", "B", None], "final": ["B", None]}


def encoder(cell: Cell, peephole: bool, *, scale: float = 1.0, **options: int) -> Encoder:
    """An encoder with no weight left at zero."""
    config = EncoderConfig(cell=cell, peephole=peephole, hidden=HIDDEN, **options)
    module = Encoder(config, INPUTS).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "weight" not in name:
                nn.init.normal_(parameter, std=0.5)
            parameter.mul_(scale)
    return module


def as_model(parts: tuple[list, list], outputs: list[str]) -> onnx.ModelProto:
    float32, int32 = TensorProto.FLOAT, TensorProto.INT32
    graph = helper.make_graph(
        parts[0],
        "test",
        [
            helper.make_tensor_value_info("x", float32, ["T", "B", INPUTS]),
            helper.make_tensor_value_info("lengths", int32, ["B"]),
        ],
        [helper.make_tensor_value_info(name, float32, SHAPES[name]) for name in outputs],
        parts[1],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(session: onnxruntime.InferenceSession, x: Array, lengths: list[int]) -> list[Array]:
    return session.run(None, {"x": x, "lengths": np.array(lengths, np.int32)})


def words(lengths: list[int], scale: float = 1.0) -> Array:
    """[T, B, INPUTS] with rubbish beyond each length, as nothing may read it."""
    return scale * torch.randn(max(lengths), len(lengths), INPUTS).numpy()


def packed(padded: Array, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = pack_padded_sequence(torch.from_numpy(padded), torch.tensor(lengths))
    return rows.data, rows.batch_sizes


@pytest.mark.parametrize("heads", [0, 4])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_nodes_equal_torch(
    cell: Cell, peephole: bool, bidirectional: bool, layers: int, heads: int
) -> None:
    torch.manual_seed(1)
    module = encoder(
        cell, peephole, bidirectional=bidirectional, layers=layers, attention_heads=heads
    )
    runs = session(as_model(encoder_nodes(module, x="x", lengths="lengths", y="y"), ["y"]))
    for lengths in BATCHES:
        x = words(lengths)
        (y,) = run(runs, x, lengths)
        with torch.no_grad():
            expected = module(*packed(x, lengths))
        torch.testing.assert_close(packed(y, lengths)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("cell", "peephole", "sentinel"),
    [(*cell, None) for cell in ALL_CELLS] + [(*cell, 100.0) for cell in LSTM_CELLS],
)
def test_final_states_and_padding(
    cell: Cell, peephole: bool, bidirectional: bool, sentinel: float | None
) -> None:
    torch.manual_seed(2)
    layer = encoder(cell, peephole, bidirectional=bidirectional).layers[0]
    parts = recurrent_nodes(
        layer, x="x", lengths="lengths", y="y", final="final", prefix="layer", sentinel=sentinel
    )
    runs = session(as_model(parts, ["y", "final"]))
    for lengths in BATCHES:
        x = words(lengths)
        y, final = run(runs, x, lengths)
        with torch.no_grad():
            states, expected = layer(*packed(x, lengths))
        torch.testing.assert_close(packed(y, lengths)[0], states, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(torch.from_numpy(final), expected, atol=1e-5, rtol=1e-5)
        for b, length in enumerate(lengths):
            assert not y[length:, b].any()


@pytest.mark.parametrize(("cell", "peephole"), LSTM_CELLS)
def test_sentinels_clip_the_input_and_change_nothing_else(cell: Cell, peephole: bool) -> None:
    torch.manual_seed(3)
    module = encoder(cell, peephole, layers=2, attention_heads=2)
    parts = encoder_nodes(module, x="x", lengths="lengths", y="y", sentinel=1.5)
    x, lengths = words([6, 3]), [6, 3]
    (y,) = run(session(as_model(parts, ["y"])), x, lengths)
    with torch.no_grad():
        expected = module(*packed(x.clip(-1.5, 1.5), lengths))
    assert np.abs(x).max() > 1.5
    torch.testing.assert_close(packed(y, lengths)[0], expected, atol=1e-5, rtol=1e-5)


def quantised(module: Encoder) -> onnxruntime.InferenceSession:
    parts = encoder_nodes(module, x="x", lengths="lengths", y="y", sentinel=3.0)
    return session(quantise(as_model(parts, ["y"])))


def largest_influence_of_batch_mates(runs: onnxruntime.InferenceSession) -> float:
    worst = 0.0
    for lengths in BATCHES:
        for scale in (0.05, 1.0, 1000.0):
            x = words(lengths, scale)
            x[:, 0] *= 0.1  # companions with other ranges
            (together,) = run(runs, x, lengths)
            for b, length in enumerate(lengths):
                (alone,) = run(runs, x[:length, b : b + 1], [length])
                worst = max(worst, float(np.abs(alone[:, 0] - together[:length, b]).max()))
    return worst


@pytest.mark.parametrize("scale", [1.0, 10.0, 50.0])  # at 50 every gate is saturated
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "peephole"), LSTM_CELLS)
def test_8_bit_results_do_not_depend_on_batch_mates(
    cell: Cell, peephole: bool, bidirectional: bool, scale: float
) -> None:
    torch.manual_seed(4)
    module = encoder(cell, peephole, bidirectional=bidirectional, layers=2, scale=scale)
    assert largest_influence_of_batch_mates(quantised(module)) == 0.0


@pytest.mark.parametrize(
    ("function", "peak", "up_to"),
    [("Tanh", SENTINEL_CELL, 10.0), ("Sigmoid", SENTINEL_OUTPUT, 19.0)],
)
def test_no_input_takes_a_unit_beyond_the_sentinels(
    function: str, peak: float, up_to: float
) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy"]
    node = helper.make_node(function, ["x"], ["y"])
    graph = helper.make_graph([node], "test", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    # Every float32 from 4 on: consecutive bit patterns are consecutive numbers.
    first, last = np.array([4.0, up_to], np.float32).view(np.int32)
    x = np.arange(first, last, dtype=np.int32).view(np.float32)
    (y,) = session(model).run(None, {"x": np.append(x, np.float32(peak))})
    assert y.max() == y[-1] > 1.0


def test_8_bit_results_would_depend_on_batch_mates_without_sentinels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(5)
    monkeypatch.setattr("tagbelt.model.export.nodes.SENTINEL_CELL", 0.0)
    assert largest_influence_of_batch_mates(quantised(encoder("lstm", False))) > 1e-4


@pytest.mark.parametrize(("cell", "peephole"), LSTM_CELLS)
def test_8_bit_results_are_close(cell: Cell, peephole: bool) -> None:
    torch.manual_seed(6)
    module = encoder(cell, peephole)
    x, lengths = words([20] * 8).clip(-3.0, 3.0), [20] * 8
    (y,) = run(quantised(module), x, lengths)
    with torch.no_grad():
        expected = module(*packed(x, lengths))
    error = (packed(y, lengths)[0] - expected).norm() / expected.norm()
    assert error < 0.03


def test_quantise_leaves_its_input_alone_and_refuses_an_lstm_without_sentinels() -> None:
    module = encoder("lstm", False)
    parts = encoder_nodes(module, x="x", lengths="lengths", y="y", sentinel=3.0)
    model = as_model(parts, ["y"])
    before = model.SerializeToString()
    operators = [node.op_type for node in quantise(model).graph.node]
    assert model.SerializeToString() == before
    assert "DynamicQuantizeLSTM" in operators
    assert "LSTM" not in operators
    bare = as_model(encoder_nodes(module, x="x", lengths="lengths", y="y"), ["y"])
    with pytest.raises(ValueError, match="'encoder/0/LSTM' has no sentinels"):
        quantise(bare)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {cell for cell, _ in LSTM_CELLS}))
def test_sentinels_at_a_cell_without_8_bit_form_are_refused(cell: Cell) -> None:
    layer = RecurrentLayer(cells.CELLS[cell], INPUTS, HIDDEN)
    with pytest.raises(ValueError, match=f"cell is '{cell}'"):
        recurrent_nodes(layer, x="x", lengths="lengths", y="y", prefix="layer", sentinel=1.0)

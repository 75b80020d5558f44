"""Cells against torch's own modules and against a reading of their equations, token by token."""

import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from tagbelt.model import cells, native
from tagbelt.model.cells.gru import GruRecurrence
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.cells.lstm import Lstm, LstmRecurrence
from tagbelt.model.cells.lstm_coupled import CoupledLstm
from tagbelt.model.cells.packed import (
    last_rows,
    lengths_of,
    previous_rows,
    reversed_rows,
    sequence_of_rows,
)
from tagbelt.model.cells.rnn import RnnRecurrence
from tagbelt.model.config import CELLS, Cell

LENGTHS = [5, 4, 4, 2, 1, 1]
VARIANTS = [
    (coupled, peephole)
    for coupled in (False, True)
    for peephole in (False, True, ("forget",), ("forget", "output"))
]
ALL_CELLS: list[tuple[Cell, bool]] = [(cell, False) for cell in CELLS] + [("lstm-coupled", True)]

needs_kernels = pytest.mark.skipif(native.library() is None, reason="the kernels are not compiled")


def sequences(lengths: list[int], width: int) -> list[Tensor]:
    return [torch.randn(length, width, dtype=torch.float64) for length in lengths]


def packed(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    data = pack_sequence(parts)
    return data.data, data.batch_sizes


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    return module.double()


def variant(width: int, hidden: int, *, bidirectional: bool, coupled: bool, peephole: bool):
    kind = CoupledLstm if coupled else Lstm
    return randomised(kind(width, hidden, bidirectional=bidirectional, peephole=peephole))


def naive_direction(module: Lstm, direction: int, words: Tensor) -> Tensor:
    """The equations as the papers have them, for one sequence in reading order."""
    hidden = module.recurrent_weight.shape[2]
    names = ["g", "f", "o"] if module.coupled else ["g", "i", "f", "o"]
    w, u, b = (
        dict(zip(names, parameter[direction].split(hidden), strict=True))
        for parameter in (module.input_weight, module.recurrent_weight, module.bias)
    )
    p = {name: torch.zeros(hidden, dtype=torch.float64) for name in names}
    if module.peephole is not None:
        p |= dict(zip(names[1:], module.peepholes()[direction], strict=True))
    h = c = torch.zeros(hidden, dtype=torch.float64)
    states = []
    for x in words:
        f = torch.sigmoid(w["f"] @ x + u["f"] @ h + b["f"] + p["f"] * c)
        i = 1 - f
        if not module.coupled:
            i = torch.sigmoid(w["i"] @ x + u["i"] @ h + b["i"] + p["i"] * c)
        c_new = f * c + i * torch.tanh(w["g"] @ x + u["g"] @ h + b["g"])
        o = torch.sigmoid(w["o"] @ x + u["o"] @ h + b["o"] + p["o"] * c_new)
        h, c = o * torch.tanh(c_new), c_new
        states.append(h)
    return torch.stack(states)


def naive(module: Lstm, parts: list[Tensor]) -> Tensor:
    outputs = []
    for part in parts:
        directions = [naive_direction(module, 0, part)]
        if len(module.bias) == 2:
            directions.append(naive_direction(module, 1, part.flip(0)).flip(0))
        outputs.append(torch.cat(directions, dim=1))
    return packed(outputs)[0]


def gradients(states: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    weights = torch.arange(states.numel(), dtype=states.dtype).view_as(states).sin()
    return list(torch.autograd.grad((states * weights).sum(), wanted))


def assert_same(mine: list[Tensor], oracle: list[Tensor], tolerance: float = 1e-9) -> None:
    for got, expected in zip(mine, oracle, strict=True):
        torch.testing.assert_close(got, expected, atol=tolerance, rtol=tolerance)


def test_row_indices_agree_with_torch_packing() -> None:
    numbers = [torch.arange(length) + 100 * b for b, length in enumerate(LENGTHS)]
    rows, batch_sizes = packed(numbers)
    assert lengths_of(batch_sizes).tolist() == LENGTHS
    assert torch.equal(sequence_of_rows(batch_sizes), rows // 100)
    assert torch.equal(rows[reversed_rows(batch_sizes)], packed([n.flip(0) for n in numbers])[0])
    assert torch.equal(rows[last_rows(batch_sizes)], torch.stack([n[-1] for n in numbers]))
    assert torch.equal(rows[previous_rows(batch_sizes)] + 1, rows[len(LENGTHS) :])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("coupled", "peephole"), VARIANTS)
def test_variant_follows_its_equations(bidirectional: bool, coupled: bool, peephole: bool) -> None:
    torch.manual_seed(1)
    module = variant(3, 4, bidirectional=bidirectional, coupled=coupled, peephole=peephole)
    parts = [part.requires_grad_() for part in sequences(LENGTHS, 3)]
    mine, oracle = module(*packed(parts)), naive(module, parts)
    torch.testing.assert_close(mine, oracle, atol=1e-12, rtol=1e-12)
    wanted = parts + list(module.parameters())
    assert_same(gradients(mine, wanted), gradients(oracle, wanted))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_what_a_gpu_runs_is_what_a_cpu_runs(cell: Cell, bidirectional: bool) -> None:
    torch.manual_seed(1)
    module = randomised(cells.CELLS[cell](3, 4, bidirectional=bidirectional))
    rows, batch_sizes = packed([part.requires_grad_() for part in sequences(LENGTHS, 3)])
    mine, theirs = module(rows, batch_sizes), module.by_torch(rows, batch_sizes)
    assert mine.grad_fn.name() != theirs.grad_fn.name()  # they are two ways
    torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)
    wanted = [rows, *module.parameters()]
    assert_same(gradients(mine, wanted), gradients(theirs, wanted))


class ElsewhereTensor(Tensor):
    """A tensor that says it is not on the CPU, and is."""

    is_cpu = False


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_torch_runs_the_cells_that_it_has_where_there_is_a_gpu(
    cell: Cell, peephole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    module = randomised(cells.CELLS[cell](3, 4, bidirectional=True, peephole=peephole))
    rows, batch_sizes = packed(sequences(LENGTHS, 3))
    wanted, called = module(rows, batch_sizes), []
    if cell in ("rnn", "lstm", "gru"):
        ours = type(module).by_torch
        monkeypatch.setattr(
            type(module), "by_torch", lambda *given: called.append(cell) or ours(*given)
        )
    found = module(rows.as_subclass(ElsewhereTensor), batch_sizes)
    torch.testing.assert_close(found.as_subclass(Tensor), wanted, atol=1e-12, rtol=1e-12)
    assert called == ([cell] if cell in ("rnn", "lstm", "gru") else [])


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    width=st.integers(1, 4),
    hidden=st.integers(1, 4),
    kind=st.tuples(st.booleans(), st.sampled_from(VARIANTS)),
)
def test_variant_follows_its_equations_at_any_size(
    lengths: list[int], width: int, hidden: int, kind: tuple[bool, tuple[bool, bool]]
) -> None:
    bidirectional, (coupled, peephole) = kind
    module = variant(width, hidden, bidirectional=bidirectional, coupled=coupled, peephole=peephole)
    parts = sequences(sorted(lengths, reverse=True), width)
    mine, oracle = module(*packed(parts)), naive(module, parts)
    torch.testing.assert_close(mine, oracle, atol=1e-12, rtol=1e-12)
    wanted = list(module.parameters())
    assert_same(gradients(mine, wanted), gradients(oracle, wanted))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("coupled", "peephole"), VARIANTS)
def test_gradients_are_numerically_right(
    bidirectional: bool, coupled: bool, peephole: bool
) -> None:
    torch.manual_seed(2)
    module = variant(1, 2, bidirectional=bidirectional, coupled=coupled, peephole=peephole)
    seen = module.peepholes()
    seen = None if seen is None else seen.detach().requires_grad_()
    rows, batch_sizes = packed(sequences([3, 1], 1))
    inputs = (rows.requires_grad_(), module.input_weight, module.recurrent_weight, module.bias)
    assert torch.autograd.gradcheck(
        lambda *tensors: LstmRecurrence.apply(*tensors, batch_sizes), (*inputs, seen)
    )


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("recurrence", "gates"), [(GruRecurrence, 3), (RnnRecurrence, 1)])
def test_gradients_of_gru_and_rnn_are_numerically_right(
    recurrence: type[torch.autograd.Function], gates: int, directions: int
) -> None:
    torch.manual_seed(2)
    width, hidden = 2, 2
    rows, batch_sizes = packed(sequences([3, 1], width))
    shapes = [(gates * hidden, width), (gates * hidden, hidden), (gates * hidden,)]
    shapes.append(shapes[-1])
    inputs = [torch.randn(directions, *shape, dtype=torch.float64) for shape in shapes]
    assert torch.autograd.gradcheck(
        lambda *tensors: recurrence.apply(*tensors, batch_sizes),
        [value.requires_grad_() for value in (rows, *inputs)],
    )


@pytest.mark.parametrize("cell", CELLS)
def test_states_given_out_are_not_those_kept_for_the_backward_pass(cell: Cell) -> None:
    layer = randomised(RecurrentLayer(cells.CELLS[cell], 3, 4, bidirectional=False))
    rows, batch_sizes = packed(sequences([3, 1], 3))
    weights = list(layer.parameters())
    expected = torch.autograd.grad(layer(rows, batch_sizes)[0].sum(), weights)
    states = layer(rows, batch_sizes)[0]
    total = states.sum()
    with torch.no_grad():
        states.zero_()
    assert_same(list(torch.autograd.grad(total, weights)), list(expected))


@pytest.mark.parametrize("cell", CELLS)
def test_other_devices_than_the_cpu_are_served(cell: Cell) -> None:
    """Where there is no data there is nothing but the shapes to look at."""
    layer = RecurrentLayer(cells.CELLS[cell], 3, 4).to("meta")
    states, final = layer(torch.zeros(5, 3, device="meta"), torch.tensor([2, 2, 1]))
    assert states.shape == (5, 8)
    assert final.shape == (2, 8)
    assert states.is_meta


def test_backward_can_be_repeated_but_not_differentiated() -> None:
    module = variant(2, 3, bidirectional=True, coupled=True, peephole=True)
    rows, batch_sizes = packed(sequences([3, 1], 2))
    rows.requires_grad_()
    loss = module(rows, batch_sizes).square().sum()
    first = torch.autograd.grad(loss, rows, retain_graph=True)
    second = torch.autograd.grad(loss, rows, create_graph=True)
    assert torch.equal(first[0], second[0])
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second[0].sum().backward()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrence_run_as_plain_lstm_equals_torch(bidirectional: bool) -> None:
    torch.manual_seed(3)
    oracle = randomised(nn.LSTM(3, 4, bidirectional=bidirectional))
    mine = variant(3, 4, bidirectional=bidirectional, coupled=False, peephole=False)

    def converted(kind: str) -> Tensor:
        directions = ["_l0", "_l0_reverse"] if bidirectional else ["_l0"]
        weights = [getattr(oracle, kind + direction).split(4) for direction in directions]
        return torch.stack([torch.cat((g, i, f, o)) for i, f, g, o in weights])

    parameters = [
        converted("weight_ih"),
        converted("weight_hh"),
        converted("bias_ih") + converted("bias_hh"),
    ]
    with torch.no_grad():
        for parameter, value in zip(mine.parameters(), parameters, strict=True):
            parameter.copy_(value)
    parts = [part.requires_grad_() for part in sequences(LENGTHS, 3)]
    states, expected = mine(*packed(parts)), oracle(pack_sequence(parts))[0].data
    torch.testing.assert_close(states, expected, atol=1e-12, rtol=1e-12)
    ours = gradients(states, parts + list(mine.parameters()))
    theirs = gradients(expected, parts + list(oracle.parameters()))
    # The converted tensors are functions of torch's weights: chain our gradients through them.
    chained = torch.autograd.grad(parameters, list(oracle.parameters()), ours[len(parts) :])
    assert_same([*ours[: len(parts)], *chained], theirs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "oracle"), [("rnn", nn.RNN), ("gru", nn.GRU)])
def test_gru_and_rnn_equal_torch_one_sequence_at_a_time(
    cell: Cell, oracle: type[nn.RNNBase], bidirectional: bool
) -> None:
    torch.manual_seed(4)
    layer = randomised(RecurrentLayer(cells.CELLS[cell], 3, 4, bidirectional=bidirectional))
    alone = oracle(3, 4, bidirectional=bidirectional).double()
    alone.load_state_dict(layer.network.state_dict())
    parts = [part.requires_grad_() for part in sequences(LENGTHS, 3)]
    states = layer(*packed(parts))[0]
    expected = packed([alone(part)[0] for part in parts])[0]
    torch.testing.assert_close(states, expected, atol=1e-12, rtol=1e-12)
    assert_same(
        gradients(states, parts + list(layer.parameters())),
        gradients(expected, parts + list(alone.parameters())),
    )


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_batch_mates_do_not_matter(cell: Cell, peephole: bool) -> None:
    torch.manual_seed(5)
    layer = randomised(RecurrentLayer(cells.CELLS[cell], 3, 4, peephole=peephole))
    parts = sequences(LENGTHS, 3)
    rows, batch_sizes = packed(parts)
    states, final = layer(rows, batch_sizes)
    sequence = sequence_of_rows(batch_sizes)
    for b, part in enumerate(parts):
        alone, alone_final = layer(*packed([part]))
        torch.testing.assert_close(states[sequence == b], alone, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(final[b : b + 1], alone_final, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(alone_final[0, :4], alone[-1, :4])
        torch.testing.assert_close(alone_final[0, 4:], alone[0, 4:])


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_recurrent_weights_start_orthogonal_and_all_else_but_a_forget_gate_at_zero(
    cell: Cell, peephole: bool
) -> None:
    torch.manual_seed(6)
    layer = RecurrentLayer(cells.CELLS[cell], 3, 4, peephole=peephole, forget_bias=0.0)
    parameters = dict(layer.network.named_parameters())
    recurrent = [name for name in parameters if name.startswith(("recurrent_weight", "weight_hh"))]
    assert recurrent
    for name in recurrent:
        for gate in parameters[name].view(-1, 4, 4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    rest = [name for name in parameters if "weight" not in name]
    assert ("peephole" in rest) == (cell == "lstm-peephole" or bool(peephole))
    assert not any(parameters[name].any() for name in rest)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", 2), ("lstm-peephole", 2), ("lstm-coupled", 1)])
def test_only_the_forget_gate_of_an_lstm_starts_open(cell: Cell, gate: int) -> None:
    bias = RecurrentLayer(cells.CELLS[cell], 3, 4, forget_bias=1.5).network.bias
    for direction in bias:
        for index, values in enumerate(direction.split(4)):
            assert values.tolist() == [1.5 if index == gate else 0.0] * 4


def test_the_table_of_cells_holds_those_of_the_config() -> None:
    assert tuple(cells.CELLS) == CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_wrong_number_of_rows_is_refused(cell: Cell) -> None:
    layer = RecurrentLayer(cells.CELLS[cell], 3, 4)
    with pytest.raises(ValueError, match="add up to 3 rows, got 4"):
        layer(torch.zeros(4, 3), torch.tensor([2, 1]))


@pytest.mark.parametrize(
    ("kind", "gates", "places"),
    [
        (Lstm, ("forget",), [1]),
        (Lstm, ("output", "input"), [0, 2]),
        (CoupledLstm, ("forget",), [0]),
        (CoupledLstm, ("output",), [1]),
    ],
)
def test_a_gate_that_is_not_named_has_no_peephole(kind, gates, places):
    module = randomised(kind(3, 4, bidirectional=True, peephole=gates))
    seen = module.peepholes()
    assert module.peephole.shape == (2, len(gates), 4)
    torch.testing.assert_close(seen[:, places], module.peephole)
    assert torch.count_nonzero(seen) == module.peephole.numel()
    seen.sum().backward()
    assert (module.peephole.grad == 1).all()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
def test_where_there_is_a_compiler_the_kernels_were_built(monkeypatch):
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert native.library.__wrapped__() is not None, "run `make setup` again"


def use_tier(tier: int) -> None:
    """Use the kernels of a kind of processor: portable, AVX2, AVX-512."""
    if native.library().tagbelt_training_tier(tier) < tier:
        pytest.skip("this processor lacks the instructions")


def assert_kernels_equal_torch(layer: RecurrentLayer, sizes: Tensor, monkeypatch) -> None:
    """In float32, to 1e-5 of the largest number of each result."""
    rows = torch.randn(int(sizes.sum()), 5, requires_grad=True)
    results = []
    for serves in (native.serves, lambda *_: False):
        monkeypatch.setattr(native, "serves", serves)
        states, final = layer(rows, sizes)
        wanted = [rows, *layer.parameters()]
        results.append([states, final, *gradients(states, wanted)])
    monkeypatch.undo()
    for mine, oracle in zip(*results, strict=True):
        assert mine.dtype == oracle.dtype == torch.float32
        torch.testing.assert_close(
            mine, oracle, rtol=0, atol=1e-5 * float(oracle.detach().abs().max())
        )


@needs_kernels
@pytest.mark.parametrize("tier", [0, 1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_compiled_recurrence_equals_torch(
    cell: Cell, peephole: bool, bidirectional: bool, tier: int, monkeypatch
) -> None:
    torch.manual_seed(8)
    assert native.serves(cells.CELLS[cell].kernel)
    use_tier(tier)
    try:
        # Units that fill vectors and panels or do not; more than products take in one go; batches
        # of one, of one block of rows and of several, also of one step; many rows.
        for hidden, lengths in [
            (1, [1]),
            (7, [3, 1]),
            (16, [2] * 13),
            (75, LENGTHS),
            (300, [4, 1]),
            (3, [150, 150]),
        ]:
            layer = RecurrentLayer(
                cells.CELLS[cell], 5, hidden, bidirectional=bidirectional, peephole=peephole
            )
            for parameter in layer.parameters():
                nn.init.normal_(parameter, std=0.7 / hidden**0.5)
            sizes = packed([torch.zeros(length) for length in lengths])[1]
            assert_kernels_equal_torch(layer, sizes, monkeypatch)
    finally:
        use_tier(2)


@needs_kernels
def test_a_thread_a_direction_computes_the_same_bits() -> None:
    layer = RecurrentLayer(cells.CELLS["gru"], 5, 40)
    sizes = packed([torch.zeros(length) for length in LENGTHS])[1]
    rows, before = torch.randn(int(sizes.sum()), 5, requires_grad=True), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            states = layer(rows, sizes)[0]
            results.append([states, *gradients(states, [rows, *layer.parameters()])])
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


@needs_kernels
@pytest.mark.parametrize("tier", [0, 1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_compiled_recurrence_saturates_and_keeps_what_is_not_a_number(
    cell: Cell, tier: int, monkeypatch
) -> None:
    layer = RecurrentLayer(cells.CELLS[cell], 1, 3)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    huge = torch.tensor([[1e30], [-1e30], [3e38], [float("nan")]])
    sizes = torch.tensor([4])
    use_tier(tier)
    try:
        mine = layer(huge, sizes)[0]
    finally:
        use_tier(2)
    monkeypatch.setattr(native, "serves", lambda *_: False)
    torch.testing.assert_close(mine, layer(huge, sizes)[0], equal_nan=True, atol=1e-6, rtol=0)
    assert mine[3].isnan().all()

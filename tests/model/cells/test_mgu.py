"""The minimal gated unit against its equations, token by token, and against torch's GRU."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from tagbelt.model.cells.mgu import Mgu, MguRecurrence

LENGTHS = [5, 4, 4, 2, 1, 1]
WIDTH, HIDDEN = 3, 4


def made(*, bidirectional: bool) -> tuple[Mgu, list[Tensor]]:
    """A cell of random weights, and sequences for it."""
    torch.manual_seed(1)
    cell = Mgu(WIDTH, HIDDEN, bidirectional=bidirectional)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.7)
    parts = [torch.randn(n, WIDTH, dtype=torch.float64, requires_grad=True) for n in LENGTHS]
    return cell.double(), parts


def naive_direction(cell: Mgu, direction: int, words: Tensor) -> Tensor:
    w_f, w_n = cell.input_weight[direction].split(HIDDEN)
    u_f, u_n = cell.recurrent_weight[direction].split(HIDDEN)
    b_f, b_n, c_n = cell.bias[direction].split(HIDDEN)
    h = torch.zeros(HIDDEN, dtype=torch.float64)
    states = []
    for x in words:
        f = torch.sigmoid(w_f @ x + u_f @ h + b_f)
        n = torch.tanh(w_n @ x + b_n + f * (u_n @ h + c_n))
        h = (1 - f) * h + f * n
        states.append(h)
    return torch.stack(states)


def naive(cell: Mgu, parts: list[Tensor]) -> Tensor:
    outputs = []
    for part in parts:
        directions = [naive_direction(cell, 0, part)]
        if len(cell.bias) == 2:
            directions.append(naive_direction(cell, 1, part.flip(0)).flip(0))
        outputs.append(torch.cat(directions, dim=1))
    return pack_sequence(outputs).data


def gradients(states: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    weights = torch.arange(states.numel(), dtype=states.dtype).view_as(states).sin()
    return list(torch.autograd.grad((states * weights).sum(), wanted))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_mgu_follows_its_equations(bidirectional: bool) -> None:
    cell, parts = made(bidirectional=bidirectional)
    packed = pack_sequence(parts)
    mine, oracle = cell(packed.data, packed.batch_sizes), naive(cell, parts)
    torch.testing.assert_close(mine, oracle, atol=1e-12, rtol=1e-12)
    wanted = parts + list(cell.parameters())
    for got, expected in zip(gradients(mine, wanted), gradients(oracle, wanted), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_mgu_gradients_are_numerically_right(bidirectional: bool) -> None:
    cell, parts = made(bidirectional=bidirectional)
    packed = pack_sequence([part.detach() for part in parts[3:]])
    inputs = [packed.data.requires_grad_(), *cell.parameters()]
    assert torch.autograd.gradcheck(
        lambda *tensors: MguRecurrence.apply(*tensors, packed.batch_sizes), inputs
    )


def test_mgu_is_a_gru_that_shares_one_gate() -> None:
    cell, parts = made(bidirectional=False)
    f, n = (slice(0, HIDDEN), slice(HIDDEN, 2 * HIDDEN))
    gru = nn.GRU(WIDTH, HIDDEN).double()  # gates r, z, n, with r = f and z = 1 - f
    with torch.no_grad():
        for name, weight in (("ih", cell.input_weight[0]), ("hh", cell.recurrent_weight[0])):
            getattr(gru, f"weight_{name}_l0").copy_(torch.cat((weight[f], -weight[f], weight[n])))
        b_f, b_n, c_n = cell.bias[0].split(HIDDEN)
        gru.bias_ih_l0.copy_(torch.cat((b_f, -b_f, b_n)))
        gru.bias_hh_l0.copy_(torch.cat((0 * b_f, 0 * b_f, c_n)))
    packed = pack_sequence(parts)
    torch.testing.assert_close(cell(packed.data, packed.batch_sizes), gru(packed)[0].data)

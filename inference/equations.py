"""The equations of every cell, in numpy: what the kernels are held to, and what `inspect` shows.

A cell's step is given the products of the inputs and of the state apart, so that a gate may stand
between them. Sizes: G blocks of weights, B sentences, H units of a direction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, slots=True)
class CellMoment:
    """A cell after one step, all [B, H].

    `state` is what the next layer and the next step see, `cell` what is carried along (of a cell
    without one, the state). `gates` are in [0, 1]; `kept` is the share of the cell before that is
    still in this one, None where no gate decides on it.
    """

    state: Floats
    cell: Floats
    candidate: Floats
    gates: Mapping[str, Floats] = field(default_factory=dict)
    kept: Floats | None = None


Step = Callable[[Floats, Floats, Floats, Floats], CellMoment]


@dataclass(frozen=True)
class CellEquations:
    """One cell: `step(x, h, cell, peephole)` goes from a token to the next.

    `x` [G, B, H] are the products of the inputs and `h` those of the state, each with its biases,
    in the order of `blocks`; `cell` [B, H] is what the step before left, `peephole` [G - 1, H] the
    weights beside the cell, zeros where there are none. `kernel` is the cell's name in
    `inference/native/cells.h`. `parted` says that a gate stands between the two products of the
    last block, so that the kernels have one more.
    """

    kernel: str
    blocks: tuple[str, ...]
    step: Step
    parted: bool = False


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    result: Floats = (1 + np.tanh(x / 2)) / 2
    return result


def _rnn(x: Floats, h: Floats, cell: Floats, peephole: Floats) -> CellMoment:  # noqa: ARG001
    state = np.tanh(x[0] + h[0])
    return CellMoment(state, state, state)


def _lstm(x: Floats, h: Floats, cell: Floats, peephole: Floats) -> CellMoment:
    g, i, f, o = x + h
    g, i, f = np.tanh(g), sigmoid(i + peephole[0] * cell), sigmoid(f + peephole[1] * cell)
    cell = f * cell + i * g
    o = sigmoid(o + peephole[2] * cell)
    return CellMoment(o * np.tanh(cell), cell, g, {"forget": f, "input": i, "output": o}, f)


def _lstm_coupled(x: Floats, h: Floats, cell: Floats, peephole: Floats) -> CellMoment:
    g, f, o = x + h
    g, f = np.tanh(g), sigmoid(f + peephole[0] * cell)
    cell = f * cell + (1 - f) * g
    o = sigmoid(o + peephole[1] * cell)
    return CellMoment(o * np.tanh(cell), cell, g, {"forget": f, "input": 1 - f, "output": o}, f)


def _gru(x: Floats, h: Floats, cell: Floats, peephole: Floats) -> CellMoment:  # noqa: ARG001
    r, z = sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1])
    n = np.tanh(x[2] + r * h[2])
    state = z * cell + (1 - z) * n
    return CellMoment(state, state, n, {"reset": r, "update": z}, z)


def _mgu(x: Floats, h: Floats, cell: Floats, peephole: Floats) -> CellMoment:  # noqa: ARG001
    f = sigmoid(x[0] + h[0])
    n = np.tanh(x[1] + f * h[1])
    state = (1 - f) * cell + f * n
    return CellMoment(state, state, n, {"forget": f}, 1 - f)


_LSTM = CellEquations("lstm", ("candidate", "input", "forget", "output"), _lstm)

EQUATIONS: dict[str, CellEquations] = {
    "rnn": CellEquations("rnn", ("candidate",), _rnn),
    "lstm": _LSTM,
    "lstm-peephole": _LSTM,
    "lstm-coupled": CellEquations("lstm-coupled", ("candidate", "forget", "output"), _lstm_coupled),
    "gru": CellEquations("gru", ("reset", "update", "candidate"), _gru, parted=True),
    "mgu": CellEquations("mgu", ("forget", "candidate"), _mgu, parted=True),
}
"""By the name of a cell in a config; `blocks` are in the order in which checkpoints have them."""

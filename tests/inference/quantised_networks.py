"""Networks in bytes, of random weights, and the equations of their cells."""

import numpy as np

GATES = {"lstm": 4, "lstm-coupled": 3, "gru": 4, "rnn": 1, "mgu": 3}
NEW_GATE_IN_PARTS = ("gru", "mgu")
"""The last two gates are one: what the inputs give, and what the state gives."""


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


def step(cell, gates, c, peephole):
    """One step of a cell: gates [G, H] before activation, and the cell -> state, cell."""
    p = np.zeros((3, len(c))) if peephole is None else peephole
    if cell == "lstm":
        g, i, f = np.tanh(gates[0]), sigmoid(gates[1] + p[0] * c), sigmoid(gates[2] + p[1] * c)
        c = f * c + i * g
        return sigmoid(gates[3] + p[2] * c) * np.tanh(c), c
    if cell == "lstm-coupled":
        g, f = np.tanh(gates[0]), sigmoid(gates[1] + p[0] * c)
        c = f * c + (1 - f) * g
        return sigmoid(gates[2] + p[1] * c) * np.tanh(c), c
    if cell == "gru":
        r, z = sigmoid(gates[0]), sigmoid(gates[1])
        c = z * c + (1 - z) * np.tanh(gates[2] + r * gates[3])
        return c, c
    if cell == "mgu":
        f = sigmoid(gates[0])
        c = (1 - f) * c + f * np.tanh(gates[1] + f * gates[2])
        return c, c
    return np.tanh(gates[0]), c


def made(rng, cell, *, inputs, hidden, tags, directions=2, layers=1, peephole=False, bound=2.5):
    """Weights of a network as a checkpoint holds them, so small that its cells do not saturate."""
    weights = {
        "cell": np.frombuffer(cell.encode(), np.uint8),
        "bound": np.array([bound], np.float32),
        "tags.weight": rng.normal(0, 0.5, (tags, directions * hidden)).astype(np.float32),
        "tags.bias": rng.normal(0, 0.5, tags).astype(np.float32),
    }
    gates = GATES[cell]
    for layer in range(layers):
        width = directions * hidden if layer else inputs
        weight = rng.integers(-127, 128, (directions, gates, hidden, width + hidden))
        if cell in NEW_GATE_IN_PARTS:
            weight[:, -2, :, width:] = 0
            weight[:, -1, :, :width] = 0
        scale = rng.uniform(0.5, 1.5, (directions, gates, hidden)) / 127 / 600
        weights |= {
            f"{layer}.weight": weight.astype(np.int8),
            f"{layer}.scale": scale.astype(np.float32),
            f"{layer}.bias": rng.normal(0, 0.3, scale.shape).astype(np.float32),
        }
        if peephole:
            peepholes = rng.normal(0, 0.5, (directions, gates - 1, hidden))
            weights[f"{layer}.peephole"] = peepholes.astype(np.float32)
    return weights

"""Networks in bytes, of random weights."""

import numpy as np

GATES = {"lstm": 4, "lstm-coupled": 3, "gru": 4, "rnn": 1}


def made(rng, cell, *, inputs, hidden, tags, directions=2, layers=1, peephole=False, bound=2.5):
    """Weights of a network as a checkpoint holds them, so small that its cells do not saturate."""
    weights = {
        "bound": np.array([bound], np.float32),
        "tags.weight": rng.normal(0, 0.5, (tags, directions * hidden)).astype(np.float32),
        "tags.bias": rng.normal(0, 0.5, tags).astype(np.float32),
    }
    gates = GATES[cell]
    for layer in range(layers):
        width = directions * hidden if layer else inputs
        weight = rng.integers(-127, 128, (directions, gates, hidden, width + hidden))
        if cell == "gru":  # n's inputs and states stand apart
            weight[:, 2, :, width:] = 0
            weight[:, 3, :, :width] = 0
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

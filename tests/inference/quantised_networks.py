"""Networks in bytes, of random weights, and a step of their cells."""

import numpy as np

from tagbelt.inference.equations import EQUATIONS

KERNELS = {equations.kernel: equations for equations in EQUATIONS.values()}
GATES = {name: len(cell.blocks) + cell.parted for name, cell in KERNELS.items()}


def step(cell, gates, c, peephole):
    """One step of a cell: gates [G, H] before activation, and the cell -> state, cell."""
    blocks, x, h = len(KERNELS[cell].blocks), gates.copy(), np.zeros_like(gates)
    if KERNELS[cell].parted:  # the last is the state's part of the one before
        h[blocks - 1] = gates[blocks]
    p = np.zeros((3, len(c))) if peephole is None else peephole
    moment = KERNELS[cell].step(x[:blocks, None], h[:blocks, None], c[None], p)
    return moment.state[0], moment.cell[0]


def made(
    rng, cell, *, inputs, hidden, tags, directions=2, layers=1, peephole=False, bound=2.5, heads=0
):
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
        if KERNELS[cell].parted:
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
    if heads:  # of 5 numbers, of which a product is some 2
        weights |= {
            "heads.weight": rng.integers(-127, 128, (2, heads, 5, directions * hidden)).astype(
                np.int8
            ),
            "heads.scale": rng.uniform(1, 2, (2, heads, 5)).astype(np.float32) / 127 / 600,
            "heads.bias": rng.normal(0, 0.8, (2, heads, 5)).astype(np.float32),
            "heads.values": rng.normal(0, 0.3 / heads, (heads, tags, directions * hidden)).astype(
                np.float32
            ),
        }
    return weights

"""The network of a checkpoint in float32, run step by step in numpy so that nothing stays hidden.

The weights are those of training (`model.safetensors`), so the emissions are those of the float32
graph but for rounding. Letters in the shape comments: D directions, G blocks of a cell's weights,
I inputs, H units of a direction, T tokens, B sentences of one length, S states, A heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tagbelt.inference.equations import EQUATIONS, CellEquations, CellMoment, Floats
from tagbelt.inference.inspection import BACKWARD, FORWARD, DirectionTrace

Weights = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One layer of a cell: `inputs` [D, G, H, I] and `states` [D, G, H, H] with a bias [D, G, H]
    each, and `peephole` [D, G - 1, H], zeros for gates without one.
    """

    inputs: Floats
    states: Floats
    input_bias: Floats
    state_bias: Floats
    peephole: Floats

    @classmethod
    def read(cls, weights: Weights, cell: CellEquations, peephole: object) -> "LayerWeights":
        """Read them by the names that the network in torch gives its parameters.

        `peephole` is that of the config. Raises KeyError and ValueError where they do not fit.
        """
        blocks = len(cell.blocks)
        if "weight_ih_l0" in weights:  # of one of torch's modules
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ends = [end for end in ("_l0", "_l0_reverse") if f"weight_ih{end}" in weights]
            inputs, states, *biases = (np.stack([weights[k + e] for e in ends]) for k in kinds)
        else:
            inputs, states, bias = (
                weights[name] for name in ("input_weight", "recurrent_weight", "bias")
            )
            # More biases than blocks: the last is that of the state's part of the candidate.
            size = inputs.shape[1]
            late = np.zeros_like(bias[:, :size])
            if bias.shape[1] > size:
                late[:, 2 * size - bias.shape[1] :] = bias[:, size:]
            biases = [bias[:, :size], late]
        directions, _, hidden = states.shape
        seen = np.zeros((directions, max(1, blocks - 1), hidden), np.float32)
        if "peephole" in weights:
            gates = cell.blocks[1:]
            chosen = [g in peephole for g in gates] if isinstance(peephole, list) else [True]
            seen[:, np.broadcast_to(chosen, len(gates))] = weights["peephole"]
        shape = (directions, blocks, hidden)
        of_input, of_state = (bias.reshape(shape) for bias in biases)
        inputs, states = inputs.reshape(*shape, -1), states.reshape(*shape, -1)
        return cls(inputs, states, of_input, of_state, seen)


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """The encoder and the emissions of one checkpoint, in float32."""

    cell_name: str
    layers: tuple[LayerWeights, ...]
    heads: int
    weights: Weights

    @classmethod
    def read(cls, weights: Weights, encoder: Mapping[str, object]) -> "FloatNetwork":
        """`encoder` is that section of the config. Raises KeyError, ValueError and TypeError."""
        cell = str(encoder["cell"])
        parts: list[LayerWeights] = []
        while any(name.startswith(f"encoder.layers.{len(parts)}.") for name in weights):
            prefix = f"encoder.layers.{len(parts)}.network."
            own = {
                k.removeprefix(prefix): v.astype(np.float32)
                for k, v in weights.items()
                if k.startswith(prefix)
            }
            parts.append(LayerWeights.read(own, EQUATIONS[cell], encoder.get("peephole")))
        heads = int(str(encoder.get("attention_heads", 0)))
        return cls(cell, tuple(parts), heads, weights)

    def run(self, rows: Floats) -> tuple[list[tuple[DirectionTrace, ...]], Floats | None, Floats]:
        """Run B sentences of one length, rows [T, B, I]: layers, attention, emissions [T, B, K].

        Traces are [T, B, H], the attention [B, A, T, T].
        """
        layers = []
        for weights in self.layers:
            directions = tuple(
                self._direction(weights, d, rows) for d in range(len(weights.inputs))
            )
            rows = np.concatenate([one.state for one in directions], axis=-1)
            layers.append(directions)
        attention = None
        if self.heads:
            rows, attention = self._attend(rows)
        linear = self.weights
        return layers, attention, rows @ linear["emissions.weight"].T + linear["emissions.bias"]

    def _direction(self, weights: LayerWeights, number: int, rows: Floats) -> DirectionTrace:
        step, reverse = EQUATIONS[self.cell_name].step, bool(number)
        inputs, states = (w[number].swapaxes(1, 2) for w in (weights.inputs, weights.states))
        input_bias, state_bias = (
            b[number][:, None] for b in (weights.input_bias, weights.state_bias)
        )
        state = cell = np.zeros((rows.shape[1], states.shape[2]), np.float32)
        moments: list[CellMoment] = []
        for row in rows[::-1] if reverse else rows:
            # Gate by gate: products so small that the library does not spread them over threads.
            x, h = row @ inputs + input_bias, state @ states + state_bias
            moment = step(x, h, cell, weights.peephole[number])
            state, cell = moment.state, moment.cell
            moments.append(moment)
        if reverse:
            moments.reverse()
        kept = [moment.kept for moment in moments if moment.kept is not None]
        names = moments[0].gates
        return DirectionTrace(
            direction=BACKWARD if reverse else FORWARD,
            cell_name=self.cell_name,
            state=np.stack([moment.state for moment in moments]),
            cell=np.stack([moment.cell for moment in moments]),
            candidate=np.stack([moment.candidate for moment in moments]),
            gates={name: np.stack([moment.gates[name] for moment in moments]) for name in names},
            kept=np.stack(kept) if kept else None,
        )

    def _attend(self, rows: Floats) -> tuple[Floats, Floats]:
        """Self-attention over [T, B, S], added to it (Vaswani et al. 2017), and its weights."""
        steps, sentences, size = rows.shape
        weights = self.weights
        projected = rows @ weights["encoder.attention.projection.weight"].T
        projected = projected + weights["encoder.attention.projection.bias"]
        # shape: [T, B, 3 S] -> three of [B, A, T, S / A]
        split = projected.reshape(steps, sentences, 3, self.heads, -1).transpose(2, 1, 3, 0, 4)
        query, key, value = split
        scores = query @ key.swapaxes(-1, -2) / np.sqrt(np.float32(size // self.heads))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        chances = scores / scores.sum(axis=-1, keepdims=True)
        mixed = (chances @ value).transpose(2, 0, 1, 3).reshape(rows.shape)
        output = mixed @ weights["encoder.attention.output.weight"].T
        return rows + output + weights["encoder.attention.output.bias"], chances

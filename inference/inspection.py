"""What the inside of a network did with a text, token by token, as arrays and as JSON.

Sizes: T tokens of a sentence, H units of a direction, K tags, A heads of attention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tagbelt.data.types import Entity
from tagbelt.errors import InputError
from tagbelt.inference.equations import Floats

_DIGITS = 4
FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True, eq=False)
class DirectionTrace:
    """One direction of one layer; all [T, H], in the order of the text, float32.

    `gates` are in [0, 1], by their names: forget, input and output of an LSTM, reset and update
    of a GRU, forget of a minimal gated unit, none of a plain RNN. `cell` is what is carried from
    token to token, `state` what the next layer reads; cells without a memory of their own have
    the same in both. `kept` is the share of the cell before that each step leaves, None for a
    cell in which no gate decides on it. `influence` [T, T], where tokens were hidden, says of
    token i (row) how much of it is in the cell after token j: how far the cell there departs when
    the network reads zeros in place of token i, as a share of how far it departs at i. It is
    measured, so there is one for every cell; it may exceed 1, and is NaN where hiding token i
    changes nothing at i.
    """

    direction: str
    cell_name: str
    state: Floats
    cell: Floats
    candidate: Floats
    gates: Mapping[str, Floats]
    kept: Floats | None
    influence: Floats | None = None

    def gate(self, name: str) -> Floats:
        """Return a gate [T, H]. Raises InputError for one that the cell does not have."""
        if name not in self.gates:
            has = ", ".join(self.gates) or "none"
            raise InputError(f"the cell {self.cell_name} has no gate {name!r}; its gates: {has}")
        return self.gates[name]

    def carried(self) -> Floats | None:
        """Return [T, T] how much of what was in the cell after token i is in it after token j.

        It is the product of `kept` over the steps from i to j, averaged over units: 1 at i = j,
        0 where the direction reads j before i. None where `kept` is.
        """
        if self.kept is None:
            return None
        backward = self.direction == BACKWARD
        kept = self.kept[::-1] if backward else self.kept
        result = np.zeros((len(kept), len(kept)), np.float32)
        for first in range(len(kept)):
            left = kept[first:].copy()
            left[0] = 1.0
            result[first, first:] = left.cumprod(axis=0).mean(axis=1)
        return result[::-1, ::-1] if backward else result

    def reach(self) -> list[int] | None:
        """Return for each token over how many further ones at least half of it is carried."""
        carried = self.carried()
        if carried is None:
            return None
        counts: list[int] = ((carried >= 0.5).sum(axis=1) - 1).tolist()
        return counts


@dataclass(frozen=True, eq=False)
class SentenceTrace:
    """One sentence. Places count code points of the text, or tokens of a token list.

    `layers` has the directions of each recurrent layer. `attention` [A, T, T] are the weights with
    which each token (row) reads each other, None without self-attention. `emissions` [T, K] are
    scores before decoding, `marginals` [T, K] probabilities; both in the order of
    `Inspection.tags`. `path` [T] is the best tag sequence; `transitions` [T + 1] are the scores of
    its first tag as a start, of each step, and of its last as an end. `rests_on` maps the number of
    an entity, counted over the whole text, to [T]: how much less probable exactly this entity is
    when the network reads zeros in place of a token. Below 0, it is more probable then. `gradient`
    maps it to [T] as well: the derivative of its probability along what is read of a token
    (gradient times input), which is what hiding would take away if the network were linear.
    """

    tokens: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    layers: tuple[tuple[DirectionTrace, ...], ...]
    attention: Floats | None
    emissions: Floats
    path: tuple[int, ...]
    transitions: Floats
    marginals: Floats
    entities: tuple[Entity, ...]
    rests_on: Mapping[int, Floats] = field(default_factory=dict)
    gradient: Mapping[int, Floats] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Inspection:
    """A text, looked at inside the network of `model` (name@version) in float32.

    `tags` [K] are those of the CRF, in its own scheme; `cell` is the name of the cell.
    """

    text: str | None
    model: str
    cell: str
    tags: tuple[str, ...]
    sentences: tuple[SentenceTrace, ...]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities of the whole text, in order."""
        return tuple(entity for sentence in self.sentences for entity in sentence.entities)

    def to_json(self, *, vectors: bool = False) -> dict[str, Any]:
        """Return it as plain values; numbers have four digits behind the point.

        Gates come as their mean over the units and vectors as their Euclidean norm; whole vectors
        beside them with `vectors`.
        """
        first, sentences = 0, []
        for sentence in self.sentences:
            sentences.append(self._sentence(sentence, first, vectors))
            first += len(sentence.entities)
        return {
            "model": self.model,
            "cell": self.cell,
            "tags": list(self.tags),
            "sentences": sentences,
        }

    def _sentence(self, sentence: SentenceTrace, first: int, vectors: bool) -> dict[str, Any]:
        rests_on, gradient = sentence.rests_on, sentence.gradient
        return {
            "tokens": [
                {"text": token, "start": start, "end": end}
                for token, (start, end) in zip(sentence.tokens, sentence.spans, strict=True)
            ],
            "layers": [[_direction(one, vectors) for one in layer] for layer in sentence.layers],
            "attention": None if sentence.attention is None else _rounded(sentence.attention),
            "emissions": _rounded(sentence.emissions),
            "path": [self.tags[tag] for tag in sentence.path],
            "transitions": _rounded(sentence.transitions),
            "marginals": _rounded(sentence.marginals),
            "entities": [
                {
                    "label": entity.label,
                    "start": entity.start,
                    "end": entity.end,
                    "text": entity.text,
                    "score": round(entity.score, _DIGITS),
                    "rests_on": _rounded(rests_on[place]) if place in rests_on else None,
                    "gradient": _rounded(gradient[place]) if place in gradient else None,
                }
                for place, entity in enumerate(sentence.entities, first)
            ],
        }


def _direction(trace: DirectionTrace, vectors: bool) -> dict[str, Any]:
    carried, influence = trace.carried(), trace.influence
    norms = {"candidate": trace.candidate, "cell": trace.cell, "state": trace.state}
    members: dict[str, Any] = {
        "direction": trace.direction,
        "gates": {name: _rounded(gate.mean(axis=1)) for name, gate in trace.gates.items()},
        "norms": {name: _rounded(np.linalg.norm(v, axis=1)) for name, v in norms.items()},
        "carried": None if carried is None else _rounded(carried),
        "reach": trace.reach(),
        "influence": None if influence is None else _rounded(np.nan_to_num(influence)),
    }
    if vectors:
        members["vectors"] = {k: _rounded(v) for k, v in {**trace.gates, **norms}.items()}
    return members


def _rounded(values: Floats) -> Any:
    # Through float64: what a float32 rounds to has more digits.
    return values.astype(np.float64).round(_DIGITS).tolist()

"""The parameters of a trained CRF: frozen arrays, with forbidden moves at -inf.

Sizes used in this package: T time steps, B sentences (rows) of a batch, K tags.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagbelt.data.conll.schemes import Transitions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class CrfParameters:
    """Scores of a linear-chain CRF: read-only float64 arrays, natural logarithms.

    `start` [K] is added to the first tag of a sentence, `transitions` [K, K] (from, to) to each
    pair of neighbours, `end` [K] to the last tag. A move that must never happen scores -inf.
    Raises ValueError for shapes that do not fit, NaN or +inf.
    """

    start: FloatArray
    transitions: FloatArray
    end: FloatArray

    def __post_init__(self) -> None:
        tags = len(self.start)
        shapes = {"start": (tags,), "transitions": (tags, tags), "end": (tags,)}
        for name, shape in shapes.items():
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != shape or tags == 0:
                raise ValueError(
                    f"CRF {name} has shape {values.shape}, expected {shape} with K > 0"
                )
            if np.isnan(values).any() or (values == np.inf).any():
                raise ValueError(f"CRF {name} holds NaN or +inf; train the model again")
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @classmethod
    def constrained(
        cls, start: ArrayLike, transitions: ArrayLike, end: ArrayLike, allowed: Transitions
    ) -> "CrfParameters":
        """Make parameters in which every move that `allowed` forbids scores -inf."""
        return cls(
            np.where(allowed.start, start, -np.inf),
            np.where(allowed.step, transitions, -np.inf),
            np.where(allowed.end, end, -np.inf),
        )

    @property
    def size(self) -> int:
        """The number of tags K."""
        return len(self.start)


def rows_alive(emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters) -> list[int]:
    """Return how many rows still have a token at each of the `lengths[0]` steps.

    The longest sentence comes first, so that the rows alive at a step are the first ones. What
    stands in `emissions` [T, B, K] at or after a row's length is never read into a result.
    Raises ValueError for shapes that do not fit, a length below 1 and rows out of order.
    """
    if emissions.ndim != 3 or emissions.shape[1:] != (len(lengths), crf.size):
        expected = f"[T, {len(lengths)}, {crf.size}]"
        raise ValueError(f"emissions have shape {list(emissions.shape)}, expected {expected}")
    if len(lengths) == 0:
        return []
    if (lengths[1:] > lengths[:-1]).any():
        raise ValueError("rows must be sorted by length, longest first")
    if lengths[-1] < 1 or lengths[0] > len(emissions):
        raise ValueError(f"lengths must be in 1..{len(emissions)}, got {lengths[-1]}..{lengths[0]}")
    alive: list[int] = np.searchsorted(-lengths, -np.arange(lengths[0])).tolist()
    return alive

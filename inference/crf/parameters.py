"""A trained CRF: its parameters, forbidden moves at -inf, and what its tags mean.

Sizes used in this package: T time steps, B sentences (rows) of a batch, K tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagbelt.data.conll.schemes import (
    OUTSIDE,
    Scheme,
    Transitions,
    spans_to_tags,
    split_tag,
    tag_set,
)
from tagbelt.data.types import Span

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


BoolArray = NDArray[np.bool_]

# In these a tag alone tells whether an entity begins there; IO and IOB1 leave it to the tag before.
_USABLE = frozenset({Scheme.IOB2, Scheme.BMES, Scheme.BIOES, Scheme.BILUO})


@dataclass(frozen=True, eq=False, slots=True)
class Spans:
    """N entities in a batch: four arrays [N]; `ends` exclusive, `labels` index the label list."""

    rows: IntArray
    starts: IntArray
    ends: IntArray
    labels: IntArray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False, slots=True)
class TagTable:
    """K tags over L labels.

    `opens` and `continues` [K] say whether a tag begins an entity or carries one on; `label` [K]
    is the tag's label, -1 outside. `places` [L, 4] are the tags of a label's entity: alone, first,
    between, last. `continuing` [L, K]: the tags that carry on an entity of that label, so an
    entity ends where the next tag is not one of them. `iob2` [K] maps a tag into `iob2_tags`.
    """

    tags: tuple[str, ...]
    labels: tuple[str, ...]
    opens: BoolArray
    continues: BoolArray
    label: IntArray
    places: IntArray
    continuing: BoolArray
    iob2: IntArray
    iob2_tags: tuple[str, ...]


def tag_table(tags: Sequence[str], scheme: Scheme) -> TagTable:
    """Make the look-up arrays of a model's tags.

    Raises ValueError for a scheme in which a tag does not say whether an entity begins there (IO,
    IOB1), and for tags that are not the scheme's complete set for their labels, each once.
    """
    label_names = [split_tag(tag)[1] for tag in tags]  # "" for the outside
    labels = tuple(dict.fromkeys(filter(None, label_names)))
    if scheme not in _USABLE or sorted(tags) != sorted(tag_set(labels, scheme)):
        raise ValueError(f"a model cannot decode {scheme} with the tags {', '.join(tags)}")
    places = np.array([_places(label, tags, scheme) for label in labels], np.intp).reshape(-1, 4)
    opens = np.isin(np.arange(len(tags)), places[:, :2])
    continues = np.isin(np.arange(len(tags)), places[:, 2:])
    label = np.array([labels.index(name) if name else -1 for name in label_names], np.intp)
    iob2_tags = tag_set(labels, Scheme.IOB2)
    plain = [
        f"{'B' if opening else 'I'}-{name}" if name else OUTSIDE
        for opening, name in zip(opens, label_names, strict=True)
    ]
    return TagTable(
        tags=tuple(tags),
        labels=labels,
        opens=opens,
        continues=continues,
        label=label,
        places=places,
        continuing=continues & (label == np.arange(len(labels))[:, None]),
        iob2=np.array([iob2_tags.index(tag) for tag in plain], np.intp),
        iob2_tags=iob2_tags,
    )


def _places(label: str, tags: Sequence[str], scheme: Scheme) -> list[int]:
    """Return the tags of an entity: alone, first, between, last, as the scheme writes them."""
    alone = spans_to_tags([Span(0, 1, label)], 1, scheme)
    longer = spans_to_tags([Span(0, 3, label)], 3, scheme)
    return [tags.index(tag) for tag in (*alone, *longer)]

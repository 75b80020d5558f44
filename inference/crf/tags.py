"""The meaning of a model's tags, as look-up arrays. Tag names are read here only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.conll.schemes import OUTSIDE, Scheme, spans_to_tags, split_tag, tag_set
from tagbelt.data.types import Span
from tagbelt.inference.crf.parameters import IntArray

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

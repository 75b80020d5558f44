"""What the tags of a model mean, as look-up arrays. Only here are tag names read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.conll.schemes import OUTSIDE, Scheme, spans_to_tags, split_tag, tag_set
from tagbelt.data.types import Span
from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.native.crf import functions

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

    def find_spans(self, paths: IntArray, lengths: IntArray) -> Spans:
        """The entities in valid `paths` [T, B], row by row, in order."""
        native = functions()
        if native is None:
            return self.find_spans_in_numpy(paths, lengths)
        return Spans(*native.find_spans(paths, lengths, self))

    def find_spans_in_numpy(self, paths: IntArray, lengths: IntArray) -> Spans:
        """As `find_spans`: its oracle, and its fallback where the kernels were not built."""
        tags = paths.T  # [B, T]
        inside = np.arange(tags.shape[1]) < lengths[:, None]
        carried = self.continues[tags] & inside
        closes = (self.label[tags] >= 0) & inside
        closes[:, :-1] &= ~carried[:, 1:]
        rows, starts = np.nonzero(self.opens[tags] & inside)
        ends = np.nonzero(closes)[1] + 1
        return Spans(rows, starts, ends, self.label[tags[rows, starts]])


def tag_table(tags: Sequence[str], scheme: Scheme) -> TagTable:
    """Look-up arrays of a model's tags.

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
    """The tags of an entity: alone, first, between, last, as the scheme writes them."""
    alone = spans_to_tags([Span(0, 1, label)], 1, scheme)
    longer = spans_to_tags([Span(0, 3, label)], 3, scheme)
    return [tags.index(tag) for tag in (*alone, *longer)]

"""From decoded batches to tags and entities by their names."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.types import Entity
from tagbelt.inference.annotation import Marginals
from tagbelt.inference.crf.parameters import FloatArray
from tagbelt.inference.decoding.decoder import DecodedBatch
from tagbelt.inference.decoding.tags import TagTable

# Tags less probable than this are left out of an annotation's marginals.
_LEAST_MARGINAL = 0.001

# Where the tokens from a first to an end of a sentence (its index in the pool) stand: start, end,
# and the text there.
Place = Callable[[int, int, int], tuple[int, int, str]]
Names = NDArray[np.object_]


def iob2_names(table: TagTable) -> Names:
    """What each tag [K] is called in IOB2."""
    return np.array(table.iob2_tags, dtype=object)[table.iob2]


def named(batch: DecodedBatch, names: Names) -> Iterable[tuple[int, list[str]]]:
    """The tags of each sentence by their names [K], with its index in the pool."""
    rows = names[batch.paths.T].tolist()
    whole = int(np.count_nonzero(batch.lengths == len(batch.paths)))
    for row, length in zip(rows[whole:], batch.lengths[whole:].tolist(), strict=True):
        del row[length:]
    return zip(batch.index.tolist(), rows, strict=True)


def add_entities(batch: DecodedBatch, place: Place, found: dict[int, list[Entity]]) -> None:
    """Add the entities of a batch by their sentence; those of a sentence stand in order."""
    spans, scores = batch.entities()
    labels = batch.table.labels
    columns = (batch.index[spans.rows], spans.starts, spans.ends, spans.labels, scores)
    for sentence, first, end, label, score in zip(*(c.tolist() for c in columns), strict=True):
        start, stop, text = place(sentence, first, end)
        found.setdefault(sentence, []).append(Entity(labels[label], start, stop, text, score))


class MarginalNames:
    """From probabilities of a model's tags to those of IOB2 tags, by their names."""

    def __init__(self, table: TagTable) -> None:
        self._names = table.iob2_tags
        # The model's tags, sorted by their IOB2 tags, and where those of each begin.
        self._order = np.argsort(table.iob2, kind="stable")
        self._firsts = np.searchsorted(table.iob2[self._order], np.arange(len(self._names)))

    def in_iob2(self, chances: FloatArray) -> FloatArray:
        """Adds up the tags [..., K] that are one IOB2 tag; each token by itself, to the bit."""
        result: FloatArray = np.add.reduceat(chances[..., self._order], self._firsts, axis=-1)
        return result

    def named(self, chances: FloatArray) -> Marginals:
        """`chances` [tokens, IOB2 tags] as one dict a token, highest first."""
        result = []
        for row in chances:
            best = [i for i in np.argsort(-row, kind="stable") if row[i] >= _LEAST_MARGINAL]
            result.append({self._names[i]: float(row[i]) for i in best})
        return tuple(result)

"""Everything that is to be known of texts and token lists, tagged together."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from time import perf_counter

import numpy as np

from data.types import Entity
from inference.annotation import Annotation, Marginals
from inference.crf import FloatArray
from inference.decoder import DecodedBatch, Decoder
from inference.naming import add_entities, iob2_names, named
from inference.phases import Phases
from inference.reading import Reading
from inference.tags import TagTable

# Tags less probable than this are left out of an annotation's marginals.
_LEAST_MARGINAL = 0.001


@dataclass(slots=True)
class _Found:
    """What was found in one sentence."""

    tags: tuple[str, ...] = ()
    entities: Sequence[Entity] = ()
    marginals: Marginals = ()


class Annotator:
    """Makes annotations with one decoder. Keeps nothing between calls."""

    def __init__(self, decoder: Decoder, table: TagTable) -> None:
        self._decoder = decoder
        self._names = iob2_names(table)
        self._marginals = _MarginalNames(table)

    def annotate(
        self, readings: Sequence[Reading], phases: Phases | None = None
    ) -> list[Annotation]:
        """One annotation a reading, in order."""
        pool = [sentence for reading in readings for sentence in reading.sentences]
        owners = [reading for reading in readings for _ in reading.sentences]
        found = [_Found() for _ in pool]
        entities: dict[int, list[Entity]] = {}

        def place(sentence: int, first: int, end: int) -> tuple[int, int, str]:
            return owners[sentence].place(pool[sentence], first, end)

        def add(batch: DecodedBatch) -> None:
            add_entities(batch, place, entities)
            for index, tags in named(batch, self._names):
                found[index].tags = tuple(tags)
            self._add_marginals(batch, owners, found)

        deque(self._decoder.run([tokens.words for tokens in pool], add, phases), maxlen=0)
        began = perf_counter()
        for index, own in entities.items():
            found[index].entities = own
        rest = iter(found)
        result = [_annotation(it, list(islice(rest, len(it.sentences)))) for it in readings]
        if phases is not None:
            phases.add(decode=perf_counter() - began)
        return result

    def _add_marginals(
        self, batch: DecodedBatch, owners: Sequence[Reading], found: Sequence[_Found]
    ) -> None:
        wanted = [row for row, index in enumerate(batch.index) if owners[index].marginals]
        if not wanted:
            return
        part = batch.only(np.array(wanted, np.intp))
        chances = self._marginals.in_iob2(part.marginals())
        for row, (index, length) in enumerate(zip(part.index, part.lengths, strict=True)):
            found[index].marginals = self._marginals.named(chances[:length, row])


class _MarginalNames:
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


def _annotation(reading: Reading, found: Sequence[_Found]) -> Annotation:
    """What was found in an item's sentences, put together."""
    sentences = reading.sentences
    return Annotation(
        tokens=tuple(chain.from_iterable(sentence.words for sentence in sentences)),
        starts=tuple(chain.from_iterable(sentence.starts for sentence in sentences)),
        tags=tuple(chain.from_iterable(own.tags for own in found)),
        entities=tuple(chain.from_iterable(own.entities for own in found)),
        marginals=(
            tuple(chain.from_iterable(own.marginals for own in found))
            if reading.marginals
            else None
        ),
    )

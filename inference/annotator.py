"""Everything that is to be known of texts and token lists, tagged together."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import TypeVar

import numpy as np

from tagbelt.data.types import Entity
from tagbelt.inference.annotation import Annotation, Marginals, Named, Path
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.inference.decoding.naming import MarginalNames, add_entities, iob2_names, named
from tagbelt.inference.decoding.nbest import Lazily, Ranked, best_choices
from tagbelt.inference.decoding.tags import TagTable
from tagbelt.inference.phases import Phases
from tagbelt.inference.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to tag a sentence, and the natural logarithm of its probability."""

    log: float
    tags: tuple[str, ...]
    entities: tuple[Named, ...]


@dataclass(slots=True)
class _Found:
    """What was found in one sentence."""

    tags: tuple[str, ...] = ()
    marginals: Marginals = ()
    options: Lazily[_Option] | None = None


class Annotator:
    """Makes annotations with one decoder. Keeps nothing between calls."""

    def __init__(self, decoder: Decoder, table: TagTable) -> None:
        self._decoder = decoder
        self._names = iob2_names(table)
        self._marginals = MarginalNames(table)

    def annotate(
        self, readings: Sequence[Reading], phases: Phases | None = None
    ) -> list[Annotation]:
        """One annotation a reading, in order."""
        pool = _Pool(readings)

        def add(batch: DecodedBatch) -> None:
            add_entities(batch, pool.place, pool.entities)
            for index, tags in named(batch, self._names):
                pool.found[index].tags = tuple(tags)
            self._add_marginals(batch, pool)
            self._add_options(batch, pool)

        words = [sentence.words for sentence in pool.sentences]
        deque(self._decoder.run(words, add, phases), maxlen=0)
        began = perf_counter()
        result = pool.annotations(readings)
        if phases is not None:
            phases.add(decode=perf_counter() - began)
        return result

    def _add_marginals(self, batch: DecodedBatch, pool: "_Pool") -> None:
        rows = pool.marginals[batch.index].nonzero()[0]
        if not len(rows):
            return
        part = batch.only(rows)
        chances = self._marginals.in_iob2(part.marginals())
        places = zip(part.index.tolist(), part.lengths.tolist(), strict=True)
        for row, (index, length) in enumerate(places):
            pool.found[index].marginals = self._marginals.named(chances[:length, row])

    def _add_options(self, batch: DecodedBatch, pool: "_Pool") -> None:
        rows = pool.paths[batch.index].nonzero()[0]
        if not len(rows):
            return
        part = batch.only(rows)
        found = part.best_paths(pool.paths[part.index].tolist())
        for index, ranked in zip(part.index.tolist(), found, strict=True):
            options = self._options(ranked, index, pool, batch.table)
            pool.found[index].options = Lazily(options)

    def _options(
        self, ranked: Iterable[Ranked], sentence: int, pool: "_Pool", table: TagTable
    ) -> Iterator[_Option]:
        """Sequences of one sentence by their names."""
        for path, log in ranked:
            spans = table.find_spans(path[:, None], np.array([len(path)], np.intp))
            columns = (spans.starts, spans.ends, spans.labels)
            entities = tuple(
                Named(table.labels[label], *pool.place(sentence, first, end))
                for first, end, label in zip(*(c.tolist() for c in columns), strict=True)
            )
            yield _Option(log, tuple(self._names[path].tolist()), entities)


class _Pool:
    """The sentences of all readings: whose they are, what is wanted of them, what was found."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.sentences = [sentence for it in readings for sentence in it.sentences]
        self.owners = [it for it in readings for _ in it.sentences]
        self.marginals = np.array([owner.marginals for owner in self.owners], np.bool_)
        self.paths = np.array([owner.paths for owner in self.owners], np.intp)
        self.found = [_Found() for _ in self.sentences]
        self.entities: dict[int, list[Entity]] = {}

    def place(self, sentence: int, first: int, end: int) -> tuple[int, int, str]:
        """See `naming.Place`."""
        return self.owners[sentence].place(self.sentences[sentence], first, end)

    def annotations(self, readings: Iterable[Reading]) -> list[Annotation]:
        """What was found in each item's sentences, put together."""
        result = []
        end = 0
        for reading in readings:
            first, end = end, end + len(reading.sentences)
            result.append(self._annotation(reading, range(first, end)))
        return result

    def _annotation(self, reading: Reading, own: range) -> Annotation:
        sentences = reading.sentences
        found = self.found[own.start : own.stop]
        return Annotation(
            tokens=_joined([sentence.words for sentence in sentences]),
            starts=_joined([sentence.starts for sentence in sentences]),
            tags=_joined([it.tags for it in found]),
            entities=_joined([self.entities.get(index, ()) for index in own]),
            marginals=_joined([it.marginals for it in found]) if reading.marginals else None,
            paths=_paths(found, reading.paths) if reading.paths else None,
        )


def _paths(found: Iterable[_Found], wanted: int) -> tuple[Path, ...]:
    """The best ways to tag an item, from those of its sentences, which are independent.

    No two have the same tags: what differs in a model's scheme differs in IOB2 (`tag_table` sees
    to it), and sentences do not share a tag.
    """
    options = [own.options for own in found if own.options is not None]  # not without tokens
    result = []
    for chosen, log in best_choices(options, wanted):
        tags = _joined([option.tags for option in chosen])
        entities = _joined([option.entities for option in chosen])
        result.append(Path(math.exp(log), tags, entities))
    return tuple(result)


def _joined(parts: Sequence[Sequence[T]]) -> tuple[T, ...]:
    return tuple(parts[0]) if len(parts) == 1 else tuple(chain.from_iterable(parts))

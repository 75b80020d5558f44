"""Annotations of many texts and token lists, tagged together: entities, tags, marginals, paths."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.types import Entity
from tagbelt.inference.annotation import Annotation, Marginals, Phases, TagPath, UnscoredEntity
from tagbelt.inference.crf.algorithms import find_spans
from tagbelt.inference.crf.parameters import FloatArray, TagTable
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.inference.decoding.nbest import LazyList, TagSequence, best_choices
from tagbelt.inference.inputs import TokenizedItem

T = TypeVar("T")
Names = NDArray[np.object_]

# Tags less probable than this are left out of an annotation's marginals.
_LEAST_MARGINAL = 0.001


def iob2_names(table: TagTable) -> Names:
    """Return what each tag [K] is called in IOB2."""
    return np.array(table.iob2_tags, dtype=object)[table.iob2]


def tag_names(batch: DecodedBatch, names: Names) -> Iterable[tuple[int, list[str]]]:
    """Return the tags of each sentence by their names [K], with its index in the pool."""
    rows = names[batch.paths.T].tolist()
    whole = int(np.count_nonzero(batch.lengths == len(batch.paths)))
    for row, length in zip(rows[whole:], batch.lengths[whole:].tolist(), strict=True):
        del row[length:]
    return zip(batch.index.tolist(), rows, strict=True)


@dataclass(frozen=True, slots=True)
class _SentencePath:
    """One way to tag a sentence, and the natural logarithm of its probability."""

    log: float
    tags: tuple[str, ...]
    entities: tuple[UnscoredEntity, ...]


@dataclass(slots=True)
class _SentenceResult:
    """Everything that was found in one sentence, but its entities."""

    tags: tuple[str, ...] = ()
    marginals: Marginals = ()
    paths: LazyList[_SentencePath] | None = None


class Annotator:
    """Makes annotations with one decoder. Keeps nothing between calls."""

    def __init__(self, decoder: Decoder, table: TagTable) -> None:
        self._decoder = decoder
        self._names = iob2_names(table)
        self._marginals = _MarginalNames(table)

    def entities(self, items: Sequence[TokenizedItem]) -> list[list[Entity]]:
        """Return the entities of each item, in order, and nothing else: faster than `annotate`."""
        pool = _Pool(items)
        deque(self._decoder.run(pool.words, pool.add_entities), maxlen=0)
        return pool.entities_of_items()

    def annotate(
        self,
        items: Sequence[TokenizedItem],
        phases: Phases | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> list[Annotation]:
        """Return one annotation an item, in order; see `Tagger.annotate_items`."""
        pool = _AnnotatedPool(items)

        def add(batch: DecodedBatch) -> None:
            pool.add_entities(batch)
            for index, tags in tag_names(batch, self._names):
                pool.results[index].tags = tuple(tags)
            self._add_marginals(batch, pool)
            self._add_paths(batch, pool, between)

        for _ in self._decoder.run(pool.words, add, phases, between):
            between()
        began = perf_counter()
        result = pool.annotations(between)
        if phases is not None:
            phases.add(decode=perf_counter() - began)
        return result

    def _add_marginals(self, batch: DecodedBatch, pool: "_AnnotatedPool") -> None:
        rows = pool.marginals[batch.index].nonzero()[0]
        if not len(rows):
            return
        part = batch.only(rows)
        chances = self._marginals.in_iob2(part.marginals())
        places = zip(part.index.tolist(), part.lengths.tolist(), strict=True)
        for row, (index, length) in enumerate(places):
            pool.results[index].marginals = self._marginals.named(chances[:length, row])

    def _add_paths(
        self, batch: DecodedBatch, pool: "_AnnotatedPool", between: Callable[[], None]
    ) -> None:
        rows = pool.paths[batch.index].nonzero()[0]
        if not len(rows):
            return
        part = batch.only(rows)
        found = part.best_paths(pool.paths[part.index].tolist(), between)
        for index, sequences in zip(part.index.tolist(), found, strict=True):
            paths = self._sentence_paths(sequences, index, pool, batch.table)
            pool.results[index].paths = LazyList(paths)

    def _sentence_paths(
        self, sequences: Iterable[TagSequence], sentence: int, pool: "_Pool", table: TagTable
    ) -> Iterator[_SentencePath]:
        """Yield the sequences of one sentence by their names."""
        for path, log in sequences:
            spans = find_spans(path[:, None], np.array([len(path)], np.intp), table)
            columns = (spans.starts, spans.ends, spans.labels)
            entities = tuple(
                UnscoredEntity(table.labels[label], *pool.place(sentence, first, end))
                for first, end, label in zip(*(c.tolist() for c in columns), strict=True)
            )
            yield _SentencePath(log, tuple(self._names[path].tolist()), entities)


class _Pool:
    """The sentences of all items, and the entities found in them."""

    def __init__(self, items: Sequence[TokenizedItem]) -> None:
        self.items = items
        self.sentences = [sentence for item in items for sentence in item.sentences]
        self.owners = [item for item in items for _ in item.sentences]
        self.words = [sentence.words for sentence in self.sentences]
        self.entities: dict[int, list[Entity]] = {}  # by sentence; batches come in no stated order

    def place(self, sentence: int, first: int, end: int) -> tuple[int, int, str]:
        """See `TokenizedItem.place`."""
        return self.owners[sentence].place(self.sentences[sentence], first, end)

    def add_entities(self, batch: DecodedBatch) -> None:
        """Add the entities of a batch by their sentence; those of a sentence stand in order."""
        owners, sentences, labels = self.owners, self.sentences, batch.table.labels
        spans, scores = batch.entities()
        columns = (batch.index[spans.rows], spans.starts, spans.ends, spans.labels, scores)
        for index, first, end, label, score in zip(*(c.tolist() for c in columns), strict=True):
            start, stop, text = owners[index].place(sentences[index], first, end)
            entity = Entity(labels[label], start, stop, text, score)
            self.entities.setdefault(index, []).append(entity)

    def entities_of_items(self) -> list[list[Entity]]:
        """Return the entities of each item, in order."""
        found, result, end = self.entities, [], 0
        for item in self.items:
            first, end = end, end + len(item.sentences)
            result.append([entity for i in range(first, end) for entity in found.get(i, ())])
        return result


class _AnnotatedPool(_Pool):
    """A pool with what is wanted of each sentence, and what was found."""

    def __init__(self, items: Sequence[TokenizedItem]) -> None:
        super().__init__(items)
        self.marginals = np.array([owner.marginals for owner in self.owners], np.bool_)
        self.paths = np.array([owner.paths for owner in self.owners], np.intp)
        self.results = [_SentenceResult() for _ in self.sentences]

    def annotations(self, between: Callable[[], None]) -> list[Annotation]:
        """Put together what was found in each item's sentences; paths are searched for here."""
        result, end = [], 0
        for item, entities in zip(self.items, self.entities_of_items(), strict=True):
            first, end = end, end + len(item.sentences)
            result.append(_annotation(item, entities, self.results[first:end], between))
        return result


def _annotation(
    item: TokenizedItem,
    entities: Sequence[Entity],
    results: Sequence[_SentenceResult],
    between: Callable[[], None],
) -> Annotation:
    sentences = item.sentences
    return Annotation(
        tokens=_joined([sentence.words for sentence in sentences]),
        starts=_joined([sentence.starts for sentence in sentences]),
        tags=_joined([result.tags for result in results]),
        entities=tuple(entities),
        marginals=_joined([result.marginals for result in results]) if item.marginals else None,
        paths=_best_paths(results, item.paths, between) if item.paths else None,
    )


def _best_paths(
    results: Iterable[_SentenceResult], wanted: int, between: Callable[[], None]
) -> tuple[TagPath, ...]:
    """Return the best ways to tag an item, from those of its sentences, which are independent.

    No two have the same tags: what differs in a model's scheme differs in IOB2 (`tag_table` sees
    to it), and sentences do not share a tag.
    """
    lists = [result.paths for result in results if result.paths is not None]  # not without tokens
    paths = []
    for chosen, log in best_choices(lists, wanted):
        tags = _joined([path.tags for path in chosen])
        entities = _joined([path.entities for path in chosen])
        paths.append(TagPath(math.exp(log), tags, entities))
        between()
    return tuple(paths)


def _joined(parts: Sequence[Sequence[T]]) -> tuple[T, ...]:
    return tuple(parts[0]) if len(parts) == 1 else tuple(chain.from_iterable(parts))


class _MarginalNames:
    """From probabilities of a model's tags to those of IOB2 tags, by their names."""

    def __init__(self, table: TagTable) -> None:
        self._names = table.iob2_tags
        # The model's tags, sorted by their IOB2 tags, and where those of each begin.
        self._order = np.argsort(table.iob2, kind="stable")
        self._firsts = np.searchsorted(table.iob2[self._order], np.arange(len(self._names)))

    def in_iob2(self, chances: FloatArray) -> FloatArray:
        """Add up the tags [..., K] that are one IOB2 tag; each token by itself, to the bit."""
        result: FloatArray = np.add.reduceat(chances[..., self._order], self._firsts, axis=-1)
        return result

    def named(self, chances: FloatArray) -> Marginals:
        """Return `chances` [tokens, IOB2 tags] as one dict a token, highest first."""
        result = []
        for row in chances:
            best = [i for i in np.argsort(-row, kind="stable") if row[i] >= _LEAST_MARGINAL]
            result.append({self._names[i]: float(row[i]) for i in best})
        return tuple(result)

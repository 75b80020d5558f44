"""The tagger: texts or tokens in, entities and tags out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.schemes import Scheme, spans_to_tags, tags_to_spans
from data.tokenize import tokenize
from data.types import Entity, Tokens
from inference.checks import check_sentences, checked_texts
from inference.crf import CrfParameters, FloatArray
from inference.decoder import DecodedBatch, Decoder
from inference.info import ModelInfo
from inference.scorer import Scorer
from inference.tags import tag_table
from inference.threads import available_threads

# Texts are worked on in blocks, so that memory stays bounded however many there are. A block is
# large enough for its sentences to sort into full batches of close lengths.
_BLOCK_TEXTS = 2048
_BLOCK_CHARACTERS = 1_000_000

# Tags less probable than this are left out of an annotation's marginals.
_LEAST_MARGINAL = 0.001

Marginals = tuple[dict[str, float], ...]
# Makes the entity of a sentence (its index in the pool), first and end token, label and score.
_MakeEntity = Callable[[int, int, int, str, float], Entity]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One text or token list with everything that was found in it.

    `tags` are IOB2, one a token. For a text, `starts` are the tokens' code-point offsets and
    entities are as `Tagger.tag` returns them; for a token list, `starts` is empty and an entity's
    `start` and `end` are token indices, its `text` the tokens joined by spaces. `marginals` holds
    a dict a token, IOB2 tag -> probability, highest first, those of 0.001 or more; None unless
    asked for.
    """

    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]
    marginals: Marginals | None = None


@dataclass(slots=True)
class _Found:
    """What was found in one sentence."""

    tags: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    marginals: Marginals = ()


class Tagger:
    """Finds entities with a trained model. Read-only, so several threads may share one.

    `scorer` is the network, `crf` its transitions, `info` says what the tags mean. A sentence of
    more than `limit` tokens is scored in windows that share `overlap` tokens (a 32nd of
    `limit` unless given) and decoded whole; `budget` bounds the padded tokens of a batch. Results
    do not depend on which texts are tagged together. `workers` threads share the batches of a call.
    Raises ValueError when these do not fit together.
    """

    info: ModelInfo

    def __init__(
        self,
        scorer: Scorer,
        crf: CrfParameters,
        info: ModelInfo,
        *,
        limit: int = 256,
        overlap: int | None = None,
        budget: int = 4096,
        workers: int = 1,
    ):
        self.info = info
        self._table = tag_table(info.tags, info.scheme)
        if set(info.labels) != set(self._table.labels):
            raise ValueError(f"labels {info.labels} are not those of the tags {info.tags}")
        shared = limit // 32 if overlap is None else overlap
        self._decoder = Decoder(
            scorer,
            crf,
            self._table,
            limit=limit,
            overlap=shared,
            budget=budget,
            workers=workers,
        )
        # What each tag [K] is called in IOB2, and in the model's own scheme.
        self._iob2 = np.array(self._table.iob2_tags, dtype=object)[self._table.iob2]
        self._own = np.array(info.tags, dtype=object)
        # Adds up the tags [K] that are one IOB2 tag.
        self._to_iob2 = np.eye(len(self._table.iob2_tags))[self._table.iob2]

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        threads: int | None = None,
        precision: Literal["auto", "float32", "int8"] = "auto",
    ) -> "Tagger":
        """The tagger of a checkpoint directory, which is verified first.

        `threads` None takes as many as the CPU quota gives; `precision` "auto" takes int8 where
        the export found it as accurate. Errors: see `inference.checkpoint.load_checkpoint`, and
        ValueError for fewer than one thread.
        """
        from inference.checkpoint import load_checkpoint  # ONNX Runtime is slow to import

        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        # Each thread works on batches of its own: two that share the products of one batch spend
        # much of their time waiting for each other.
        loaded = load_checkpoint(path, precision=precision)
        return cls(
            loaded.scorer,
            loaded.crf,
            loaded.info,
            limit=loaded.window,
            workers=available_threads() if threads is None else threads,
        )

    def tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        """The entities of each text, in order; a blank text has none.

        `text[e.start:e.end] == e.text` for every entity `e`. Raises TypeError for a bare str and
        for a text that is not a str, ValueError for a lone surrogate, before any work is done.
        """
        checked = list(checked_texts(texts))
        return [found for part in _blocks(checked, _BLOCK_TEXTS) for found in self._tag(part)]

    def stream(self, texts: Iterable[str], *, block: int = _BLOCK_TEXTS) -> Iterator[list[Entity]]:
        """As `tag`, for any number of texts in bounded memory: `block` texts are read at a time.

        Errors come when the text in question is read.
        """
        checked = checked_texts(texts)
        return (found for part in _blocks(checked, block) for found in self._tag(part))

    def tag_tokens(
        self, sentences: Sequence[Sequence[str]], *, scheme: Scheme = Scheme.IOB2
    ) -> list[list[str]]:
        """One tag a token for each sentence; a sentence without tokens has none.

        Any string is a token, "" included. Raises TypeError for a bare str in place of a list
        and for a token that is not a str, ValueError for a lone surrogate.
        """
        check_sentences(sentences)
        as_is = scheme == self.info.scheme
        names = self._own if as_is else self._iob2
        result: list[list[str]] = [[] for _ in sentences]

        def fill(batch: DecodedBatch) -> None:
            for index, tags in _named(batch, names):
                result[index] = tags

        deque(self._decoder.run(sentences, fill), maxlen=0)
        if as_is or scheme == Scheme.IOB2:
            return result
        return [_rewritten(tags, scheme) for tags in result]

    def annotate(self, texts: Sequence[str], *, marginals: bool = False) -> list[Annotation]:
        """Tokens, tags, entities and, if asked for, token marginals of each text.

        Raises as `tag` does.
        """
        checked = list(checked_texts(texts))
        return [
            annotation
            for part in _blocks(checked, _BLOCK_TEXTS)
            for annotation in self._annotate(part, marginals)
        ]

    def annotate_tokens(
        self, sentences: Sequence[Sequence[str]], *, marginals: bool = False
    ) -> list[Annotation]:
        """As `annotate`, for sentences that are tokens already. Raises as `tag_tokens` does."""
        check_sentences(sentences)

        def entity(sentence: int, first: int, end: int, label: str, score: float) -> Entity:
            return Entity(label, first, end, " ".join(sentences[sentence][first:end]), score)

        found = self._everything(sentences, entity, marginals)
        return [
            Annotation(tuple(words), (), at.tags, at.entities, at.marginals if marginals else None)
            for words, at in zip(sentences, found, strict=True)
        ]

    def _tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        pool, owners = self._tokenized(texts)
        entity = _entity_maker(texts, pool, owners)
        found: dict[int, list[Entity]] = {}  # by sentence; batches come in no stated order

        def add(batch: DecodedBatch) -> None:
            self._add_entities(batch, entity, found)

        deque(self._decoder.run([tokens.words for tokens in pool], add), maxlen=0)
        result: list[list[Entity]] = [[] for _ in texts]
        for sentence in sorted(found):
            result[owners[sentence]] += found[sentence]
        return result

    def _annotate(self, texts: Sequence[str], marginals: bool) -> list[Annotation]:
        pool, owners = self._tokenized(texts)
        entity = _entity_maker(texts, pool, owners)
        found = self._everything([tokens.words for tokens in pool], entity, marginals)
        sentences: list[list[int]] = [[] for _ in texts]
        for sentence, owner in enumerate(owners):
            sentences[owner].append(sentence)
        return [
            Annotation(
                tokens=tuple(word for s in mine for word in pool[s].words),
                starts=tuple(start for s in mine for start in pool[s].starts),
                tags=tuple(tag for s in mine for tag in found[s].tags),
                entities=tuple(entity for s in mine for entity in found[s].entities),
                marginals=tuple(m for s in mine for m in found[s].marginals) if marginals else None,
            )
            for mine in sentences
        ]

    def _tokenized(self, texts: Sequence[str]) -> tuple[list[Tokens], list[int]]:
        """All sentences of the texts, and for each the index of its text."""
        pool: list[Tokens] = []
        owners: list[int] = []
        for index, text in enumerate(texts):
            sentences = tokenize(text, self.info.unit)
            pool += sentences
            owners += [index] * len(sentences)
        return pool, owners

    def _everything(
        self, sentences: Sequence[Sequence[str]], entity: _MakeEntity, marginals: bool
    ) -> list[_Found]:
        result = [_Found() for _ in sentences]
        entities: dict[int, list[Entity]] = {}

        def add(batch: DecodedBatch) -> None:
            self._add_entities(batch, entity, entities)
            chances = batch.marginals() @ self._to_iob2 if marginals else None  # [T, B, IOB2 tags]
            for row, (index, tags) in enumerate(_named(batch, self._iob2)):
                result[index].tags = tuple(tags)
                if chances is not None:
                    result[index].marginals = self._marginals(chances[: len(tags), row])

        deque(self._decoder.run(sentences, add), maxlen=0)
        for index, found in entities.items():
            result[index].entities = tuple(found)
        return result

    def _add_entities(
        self, batch: DecodedBatch, entity: _MakeEntity, found: dict[int, list[Entity]]
    ) -> None:
        """Make the entities of a batch; those of a sentence stand in order."""
        spans, scores = batch.entities()
        labels = self._table.labels
        columns = (batch.index[spans.rows], spans.starts, spans.ends, spans.labels, scores)
        for sentence, first, end, label, score in zip(*(c.tolist() for c in columns), strict=True):
            made = entity(sentence, first, end, labels[label], score)
            found.setdefault(sentence, []).append(made)

    def _marginals(self, chances: FloatArray) -> Marginals:
        """`chances` [tokens, IOB2 tags] as one dict a token."""
        names = self._table.iob2_tags
        result = []
        for row in chances:
            best = [i for i in np.argsort(-row, kind="stable") if row[i] >= _LEAST_MARGINAL]
            result.append({names[i]: float(row[i]) for i in best})
        return tuple(result)


def _blocks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """The texts in lists of `size`, or fewer when they are long."""
    block: list[str] = []
    characters = 0
    for text in texts:
        block.append(text)
        characters += len(text)
        if len(block) >= size or characters >= _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _named(batch: DecodedBatch, names: NDArray[np.object_]) -> Iterable[tuple[int, list[str]]]:
    """The tags of each sentence by their names [K], with its index in the pool."""
    rows = names[batch.paths.T].tolist()
    whole = int(np.count_nonzero(batch.lengths == len(batch.paths)))
    for row, length in zip(rows[whole:], batch.lengths[whole:].tolist(), strict=True):
        del row[length:]
    return zip(batch.index.tolist(), rows, strict=True)


def _entity_maker(
    texts: Sequence[str], pool: Sequence[Tokens], owners: Sequence[int]
) -> _MakeEntity:
    """Makes entities that carry offsets into the untouched text."""

    def entity(sentence: int, first: int, end: int, label: str, score: float) -> Entity:
        tokens = pool[sentence]
        start = tokens.starts[first]
        stop = tokens.starts[end - 1] + len(tokens.words[end - 1])
        return Entity(label, start, stop, texts[owners[sentence]][start:stop], score)

    return entity


def _rewritten(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """IOB2 tags in another scheme."""
    return list(spans_to_tags(tags_to_spans(tags, Scheme.IOB2), len(tags), scheme))

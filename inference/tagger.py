"""The tagger: texts or tokens in, entities and tags out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from tagbelt.data.checkpoint.finding import find_checkpoint
from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.types import Entity
from tagbelt.errors import CheckpointError
from tagbelt.inference.annotation import Annotation, ModelInfo, Phases
from tagbelt.inference.annotator import Annotator, iob2_names, tag_names
from tagbelt.inference.crf.parameters import CrfParameters, tag_table
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.inference.inputs import (
    Occlude,
    TokenizedItem,
    check_item,
    check_sentences,
    checked_texts,
)
from tagbelt.inference.inspection import Inspection
from tagbelt.inference.inspector import Inspector
from tagbelt.inference.scoring.scorer import Scorer
from tagbelt.inference.scoring.vector_cache import VectorCacheUse
from tagbelt.inference.threads import available_threads

# Texts are worked on in blocks, so that memory stays bounded however many there are. A block is
# large enough for its sentences to sort into full batches of close lengths.
_BLOCK_TEXTS = 2048
_BLOCK_CHARACTERS = 1_000_000


class Tagger:
    """Finds entities with a trained model. Read-only, so several threads may share one.

    `scorer` is the network, `crf` its transitions, `info` says what the tags mean. A sentence of
    more than `limit` tokens is scored in windows that share `overlap` tokens (a 32nd of
    `limit` unless given) and decoded whole; `budget` bounds the padded tokens of a batch. Results
    do not depend on which texts are tagged together. `workers` threads share the batches of a call.
    `inspector` is what `inspect` looks with.
    Raises ValueError when these do not fit together.
    """

    info: ModelInfo
    _origin: tuple[Path, dict[str, Any]] | None = None

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
        inspector: Inspector | None = None,
    ):
        self.info = info
        self._inspector = inspector
        table = tag_table(info.tags, info.scheme)
        if set(info.labels) != set(table.labels):
            raise ValueError(f"labels {info.labels} are not those of the tags {info.tags}")
        shared = limit // 32 if overlap is None else overlap
        self._decoder = Decoder(
            scorer,
            crf,
            table,
            limit=limit,
            overlap=shared,
            budget=budget,
            workers=workers,
        )
        self._scorer = scorer
        self._annotator = Annotator(self._decoder, table)
        # The name of each tag [K] in IOB2, and in the model's own scheme.
        self._iob2 = iob2_names(table)
        self._own = np.array(info.tags, dtype=object)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        threads: int | None = None,
        precision: Literal["auto", "float32", "int8"] = "auto",
        encode_forms: bool = False,
    ) -> "Tagger":
        """Load the tagger of a checkpoint, which is verified first.

        `path` is its directory or its name, such as "en"; see `find_checkpoint`.

        `threads` None takes as many as the CPU quota gives; `precision` "auto" takes int8 where
        the export found it as accurate. With `encode_forms`, word forms that the checkpoint's
        tables lack are read by its transformer, where it has one: slower for new words, and its
        package must be installed. Errors: see `inference.checkpoint.load_checkpoint`, and
        ValueError for fewer than one thread.
        """
        from tagbelt.inference.checkpoint import load_checkpoint  # ONNX Runtime is slow to import

        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        # Each thread works on batches of its own: two that share the products of one batch spend
        # much of their time waiting for each other.
        loaded = load_checkpoint(path, precision=precision, encode_forms=encode_forms)
        tagger = cls(
            loaded.scorer,
            loaded.crf,
            loaded.info,
            limit=loaded.window,
            workers=available_threads() if threads is None else threads,
            inspector=loaded.inspector,
        )
        options = {"threads": threads, "precision": precision, "encode_forms": encode_forms}
        tagger._origin = find_checkpoint(path).resolve(), options
        return tagger

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as the checkpoint's path, from which it is loaded again.

        Raises TypeError for a tagger that was not loaded. Loading raises as `load` does, and
        CheckpointError for another checkpoint at that path.
        """
        if self._origin is None:
            raise TypeError("only a Tagger that was loaded from a checkpoint can be pickled")
        return _reloaded, (type(self), *self._origin, replace(self.info, metrics={}))

    def tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Return the entities of each text, in order; a blank text has none.

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
        """Return one tag a token for each sentence; a sentence without tokens has none.

        Any string is a token, "" included. Raises TypeError for a bare str in place of a list
        and for a token that is not a str, ValueError for a lone surrogate.
        """
        check_sentences(sentences)
        as_is = scheme == self.info.scheme
        names = self._own if as_is else self._iob2
        result: list[list[str]] = [[] for _ in sentences]

        def fill(batch: DecodedBatch) -> None:
            for index, tags in tag_names(batch, names):
                result[index] = tags

        deque(self._decoder.run(sentences, fill), maxlen=0)
        if as_is or scheme == Scheme.IOB2:
            return result
        return [_rewritten(tags, scheme) for tags in result]

    def annotate(self, texts: Sequence[str], *, marginals: bool = False) -> list[Annotation]:
        """Return tokens, tags, entities and, if asked for, token marginals of each text.

        Raises as `tag` does.
        """
        checked = list(checked_texts(texts))
        return [
            annotation
            for part in _blocks(checked, _BLOCK_TEXTS)
            for annotation in self._annotator.annotate(self._tokenized(part, marginals))
        ]

    def annotate_tokens(
        self, sentences: Sequence[Sequence[str]], *, marginals: bool = False
    ) -> list[Annotation]:
        """As `annotate`, for sentences that are tokens already. Raises as `tag_tokens` does."""
        check_sentences(sentences)
        return self._annotator.annotate(self._tokenized(sentences, marginals))

    def tokenize(
        self, item: str | Sequence[str], *, marginals: bool = False, paths: int = 0
    ) -> TokenizedItem:
        """Tokenize one text, or take one list of tokens, for `annotate_items`.

        `marginals` asks for the probabilities of each token's tags, `paths` for so many of the
        most probable taggings of the whole item; see `Annotation`. Raises TypeError for what is
        neither a text nor a list of tokens, ValueError for a lone surrogate and for fewer than 0
        paths.
        """
        check_item(item)
        if paths < 0:
            raise ValueError(f"there cannot be {paths} paths")
        return TokenizedItem.of(item, self.info.unit, marginals=marginals, paths=paths)

    def annotate_items(
        self,
        items: Sequence[TokenizedItem],
        phases: Phases | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> list[Annotation]:
        """Return one annotation an item, in order; they are worked on together.

        Texts, token lists and what is wanted of them may be mixed in any way: an item's annotation
        does not depend on the others. The seconds that it took are added to `phases`. `between` is
        called between the steps of the work; what it raises ends the work. Raises as `inspect` does
        for items that ask for an inspection.
        """
        found = self._annotator.annotate(items, phases, between)
        for place, item in enumerate(items):
            if item.inspect is not None:
                began = perf_counter()
                seen = self._looking().inspect(item, item.inspect)
                found[place] = replace(found[place], inspection=seen)
                if phases is not None:
                    phases.add(infer=perf_counter() - began)
        return found

    def inspect(self, item: str | Sequence[str], *, occlude: Occlude = ()) -> Inspection:
        """Return what happens inside the network while it reads one text, or one list of tokens.

        It is the network in float32 that is run, whatever precision tags. `occlude` names entities
        by their number in the text, from 0, or is "all": for each, every token of its sentence is
        hidden in turn, which tells what the entity rests on.

        Raises:
            InputError: more than 128 tokens, a sentence longer than the model's window, or an
                entity that is not there.
            CheckpointError: the checkpoint has no weights beside its graphs, or was replaced.
            TypeError, ValueError: see `tokenize`.
        """
        read = self.tokenize(item)
        return self._looking().inspect(read, occlude)

    def check_inspect(self, item: TokenizedItem) -> None:
        """Raise InputError or CheckpointError where `inspect` would, but for missing entities."""
        self._looking().check(item)

    def _looking(self) -> Inspector:
        if self._inspector is None:
            raise CheckpointError(
                "this tagger was not loaded from a checkpoint: nothing to look into"
            )
        return self._inspector

    def count_unknown(self, forms: Sequence[str]) -> int:
        """Return how many of the tokens are not in the model's vocabulary."""
        return self._scorer.count_unknown(forms)

    def vector_cache_use(self) -> VectorCacheUse:
        """Count the tokens looked up since this was made, and those of them that were computed."""
        return self._scorer.vector_cache_use()

    def _tokenized(
        self, items: Iterable[str | Sequence[str]], marginals: bool = False
    ) -> list[TokenizedItem]:
        unit = self.info.unit
        return [TokenizedItem.of(item, unit, marginals=marginals) for item in items]

    def _tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        return self._annotator.entities(self._tokenized(texts))


def _reloaded(
    cls: type[Tagger],
    path: Path,
    options: dict[str, Any],
    info: ModelInfo,
) -> Tagger:
    tagger = cls.load(path, **options)
    if tagger.info.digest != info.digest:
        raise CheckpointError(f"{path}: is another checkpoint than the pickled tagger was made of")
    tagger.info = replace(info, metrics=tagger.info.metrics)
    return tagger


def _blocks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the texts in lists of `size`, or fewer when they are long."""
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


def _rewritten(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Write IOB2 tags in another scheme."""
    return list(spans_to_tags(tags_to_spans(tags, Scheme.IOB2), len(tags), scheme))

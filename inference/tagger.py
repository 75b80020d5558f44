"""The tagger: texts or tokens in, entities and tags out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Entity, Tokens
from tagbelt.inference.annotation import Annotation
from tagbelt.inference.annotator import Annotator
from tagbelt.inference.checks import check_item, check_sentences, checked_texts
from tagbelt.inference.crf.parameters import CrfParameters
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.inference.decoding.naming import Place, add_entities, iob2_names, named
from tagbelt.inference.decoding.tags import tag_table
from tagbelt.inference.info import ModelInfo
from tagbelt.inference.phases import Phases
from tagbelt.inference.reading import Reading, read
from tagbelt.inference.scoring.scorer import Scorer
from tagbelt.inference.scoring.vector_cache import LexiconUse
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
        # What each tag [K] is called in IOB2, and in the model's own scheme.
        self._iob2 = iob2_names(table)
        self._own = np.array(info.tags, dtype=object)

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
        from tagbelt.inference.checkpoint import load_checkpoint  # ONNX Runtime is slow to import

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
            for index, tags in named(batch, names):
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
            for annotation in self._annotator.annotate(self._read(part, marginals))
        ]

    def annotate_tokens(
        self, sentences: Sequence[Sequence[str]], *, marginals: bool = False
    ) -> list[Annotation]:
        """As `annotate`, for sentences that are tokens already. Raises as `tag_tokens` does."""
        check_sentences(sentences)
        return self._annotator.annotate(self._read(sentences, marginals))

    def read(
        self, item: str | Sequence[str], *, marginals: bool = False, paths: int = 0
    ) -> Reading:
        """Tokenize one text, or take one list of tokens, for `annotate_readings`.

        `marginals` asks for the probabilities of each token's tags, `paths` for so many of the
        most probable taggings of the whole item; see `Annotation`. Raises TypeError for what is
        neither a text nor a list of tokens, ValueError for a lone surrogate and for fewer than 0
        paths.
        """
        check_item(item)
        if paths < 0:
            raise ValueError(f"there cannot be {paths} paths")
        return read(item, self.info.unit, marginals=marginals, paths=paths)

    def annotate_readings(
        self, readings: Sequence[Reading], phases: Phases | None = None
    ) -> list[Annotation]:
        """One annotation a reading, in order; they are worked on together.

        Texts, token lists and what is wanted of them may be mixed in any way: an item's annotation
        does not depend on the others. The seconds that it took are added to `phases`.
        """
        return self._annotator.annotate(readings, phases)

    def lexicon_use(self) -> LexiconUse:
        """How many tokens were looked up since this was made, and how many of them computed."""
        return self._scorer.lexicon_use()

    def _read(self, items: Iterable[str | Sequence[str]], marginals: bool) -> list[Reading]:
        unit = self.info.unit
        return [read(item, unit, marginals=marginals, paths=0) for item in items]

    def _tag(self, texts: Sequence[str]) -> list[list[Entity]]:
        pool, owners = self._tokenized(texts)
        place = _places(texts, pool, owners)
        found: dict[int, list[Entity]] = {}  # by sentence; batches come in no stated order

        def add(batch: DecodedBatch) -> None:
            add_entities(batch, place, found)

        deque(self._decoder.run([tokens.words for tokens in pool], add), maxlen=0)
        result: list[list[Entity]] = [[] for _ in texts]
        for sentence in sorted(found):
            result[owners[sentence]] += found[sentence]
        return result

    def _tokenized(self, texts: Sequence[str]) -> tuple[list[Tokens], list[int]]:
        """All sentences of the texts, and for each the index of its text."""
        pool: list[Tokens] = []
        owners: list[int] = []
        for index, text in enumerate(texts):
            sentences = tokenize(text, self.info.unit)
            pool += sentences
            owners += [index] * len(sentences)
        return pool, owners


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


def _places(texts: Sequence[str], pool: Sequence[Tokens], owners: Sequence[int]) -> Place:
    """Tells offsets into the untouched texts."""

    def place(sentence: int, first: int, end: int) -> tuple[int, int, str]:
        tokens = pool[sentence]
        start = tokens.starts[first]
        stop = tokens.starts[end - 1] + len(tokens.words[end - 1])
        return start, stop, texts[owners[sentence]][start:stop]

    return place


def _rewritten(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """IOB2 tags in another scheme."""
    return list(spans_to_tags(tags_to_spans(tags, Scheme.IOB2), len(tags), scheme))

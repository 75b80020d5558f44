"""Looking inside a network while it reads a text: see `inspection` for what is shown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from tagbelt.data.types import Entity, Tokens
from tagbelt.errors import InputError
from tagbelt.inference.annotation import ModelInfo
from tagbelt.inference.crf.algorithms import find_spans, span_posteriors, token_marginals, viterbi
from tagbelt.inference.crf.parameters import CrfParameters, Spans, tag_table
from tagbelt.inference.equations import Floats
from tagbelt.inference.float_network import FloatNetwork
from tagbelt.inference.inputs import Occlude, TokenizedItem
from tagbelt.inference.inspection import (
    DirectionTrace,
    Inspection,
    SentenceTrace,
)
from tagbelt.inference.scoring.context import ContextLookup
from tagbelt.inference.scoring.scorer import WordVectors
from tagbelt.inference.scoring.vector_cache import VectorCache

MOST_TOKENS = 128
"""Tokens of a text that is inspected: what there is to show, and the work of hiding each token in
turn, grow with their square."""
HIDDEN_TOGETHER = 6
"""Copies of a sentence, each with a token hidden, that run together: bounds the memory."""


class Inspector:
    """Looks inside one network, which `read` gives when first asked for it. Safe to share.

    `vectors` and `context` make what the network reads of a token, `window` is how many tokens of
    a sentence it reads at once.
    """

    def __init__(
        self,
        read: Callable[[], FloatNetwork],
        info: ModelInfo,
        crf: CrfParameters,
        vectors: WordVectors,
        context: ContextLookup | None,
        window: int,
    ) -> None:
        self._read, self._info, self._crf = read, info, crf
        self._vectors, self._context = vectors, context
        self._window = window
        self._table = tag_table(info.tags, info.scheme)

    @cached_property
    def network(self) -> FloatNetwork:
        """The weights. Raises CheckpointError where they cannot be read."""
        return self._read()

    def check(self, item: TokenizedItem) -> None:
        """Raise InputError for a text that is too long, CheckpointError for no weights."""
        if item.tokens > MOST_TOKENS:
            raise InputError(
                f"the text has {item.tokens} tokens, at most {MOST_TOKENS} can be inspected; "
                "take its sentences one by one"
            )
        longest = max((len(sentence.words) for sentence in item.sentences), default=0)
        if longest > self._window:
            raise InputError(
                f"a sentence has {longest} tokens, and this model reads windows of {self._window}: "
                "inspect no more than a window at a time"
            )
        _ = self.network

    def inspect(self, item: TokenizedItem, occlude: Occlude = ()) -> Inspection:
        """See `Tagger.inspect`."""
        self.check(item)
        found, first = [], 0
        for sentence in item.sentences:
            if sentence.words:
                found.append(self._sentence(item, sentence, occlude, first))
                first += len(found[-1].entities)
        if occlude != "all":
            for number in occlude:
                if not 0 <= number < first:
                    has = f"its {first} are counted from 0" if first else "it has none"
                    raise InputError(f"there is no entity {number} in the text: {has}")
        info = self._info
        name = f"{info.name}@{info.version}"
        return Inspection(item.text, name, self.network.cell_name, info.tags, tuple(found))

    def rows(self, words: Sequence[str]) -> Floats:
        """Return what the encoder reads of a sentence's tokens, [T, I]."""
        lengths = np.array([len(words)], np.intp)
        words = self._vectors.fold(words)
        found = VectorCache(self._vectors, self._vectors.size).find(words)
        index = np.arange(len(words))
        if self._context is None:
            return found.gather(index)
        return self._context.of(found, words, lengths).gather(index)

    def _sentence(
        self, item: TokenizedItem, sentence: Tokens, occlude: Occlude, first: int
    ) -> SentenceTrace:
        rows = self.rows(sentence.words)
        layers, attention, emissions = self.network.run(rows[:, None])
        lengths = np.array([len(rows)], np.intp)
        paths, _ = viterbi(emissions, lengths, self._crf)
        spans = find_spans(paths, lengths, self._table)
        scores = span_posteriors(emissions, lengths, self._crf, spans, self._table)
        path = paths[:, 0]
        places = [item.place(sentence, i, i + 1)[:2] for i in range(len(rows))]
        last = self._crf.transitions[path[:-1], path[1:]]
        trace = SentenceTrace(
            sentence.words,
            tuple(places),
            tuple(tuple(_only(direction) for direction in layer) for layer in layers),
            None if attention is None else attention[0],
            emissions[:, 0],
            tuple(path.tolist()),
            np.concatenate(([self._crf.start[path[0]]], last, [self._crf.end[path[-1]]])),
            token_marginals(emissions, lengths, self._crf)[:, 0],
            tuple(self._entities(item, sentence, spans, scores)),
        )
        asked = range(len(scores)) if occlude == "all" else [i - first for i in occlude]
        chosen = [i for i in asked if 0 <= i < len(scores)]
        if not chosen:
            return trace
        losses = scores[chosen] - self._hidden(rows, spans, chosen)  # [T, chosen]
        return replace(trace, rests_on={first + i: losses[:, n] for n, i in enumerate(chosen)})

    def _entities(
        self, item: TokenizedItem, sentence: Tokens, spans: Spans, scores: Floats
    ) -> Iterable[Entity]:
        columns = (spans.starts, spans.ends, spans.labels, scores)
        for start, end, label, score in zip(*(c.tolist() for c in columns), strict=True):
            yield Entity(self._table.labels[label], *item.place(sentence, start, end), score)

    def _hidden(self, rows: Floats, spans: Spans, chosen: Sequence[int]) -> Floats:
        """Return posteriors [T, chosen] of the spans with each token's row set to zero in turn."""
        result = np.empty((len(rows), len(chosen)))
        for begin in range(0, len(rows), HIDDEN_TOGETHER):
            hidden = range(begin, min(begin + HIDDEN_TOGETHER, len(rows)))
            copies = np.repeat(rows[:, None], len(hidden), axis=1)
            copies[hidden, range(len(hidden))] = 0.0
            emissions = self.network.run(copies)[2]
            lengths = np.full(len(hidden), len(rows), np.intp)
            each = np.repeat(np.arange(len(hidden)), len(chosen))
            parts = (
                np.tile(a[chosen], len(hidden)) for a in (spans.starts, spans.ends, spans.labels)
            )
            asked = Spans(each, *parts)
            found = span_posteriors(emissions, lengths, self._crf, asked, self._table)
            result[begin : begin + len(hidden)] = found.reshape(len(hidden), -1)
        return result


def _only(trace: DirectionTrace) -> DirectionTrace:
    """Take the only sentence of a batch, [T, 1, H] -> [T, H]."""
    return replace(
        trace,
        state=trace.state[:, 0],
        cell=trace.cell[:, 0],
        candidate=trace.candidate[:, 0],
        gates={name: gate[:, 0] for name, gate in trace.gates.items()},
        kept=None if trace.kept is None else trace.kept[:, 0],
    )

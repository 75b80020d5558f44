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
from tagbelt.inference.crf.reference import LogChart
from tagbelt.inference.equations import Floats
from tagbelt.inference.float_network import FloatNetwork
from tagbelt.inference.inputs import Occlude, TokenizedItem
from tagbelt.inference.inspection import (
    DirectionTrace,
    Inspection,
    SentenceTrace,
)
from tagbelt.inference.scoring.context import ContextLookup
from tagbelt.inference.scoring.scorer import WordVectors, vector_cache

MOST_TOKENS = 128
"""Tokens of a text that is inspected: what there is to show, and the work of hiding each token in
turn, grow with their square."""
HIDDEN_TOGETHER = 6
"""Copies of a sentence, each with a token hidden, that run together: bounds the memory."""
STEP = 1e-6
"""The share by which a token's row is lengthened to find a derivative, in float64."""


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
        found = vector_cache(self._vectors, self._context).find(words)
        index = np.arange(len(words))
        if self._context is None:
            return found.gather(index)
        return self._context.of(found, lengths).gather(index)

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
        if not chosen and occlude != "all":
            return trace
        asked_spans = Spans(
            *(a[chosen] for a in (spans.rows, spans.starts, spans.ends, spans.labels))
        )
        hidden, influence = self._hidden(rows, asked_spans, layers)
        slopes = self._slopes(rows, asked_spans)
        losses = scores[chosen] - hidden  # [T, chosen]
        return replace(
            trace,
            layers=tuple(
                tuple(
                    replace(one, influence=share) for one, share in zip(layer, shares, strict=True)
                )
                for layer, shares in zip(trace.layers, influence, strict=True)
            ),
            rests_on={first + i: losses[:, n] for n, i in enumerate(chosen)},
            gradient={first + i: slopes[:, n] for n, i in enumerate(chosen)},
        )

    def _entities(
        self, item: TokenizedItem, sentence: Tokens, spans: Spans, scores: Floats
    ) -> Iterable[Entity]:
        columns = (spans.starts, spans.ends, spans.labels, scores)
        for start, end, label, score in zip(*(c.tolist() for c in columns), strict=True):
            yield Entity(self._table.labels[label], *item.place(sentence, start, end), score)

    def _hidden(
        self, rows: Floats, spans: Spans, layers: Sequence[Sequence[DirectionTrace]]
    ) -> tuple[Floats, list[list[Floats]]]:
        """Hide each token in turn: posteriors [T, N] of the spans, and the influence [T, T] of each
        direction of each layer, whose traces are those of the whole sentence.
        """
        result = np.empty((len(rows), len(spans.rows)))
        moved = [[np.empty((len(rows), len(rows)), np.float32) for _ in layer] for layer in layers]
        for part, copies in _copies(rows, 0.0):
            changed, _, emissions = self.network.run(copies)
            count = copies.shape[1]
            lengths = np.full(count, len(rows), np.intp)
            asked = _for_each(spans, count)
            found = span_posteriors(emissions, lengths, self._crf, asked, self._table)
            result[part] = found.reshape(count, -1)
            for whole, now, into in zip(layers, changed, moved, strict=True):
                for was, one, shares in zip(whole, now, into, strict=True):
                    shares[part] = np.linalg.norm(one.cell - was.cell, axis=-1).T
        with np.errstate(invalid="ignore", divide="ignore"):
            influence = [[m / m.diagonal()[:, None] for m in layer] for layer in moved]
        for m in (one for layer in influence for one in layer):
            m[~np.isfinite(m)] = np.nan
        return result, influence

    def _slopes(self, rows: Floats, spans: Spans) -> Floats:
        """Return the derivatives [T, N] of the spans' posteriors along each token's row.

        By differences in float64, whose error is that of a step of a millionth: it needs no
        backward pass of each cell, and costs what hiding does.
        """
        exact = rows.astype(np.float64)
        result = np.empty((len(rows), len(spans.rows)))
        asked = _for_each(spans, 1)
        before = self._exact(exact[:, None], asked)
        for part, copies in _copies(exact, 1.0 + STEP):
            asked = _for_each(spans, copies.shape[1])
            moved = self._exact(copies, asked).reshape(copies.shape[1], -1)
            result[part] = (moved - before) / STEP
        return result

    def _exact(self, rows: Floats, spans: Spans) -> Floats:
        """Return posteriors [N] in float64."""
        lengths = np.full(rows.shape[1], len(rows), np.intp)
        return LogChart(self.network.run(rows)[2], lengths, self._crf).span_posteriors(
            spans, self._table
        )


def _copies(rows: Floats, factor: float) -> Iterable[tuple[slice, Floats]]:
    """Yield parts of the tokens, and for each the sentence with its row scaled, [T, part, I]."""
    for begin in range(0, len(rows), HIDDEN_TOGETHER):
        part = range(begin, min(begin + HIDDEN_TOGETHER, len(rows)))
        copies = np.repeat(rows[:, None], len(part), axis=1)
        copies[part, range(len(part))] *= factor
        yield slice(part.start, part.stop), copies


def _for_each(spans: Spans, copies: int) -> Spans:
    """Return the spans of one sentence, for each of its copies."""
    each = np.repeat(np.arange(copies), len(spans.rows))
    return Spans(each, *(np.tile(a, copies) for a in (spans.starts, spans.ends, spans.labels)))


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

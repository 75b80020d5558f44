"""From sentences to decoded batches: blocks, batches of close lengths, windows, Viterbi.

A sentence that is too long for the scorer is cut into overlapping windows. Each token takes its
emissions from the window in which it stands most central; the emissions of the whole sentence are
then decoded together, as if there had been no windows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.annotation import Phases
from tagbelt.inference.crf.algorithms import find_spans, span_posteriors, token_marginals, viterbi
from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray, Spans, TagTable
from tagbelt.inference.decoding.nbest import TagSequence, best_paths
from tagbelt.inference.scoring.scorer import PreparedTokens, Scorer
from tagbelt.inference.threads import Workers

T = TypeVar("T")
# Of a batch: index [B] into the pool, lengths [B], emissions [T, B, K].
_Scored = tuple[IntArray, IntArray, NDArray[np.float32]]

# Long sentences are decoded together up to this many times the scorer's budget: their emissions
# are already there, and each step of the decoder costs the same for one sentence as for several.
_LONG_BATCH = 16

# Sentences are looked up and sorted by length in blocks of about this many tokens, however many
# there are in all: enough for full batches of close lengths, little in memory.
_BLOCK_TOKENS = 65_536

# Fewer tokens are not spread over threads: to hand them out takes longer than to do them, all the
# more so where other threads want the interpreter too.
_SPREAD_TOKENS = 4_096

# A sentence shorter than this share of the longest goes to the next batch,
_CLOSE = 0.75
# unless the batch is still so small (padded tokens) that a further call costs more than padding.
_WORTH_A_CALL = 256
# The kernels compute this many rows at a time, whether or not there are as many.
_ROWS = 16


@dataclass(frozen=True, eq=False, slots=True)
class DecodedBatch:
    """B decoded sentences, longest first: `index` [B] into the pool, `paths` [T, B] tags."""

    index: IntArray
    lengths: IntArray
    emissions: NDArray[np.float32]
    paths: IntArray
    crf: CrfParameters
    table: TagTable

    def entities(self) -> tuple[Spans, FloatArray]:
        """Return the spans in the paths and their posteriors."""
        spans = find_spans(self.paths, self.lengths, self.table)
        return spans, span_posteriors(self.emissions, self.lengths, self.crf, spans, self.table)

    def marginals(self) -> FloatArray:
        """Return the probability [T, B, K] of every tag at every token."""
        return token_marginals(self.emissions, self.lengths, self.crf)

    def best_paths(
        self, wanted: Sequence[int], between: Callable[[], None]
    ) -> list[Iterator[TagSequence]]:
        """Search the `wanted` [B] most probable tag sequences of each row, as they are read.

        `between` is called between steps of the work that is done at once.
        """
        return best_paths(self.emissions, self.lengths, self.crf, self.paths, wanted, between)

    def only(self, rows: IntArray) -> "DecodedBatch":
        """Return the batch with some of its rows, in rising order."""
        return DecodedBatch(
            self.index[rows],
            self.lengths[rows],
            self.emissions[:, rows],
            self.paths[:, rows],
            self.crf,
            self.table,
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """N sentences of the pool, from `first` on, whose tokens were prepared together.

    Sentence i has the `lengths[i]` tokens from `starts[i]` on.
    """

    prepared: PreparedTokens
    first: int
    starts: IntArray
    lengths: IntArray


class Decoder:
    """Decodes sentences of any length with one scorer and CRF. Keeps nothing between calls.

    `limit` is the longest sentence, in tokens, that the scorer sees whole; longer ones go through
    windows that share `overlap` tokens. `budget` bounds the padded tokens of a scorer's batch.
    Batches are spread over `workers` threads.
    """

    def __init__(
        self,
        scorer: Scorer,
        crf: CrfParameters,
        table: TagTable,
        *,
        limit: int,
        overlap: int,
        budget: int,
        workers: int = 1,
    ):
        if crf.size != len(table.tags):
            raise ValueError(f"the CRF has {crf.size} tags, the model names {len(table.tags)}")
        if budget < 1:
            raise ValueError(f"a batch needs a budget of at least 1 token, got {budget}")
        windows(0, limit, overlap)  # refuses impossible settings now, not at a long sentence
        self._scorer = scorer
        self._crf = crf
        self._table = table
        self._limit = limit
        self._overlap = overlap
        self._budget = budget
        self._workers = Workers(workers)

    def run(
        self,
        sentences: Sequence[Sequence[str]],
        use: Callable[[DecodedBatch], T],
        phases: Phases | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Iterator[T]:
        """Yield what `use` makes of decoded batches, which hold each sentence with a token once.

        The batches come in no stated order; `use` is called on the workers' threads, and its time
        counts as decoding. `between` is called there too, between the windows of long sentences.
        """
        jobs = (
            partial(self._work, scored, use, phases)
            for block in self._blocks(sentences, phases)
            for scored in self._batches(block, between)
        )
        if sum(map(len, sentences)) < _SPREAD_TOKENS:
            return (job() for job in jobs)
        return self._workers.run(jobs)

    def _blocks(
        self, sentences: Sequence[Sequence[str]], phases: Phases | None
    ) -> Iterator[_Block]:
        if len(sentences) == 1:  # a lone sentence should not pay for what others would need
            own = np.array([len(sentences[0])], np.intp)
            if sentences[0]:
                yield self._block(list(sentences[0]), own, np.zeros(1, np.intp), 0, phases)
            return
        lengths = np.fromiter(map(len, sentences), np.intp, len(sentences))
        ends = lengths.cumsum()
        rest = iter(sentences)
        first = done = 0
        while first < len(lengths):
            stop = max(first + 1, int(ends.searchsorted(done + _BLOCK_TOKENS, side="right")))
            forms = list(chain.from_iterable(islice(rest, stop - first)))
            own = lengths[first:stop]
            if forms:
                yield self._block(forms, own, ends[first:stop] - own - done, first, phases)
            first, done = stop, int(ends[stop - 1])

    def _block(
        self,
        forms: list[str],
        lengths: IntArray,
        starts: IntArray,
        first: int,
        phases: Phases | None,
    ) -> _Block:
        began = perf_counter()
        prepared = self._scorer.prepare(forms, lengths)
        if phases is not None:
            phases.add(infer=perf_counter() - began)
        return _Block(prepared, first, starts, lengths)

    def _batches(
        self, block: _Block, between: Callable[[], None]
    ) -> Iterator[Callable[[], _Scored]]:
        """Yield the batches of a block, each to be scored by a call."""
        lengths = block.lengths
        if len(lengths) == 1 and lengths[0] <= self._limit:  # has tokens, else there is no block
            yield partial(_score, self._whole, block, np.zeros(1, np.intp))
            return
        short = ((lengths > 0) & (lengths <= self._limit)).nonzero()[0]
        for part in batches(lengths[short], self._budget):
            yield partial(_score, self._whole, block, short[part])
        if lengths.max() <= self._limit:
            return
        long = (lengths > self._limit).nonzero()[0]
        for part in batches(lengths[long], self._budget * _LONG_BATCH):
            yield partial(_score, partial(self._stitched, between), block, long[part])

    def _work(
        self,
        scored: Callable[[], _Scored],
        use: Callable[[DecodedBatch], T],
        phases: Phases | None,
    ) -> T:
        began = perf_counter()
        index, lengths, emissions = scored()
        middle = perf_counter()
        paths, _ = viterbi(emissions, lengths, self._crf)
        result = use(DecodedBatch(index, lengths, emissions, paths, self._crf, self._table))
        if phases is not None:
            phases.add(infer=middle - began, decode=perf_counter() - middle)
        return result

    def _whole(
        self, prepared: PreparedTokens, starts: IntArray, lengths: IntArray
    ) -> NDArray[np.float32]:
        return prepared.emissions(_places(starts, lengths), lengths)

    def _stitched(
        self,
        between: Callable[[], None],
        prepared: PreparedTokens,
        starts: IntArray,
        lengths: IntArray,
    ) -> NDArray[np.float32]:
        """Put emissions [T, B, K] of long sentences together from their windows."""
        pieces = [
            (row, window)
            for row, length in enumerate(lengths.tolist())
            for window in windows(length, self._limit, self._overlap)
        ]
        sizes = np.array([window.stop - window.start for _, window in pieces], np.intp)
        firsts = np.array([starts[row] + window.start for row, window in pieces], np.intp)
        result = np.zeros((int(lengths[0]), len(lengths), self._crf.size), np.float32)
        for part in batches(sizes, self._budget):
            between()
            emissions = self._whole(prepared, firsts[part], sizes[part])
            for column, (row, window) in enumerate(pieces[i] for i in part.tolist()):
                kept = slice(window.keep - window.start, window.keep_stop - window.start)
                result[window.keep : window.keep_stop, row] = emissions[kept, column]
        return result


def _score(
    score: Callable[[PreparedTokens, IntArray, IntArray], NDArray[np.float32]],
    block: _Block,
    chosen: IntArray,
) -> _Scored:
    lengths = block.lengths[chosen]
    emissions = score(block.prepared, block.starts[chosen], lengths)
    return chosen + block.first, lengths, emissions


def _places(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return where the tokens of sentences stand: [T, B], -1 after a sentence's end."""
    if len(lengths) == 1:  # a lone sentence should not pay for what others would need
        return np.arange(starts[0], starts[0] + lengths[0])[:, None]
    steps = np.arange(lengths[0])[:, None]
    return np.where(steps < lengths, steps + starts, -1)


def batches(lengths: IntArray, budget: int) -> list[IntArray]:
    """Return indices of `lengths` [N] in batches, longest first within and across, each once.

    The padded size of a batch, its longest length times its rows, is at most `budget` tokens; a
    sentence above the budget stands alone. Sentences of one length keep their order.
    """
    if len(lengths) == 1:  # a lone sentence should not wait for the rest
        return [np.zeros(1, np.intp)]
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]  # ascending, as searchsorted wants it
    result = []
    first = 0
    while first < len(order):
        longest = max(1, -int(falling[first]))
        fitting = first + max(1, budget // longest)
        close = int(np.searchsorted(falling, -_CLOSE * longest, side="right"))
        worth = first + -(-_WORTH_A_CALL // longest)
        stop = min(fitting, max(close, worth))
        if stop - first > _ROWS and stop < len(order):
            stop -= (stop - first) % _ROWS
        result.append(order[first:stop])
        first = stop
    return result


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `stop` of a sentence go to the scorer; `keep` to `keep_stop` are used."""

    start: int
    stop: int
    keep: int
    keep_stop: int


def windows(length: int, limit: int, overlap: int) -> list[Window]:
    """Return windows over `length` tokens, each of at most `limit`.

    Neighbours share `overlap` or more. The windows' kept parts follow one another without a gap
    from 0 to `length`. There are as few windows as can be, all of one size, no longer than they
    must be, evenly spread. Raises ValueError unless 0 <= overlap < limit.
    """
    if not 0 <= overlap < limit:
        raise ValueError(f"a window of {limit} tokens cannot overlap the next by {overlap}")
    if length <= limit:
        return [Window(0, length, 0, length)]
    count = -((overlap - length) // (limit - overlap))  # (length - overlap) / step, rounded up
    size = -((overlap * (1 - count) - length) // count)  # they hold every shared token twice
    starts = [(length - size) * i // (count - 1) for i in range(count)]
    # A token nearer to the middle of the next window is kept from there.
    cuts = [(start + size + after) // 2 for start, after in pairwise(starts)]
    keeps = [0, *cuts, length]
    return [
        Window(start, start + size, keep, keep_stop)
        for start, (keep, keep_stop) in zip(starts, pairwise(keeps), strict=True)
    ]

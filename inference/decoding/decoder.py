"""From a pool of sentences to decoded batches: blocks, windows, batches, Viterbi, posteriors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import CrfParameters, FloatArray, IntArray
from tagbelt.inference.crf.posteriors import span_posteriors, token_marginals
from tagbelt.inference.decoding.batching import batches
from tagbelt.inference.decoding.nbest import Ranked, best_paths
from tagbelt.inference.decoding.tags import Spans, TagTable
from tagbelt.inference.decoding.viterbi import viterbi
from tagbelt.inference.decoding.windows import windows
from tagbelt.inference.phases import Phases
from tagbelt.inference.scoring.scorer import Prepared, Scorer
from tagbelt.inference.workers import Workers

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
        """The spans in the paths and their posteriors, computed for sentences that have any."""
        spans = self.table.find_spans(self.paths, self.lengths)
        return spans, span_posteriors(self.emissions, self.lengths, self.crf, spans, self.table)

    def marginals(self) -> FloatArray:
        """Probability [T, B, K] of every tag at every token."""
        return token_marginals(self.emissions, self.lengths, self.crf)

    def best_paths(self, wanted: Sequence[int]) -> list[Iterator[Ranked]]:
        """The most probable tag sequences of each row, `wanted` [B] of them, as they are read."""
        return best_paths(self.emissions, self.lengths, self.crf, self.paths, wanted)

    def only(self, rows: IntArray) -> "DecodedBatch":
        """The batch with some of its rows, in rising order."""
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

    prepared: Prepared
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
    ) -> Iterator[T]:
        """What `use` makes of decoded batches, which hold each sentence with a token once.

        The batches come in no stated order; `use` is called on the workers' threads, and its time
        counts as decoding.
        """
        jobs = (
            partial(self._work, scored, use, phases)
            for block in self._blocks(sentences, phases)
            for scored in self._batches(block)
        )
        if sum(map(len, sentences)) < _SPREAD_TOKENS:
            return (job() for job in jobs)
        return self._workers.run(jobs)

    def _blocks(
        self, sentences: Sequence[Sequence[str]], phases: Phases | None
    ) -> Iterator[_Block]:
        lengths = np.fromiter(map(len, sentences), np.intp, len(sentences))
        ends = lengths.cumsum()
        rest = iter(sentences)
        first = done = 0
        while first < len(lengths):
            stop = max(first + 1, int(ends.searchsorted(done + _BLOCK_TOKENS, side="right")))
            forms = list(chain.from_iterable(islice(rest, stop - first)))
            own = lengths[first:stop]
            if forms:
                began = perf_counter()
                prepared = self._scorer.prepare(forms, own)
                if phases is not None:
                    phases.add(infer=perf_counter() - began)
                yield _Block(prepared, first, ends[first:stop] - own - done, own)
            first, done = stop, int(ends[stop - 1])

    def _batches(self, block: _Block) -> Iterator[Callable[[], _Scored]]:
        """The batches of a block, each to be scored by a call."""
        lengths = block.lengths
        short = ((lengths > 0) & (lengths <= self._limit)).nonzero()[0]
        for part in batches(lengths[short], self._budget):
            yield partial(_score, self._whole, block, short[part])
        if lengths.max() <= self._limit:
            return
        long = (lengths > self._limit).nonzero()[0]
        for part in batches(lengths[long], self._budget * _LONG_BATCH):
            yield partial(_score, self._stitched, block, long[part])

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
        self, prepared: Prepared, starts: IntArray, lengths: IntArray
    ) -> NDArray[np.float32]:
        return prepared.emissions(_places(starts, lengths), lengths)

    def _stitched(
        self, prepared: Prepared, starts: IntArray, lengths: IntArray
    ) -> NDArray[np.float32]:
        """Emissions [T, B, K] of long sentences, put together from their windows."""
        pieces = [
            (row, window)
            for row, length in enumerate(lengths.tolist())
            for window in windows(length, self._limit, self._overlap)
        ]
        sizes = np.array([window.stop - window.start for _, window in pieces], np.intp)
        firsts = np.array([starts[row] + window.start for row, window in pieces], np.intp)
        result = np.zeros((int(lengths[0]), len(lengths), self._crf.size), np.float32)
        for part in batches(sizes, self._budget):
            emissions = self._whole(prepared, firsts[part], sizes[part])
            for column, (row, window) in enumerate(pieces[i] for i in part.tolist()):
                kept = slice(window.keep - window.start, window.keep_stop - window.start)
                result[window.keep : window.keep_stop, row] = emissions[kept, column]
        return result


def _score(
    score: Callable[[Prepared, IntArray, IntArray], NDArray[np.float32]],
    block: _Block,
    chosen: IntArray,
) -> _Scored:
    lengths = block.lengths[chosen]
    emissions = score(block.prepared, block.starts[chosen], lengths)
    return chosen + block.first, lengths, emissions


def _places(starts: IntArray, lengths: IntArray) -> IntArray:
    """Where the tokens of sentences stand: [T, B], -1 after a sentence's end."""
    steps = np.arange(lengths[0])[:, None]
    return np.where(steps < lengths, steps + starts, -1)

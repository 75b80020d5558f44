"""From a pool of sentences to decoded batches: windows, batches, Viterbi, posteriors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.batching import batches
from inference.crf import CrfParameters, FloatArray, IntArray
from inference.posteriors import Posteriors
from inference.scorer import Scorer
from inference.tags import Spans, TagTable
from inference.viterbi import viterbi
from inference.windows import windows

# Long sentences are decoded together up to this many times the scorer's budget: their emissions
# are already there, and each step of the decoder costs the same for one sentence as for several.
_LONG_BATCH = 16


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
        rows = np.unique(spans.rows)
        if not len(rows):
            return spans, np.zeros(0)
        posteriors = Posteriors(self.emissions[:, rows], self.lengths[rows], self.crf)
        moved = Spans(np.searchsorted(rows, spans.rows), spans.starts, spans.ends, spans.labels)
        return spans, posteriors.span_posteriors(moved, self.table)

    def marginals(self) -> FloatArray:
        """Probability [T, B, K] of every tag at every token."""
        return Posteriors(self.emissions, self.lengths, self.crf).token_marginals()


class Decoder:
    """Decodes sentences of any length with one scorer and CRF. Holds nothing between calls.

    `limit` is the longest sentence, in tokens, that the scorer sees whole; longer ones go through
    windows that share `overlap` tokens. `budget` bounds the padded tokens of a scorer's batch.
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

    def run(self, sentences: Sequence[Sequence[str]]) -> Iterator[DecodedBatch]:
        """Decoded batches that hold each sentence with a token exactly once, in no stated order."""
        lengths = np.fromiter(map(len, sentences), np.intp, len(sentences))
        short = np.flatnonzero((lengths > 0) & (lengths <= self._limit))
        for part in batches(lengths[short], self._budget):
            index = short[part]
            emissions = self._scorer.emissions([sentences[i] for i in index.tolist()])
            yield self._decode(index, lengths[index], emissions)
        long = np.flatnonzero(lengths > self._limit)
        for part in batches(lengths[long], self._budget * _LONG_BATCH):
            index = long[part]
            emissions = self._stitched([sentences[i] for i in index.tolist()], lengths[index])
            yield self._decode(index, lengths[index], emissions)

    def _decode(
        self, index: IntArray, lengths: IntArray, emissions: NDArray[np.float32]
    ) -> DecodedBatch:
        paths, _ = viterbi(emissions, lengths, self._crf)
        return DecodedBatch(index, lengths, emissions, paths, self._crf, self._table)

    def _stitched(
        self, sentences: Sequence[Sequence[str]], lengths: IntArray
    ) -> NDArray[np.float32]:
        """Emissions [T, B, K] of long sentences, put together from their windows."""
        pieces = [
            (row, window)
            for row, length in enumerate(lengths.tolist())
            for window in windows(length, self._limit, self._overlap)
        ]
        sizes = np.array([window.stop - window.start for _, window in pieces], np.intp)
        result = np.zeros((int(lengths[0]), len(sentences), self._crf.size), np.float32)
        for part in batches(sizes, self._budget):
            chosen = [pieces[i] for i in part.tolist()]
            words = [sentences[row][window.start : window.stop] for row, window in chosen]
            emissions = self._scorer.emissions(words)
            for column, (row, window) in enumerate(chosen):
                kept = slice(window.keep - window.start, window.keep_stop - window.start)
                result[window.keep : window.keep_stop, row] = emissions[kept, column]
        return result

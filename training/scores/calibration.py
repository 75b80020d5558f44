"""Do posteriors mean what they say: of the entities given 0.8, are 80 % right? And how to mend it.

The expected calibration error (Naeini et al. 2015; Guo et al. 2017) of n predicted entities in
bins b is  sum over b of  n_b / n * |share of right ones in b - mean posterior in b|.

All scores of the CRF are divided by a number T (Guo et al. 2017). The best path stays the best
and so no tag changes; posteriors move towards each other (T > 1) or apart. T is the one under
which the posteriors of the entities found on dev have the least log loss, and it goes into the
weights: what serves does not know of it. To minimise the likelihood of the gold paths instead
serves entities less well, since most of a path lies outside of them: with that, some models
were worse on dev afterwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.checkpoint import Precision, load_checkpoint
from tagbelt.inference.crf.algorithms import find_spans, span_posteriors
from tagbelt.inference.crf.parameters import CrfParameters, Spans, TagTable, tag_table
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.model.checkpoint import load_network, save_checkpoint
from tagbelt.model.network import Network
from tagbelt.training.scores.evaluate import is_judged

BINS = 10
BUDGET = 4096
ENOUGH = 20
"""Fewer right entities or fewer wrong ones say too little of T."""
WORTHWHILE = 0.01
"""Scores stay as they are up to this calibration error on dev: chance makes as much of a thousand
entities. It is low because the epoch was chosen on dev, and what is new comes out worse.
"""
RANGE = (0.25, 8.0)
GRID = 25

ERROR = "dev_calibration_error"
ERROR_BEFORE = "dev_calibration_error_before"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Bin:
    """The entities with a posterior in [low, high); the last bin holds 1.0 as well.

    `confidence` is the mean of their posteriors, `accuracy` the share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The error over bins of equal width, which are listed, and over bins of equal counts."""

    entities: int
    error: float
    error_equal_counts: float
    bins: tuple[Bin, ...]


def reliability(scores: Floats, right: Bools, bins: int = BINS) -> Reliability:
    """Compare the posteriors [N] of predicted entities with which of them are right [N]."""
    # Divided, 3 of 10 is the number that 0.3 is written for; 3 * 0.1 lies above it.
    edges = np.arange(bins + 1) / bins
    places = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    listed = []
    for index in range(bins):
        inside = places == index
        low, high = float(edges[index]), float(edges[index + 1])
        listed.append(Bin(low, high, *_part(scores[inside], right[inside])))
    order = np.argsort(scores, kind="stable")
    parts = zip(
        np.array_split(scores[order], bins), np.array_split(right[order], bins), strict=True
    )
    return Reliability(
        entities=len(scores),
        error=_error([(b.count, b.confidence, b.accuracy) for b in listed]),
        error_equal_counts=_error([_part(s, r) for s, r in parts]),
        bins=tuple(listed),
    )


def _part(scores: Floats, right: Bools) -> tuple[int, float, float]:
    count = len(scores)
    return (count, float(scores.mean()), float(right.mean())) if count else (0, 0.0, 0.0)


def _error(parts: Sequence[tuple[int, float, float]]) -> float:
    total = sum(count for count, _, _ in parts)
    if not total:
        return 0.0
    return sum(count * abs(right - score) for count, score, right in parts) / total


@dataclass(frozen=True)
class Calibration:
    """The temperature that a checkpoint got: 1.0 left it as it was. The errors are those on dev."""

    temperature: float
    error_before: float
    error: float

    @property
    def metrics(self) -> dict[str, float]:
        """The errors by the names that they have in a header."""
        return {ERROR: self.error, ERROR_BEFORE: self.error_before}

    @classmethod
    def recorded(cls, header: Header) -> Self | None:
        """Read the calibration of a header; None where it has none."""
        if ERROR not in header.metrics:
            return None
        return cls(header.temperature, header.metrics[ERROR_BEFORE], header.metrics[ERROR])

    def __str__(self) -> str:
        now = f"calibration error on dev {self.error:.4f}"
        if self.temperature == 1.0:
            return f"{now}; scores left as they are"
        divided = f"scores were divided by {self.temperature:.4f}"
        return f"{now}, {self.error_before:.4f} before {divided}"


@dataclass(frozen=True, eq=False)
class FoundEntities:
    """The entities found in one batch, and which of them are right [N]."""

    batch: DecodedBatch
    spans: Spans
    right: Bools

    def posteriors(self, temperature: float) -> Floats:
        """Probability [N] of each entity when all scores are divided by the temperature."""
        batch, crf = self.batch, self.batch.crf
        cooled = CrfParameters(
            crf.start / temperature, crf.transitions / temperature, crf.end / temperature
        )
        emissions = batch.emissions / np.float32(temperature)  # [T, B, K]
        return span_posteriors(emissions, batch.lengths, cooled, self.spans, batch.table)


def calibrate(checkpoint: Path, sentences: Sequence[Sentence], precision: Precision) -> Calibration:
    """Divide a checkpoint's scores by their best temperature, if that is worth while.

    `precision` is the one that serves. What was found, rounded, goes into the header with it; a
    checkpoint that was divided already stays as it is.
    """
    network, vocabulary, header = load_network(checkpoint)
    done = Calibration.recorded(header)
    if done is not None and header.temperature != 1.0:
        return done
    found = find_entities(checkpoint, sentences, precision)
    temperature = round(best_temperature(found), 4)
    before, after = calibration_error(found), calibration_error(found, temperature)
    if before <= WORTHWHILE or after >= before:
        temperature, after = 1.0, before
    made = Calibration(temperature, round(before, 4), round(after, 4))
    if temperature != 1.0:
        cool(network, temperature)
        metrics = {**header.metrics, **made.metrics}
        changes = {"temperature": temperature, "metrics": metrics}
        save_checkpoint(checkpoint, network, vocabulary, header.model_copy(update=changes))
    return made


def find_entities(
    checkpoint: Path, sentences: Sequence[Sentence], precision: Precision
) -> list[FoundEntities]:
    """Tag annotated sentences as the checkpoint serves, and compare with their entities."""
    loaded = load_checkpoint(checkpoint, precision=precision)
    decoder = Decoder(
        loaded.scorer,
        loaded.crf,
        tag_table(loaded.info.tags, loaded.info.scheme),
        limit=loaded.window,
        overlap=loaded.window // 32,
        budget=BUDGET,
    )

    def compare(batch: DecodedBatch) -> FoundEntities:
        here = [sentences[index] for index in batch.index.tolist()]
        spans = _judged(find_spans(batch.paths, batch.lengths, batch.table), here, batch.table)
        gold = [set(sentence.spans or ()) for sentence in here]
        columns = (spans.rows, spans.starts, spans.ends, spans.labels)
        right = [
            Span(start, end, batch.table.labels[label]) in gold[row]
            for row, start, end, label in zip(*(c.tolist() for c in columns), strict=True)
        ]
        return FoundEntities(batch, spans, np.array(right, np.bool_))

    return list(decoder.run([sentence.tokens for sentence in sentences], compare))


def _judged(spans: Spans, sentences: Sequence[Sentence], table: TagTable) -> Spans:
    """Leave out entities that the gold of their sentence cannot judge."""
    if not any(sentence.annotates or sentence.open for sentence in sentences):
        return spans
    columns = (spans.rows, spans.starts, spans.ends, spans.labels)
    kept = [
        is_judged(sentences[row], Span(start, end, table.labels[label]))
        for row, start, end, label in zip(*(c.tolist() for c in columns), strict=True)
    ]
    return Spans(*(column[np.array(kept, np.bool_)] for column in columns))


def best_temperature(found: Sequence[FoundEntities]) -> float:
    """Return the temperature of the least log loss; 1.0 where too few entities tell."""
    right = _right(found)
    if min(int(right.sum()), int((~right).sum())) < ENOUGH:
        return 1.0

    def log_loss(temperature: float) -> float:
        scores = np.clip(_posteriors(found, temperature), 1e-12, 1.0 - 1e-12)
        return -float(np.log(np.where(right, scores, 1.0 - scores)).mean())

    return _least(log_loss, *RANGE)


def calibration_error(found: Sequence[FoundEntities], temperature: float = 1.0) -> float:
    """Return the expected calibration error of all entities at a temperature."""
    return reliability(_posteriors(found, temperature), _right(found)).error


def _posteriors(found: Sequence[FoundEntities], temperature: float) -> Floats:
    parts = [part.posteriors(temperature) for part in found]
    return np.concatenate([np.zeros(0), *parts])


def _right(found: Sequence[FoundEntities]) -> Bools:
    return np.concatenate([np.zeros(0, np.bool_), *(part.right for part in found)])


def _least(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is least, on a grid and then on a finer one beside its best point.

    It need not have one minimum only, as a search by halves would want.
    """
    coarse = np.geomspace(low, high, GRID)
    best = int(np.argmin([value(float(point)) for point in coarse]))
    fine = np.geomspace(coarse[max(best - 1, 0)], coarse[min(best + 1, GRID - 1)], GRID)
    return float(fine[np.argmin([value(float(point)) for point in fine])])


@torch.no_grad()
def cool(network: Network, temperature: float) -> None:
    """Divide all scores of tags and of transitions by a temperature."""
    for weights in (network.emissions, network.crf):
        for parameter in weights.parameters():
            parameter.div_(temperature)

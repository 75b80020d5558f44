"""Distillation: a network learns from the probabilities that other taggers give all taggings.

It learns by the mean of the teachers' distributions over the taggings of a sentence; the loss is
the cross-entropy from that to its own (Hinton et al. 2015; for sequences Wang et al. 2020,
"Structure-Level Knowledge Distillation"). Its score of a tagging is a sum over tags and
transitions, so the loss needs to know of the teachers only how often each of these is expected,
and what a mean of distributions expects is the mean. Nothing is approximated, though the mean of
chains is no chain: the least loss is that of the chain with the same expectations.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Unit
from tagbelt.errors import ConfigError
from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.inference.crf.parameters import CrfParameters, IntArray, tag_table
from tagbelt.inference.decoding.decoder import DecodedBatch, Decoder
from tagbelt.inference.threads import available_threads
from tagbelt.model.batch import Batch, EncodedSentences, ExpectedTags
from tagbelt.model.cells.packed import batch_sizes, packed_order
from tagbelt.model.crf import certain_tags, forward_backward
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.corpus import RunData
from tagbelt.training.events import Callback, Message

BUDGET = 4096
BLOCK = 1024
"""Sentences that the teachers read in one go, to bound the memory that their answers take."""

RARE = 1e-5
"""Transitions expected less often than this in a sentence are not kept."""

Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class SoftTargets:
    """The expected tags of S sentences with N tokens, of K tags.

    `marginals` float16 [N, K] of all tokens in order, those of sentence i from `starts[i]` to
    `starts[i + 1]`. Of its transitions most are never expected: the others are the `moves`
    [M] (from * K + to) and how often, `counts` [M], from `move_starts[i]` to `move_starts[i + 1]`.
    """

    marginals: Tensor
    moves: Tensor
    counts: Tensor
    starts: Tensor
    move_starts: Tensor

    @classmethod
    def of(cls, sentences: Iterable[ExpectedTags]) -> "SoftTargets":
        """Keep what is expected of sentences, one at a time; at least one."""
        marginals, moves, counts = [], [], []
        for expected in sentences:
            steps = expected.steps.numpy().ravel()
            kept = np.flatnonzero(steps > RARE)
            # What is left out goes to the others: transitions are one fewer than tokens.
            scale = (len(expected.marginals) - 1) / max(steps[kept].sum(), RARE)
            marginals.append(expected.marginals.numpy().astype(np.float16))
            moves.append(kept.astype(np.int32))
            counts.append((scale * steps[kept]).astype(np.float32))
        return cls(
            _joined(marginals), _joined(moves), _joined(counts), _starts(marginals), _starts(moves)
        )

    def batch(self, batch: Batch) -> ExpectedTags:
        """Return the expected tags of a batch, in float64; each token's sum to 1."""
        order, size = batch.index, self.marginals.shape[1]
        rows = _parts(self.marginals, self.starts, order)
        lengths = self.starts[order + 1] - self.starts[order]
        marginals = rows[packed_order(lengths)].double()
        marginals /= marginals.sum(1, keepdim=True)
        steps = torch.zeros(size * size, dtype=torch.float64)
        moves = _parts(self.moves, self.move_starts, order)
        steps.index_add_(0, moves, _parts(self.counts, self.move_starts, order).double())
        return ExpectedTags(marginals, steps.view(size, size))


def run_targets(
    config: RunConfig, data: RunData, encoded: EncodedSentences, progress: Callback
) -> SoftTargets | None:
    """Return what the teachers of a run expect of its training sentences; None without teachers.

    `encoded` are the labelled sentences, then the unlabelled ones. The same files give the same
    targets, so that a resumed run need not have kept them.

    Raises:
        ConfigError, CheckpointError: as `load_teacher`.
    """
    settings = config.distillation
    if settings is None or encoded.tags is None:
        return None
    workers = config.training.threads or available_threads()
    teachers = [
        load_teacher(path, data.tags, config.data.tags, config.data.unit, workers=workers)
        for path in settings.teachers
    ]
    sentences = [sentence.tokens for sentence in (*data.train, *data.unlabelled)]
    progress(
        Message(
            f"teachers: {len(teachers)}, reading {len(sentences):,} sentences,"
            f" {len(data.unlabelled):,} of them unlabelled"
        )
    )
    return soft_targets(teachers, sentences, encoded.tags[: len(data.train)], settings.weight)


def load_teacher(
    path: str, tags: tuple[str, ...], scheme: Scheme, unit: Unit, *, workers: int
) -> Decoder:
    """Load a checkpoint, in float32, that tags as the network is to.

    Raises:
        ConfigError: it has other tags, or another unit.
        CheckpointError: no checkpoint, or a damaged one.
    """
    loaded = load_checkpoint(path, precision="float32")
    info = loaded.info
    for name, own, wanted in (
        ("scheme", info.scheme, scheme),
        ("unit", info.unit, unit),
        ("tags", info.tags, tags),
    ):
        if own != wanted:
            has, needs = (v if isinstance(v, str) else ", ".join(v) for v in (own, wanted))
            raise ConfigError(
                f"distillation.teachers: {path}: a teacher needs the run's own {name}:"
                f" it has {has}, the run {needs}"
            )
    return Decoder(
        loaded.scorer,
        loaded.crf,
        tag_table(info.tags, info.scheme),
        limit=loaded.window,
        overlap=loaded.window // 32,
        budget=BUDGET,
        workers=workers,
    )


def soft_targets(
    teachers: Sequence[Decoder], sentences: Sentences, gold: Sequence[Tensor], weight: float
) -> SoftTargets:
    """Ask all teachers about all sentences, none of which is empty.

    The first have `gold` tags [n]: for these, `weight` is the share of what the teachers say.
    """
    return SoftTargets.of(_mixed(mean_expected(teachers, sentences), gold, weight))


def _mixed(
    taught: Iterator[ExpectedTags], gold: Sequence[Tensor], weight: float
) -> Iterator[ExpectedTags]:
    for tags, soft in zip(gold, islice(taught, len(gold)), strict=True):
        hard = certain_tags(tags, torch.ones_like(tags), soft.marginals.shape[1])
        yield ExpectedTags(
            torch.lerp(hard.marginals, soft.marginals, weight),
            torch.lerp(hard.steps, soft.steps, weight),
        )
    yield from taught


def mean_expected(teachers: Sequence[Decoder], sentences: Sentences) -> Iterator[ExpectedTags]:
    """Yield what the teachers together expect of each sentence, in order."""
    for begin in range(0, len(sentences), BLOCK):
        block = sentences[begin : begin + BLOCK]
        answers = [_expected(teacher, block) for teacher in teachers]
        for said in zip(*answers, strict=True):
            marginals = torch.stack([expected.marginals for expected in said]).mean(0)
            steps = torch.stack([expected.steps for expected in said]).mean(0)
            yield ExpectedTags(marginals, steps)


def _expected(teacher: Decoder, sentences: Sentences) -> list[ExpectedTags]:
    found: dict[int, ExpectedTags] = {}

    def keep(batch: DecodedBatch) -> None:
        said = expected_tags(batch.emissions, batch.lengths, batch.crf)
        found.update(zip(batch.index.tolist(), said, strict=True))

    for _ in teacher.run(sentences, keep):
        pass
    return [found[index] for index in range(len(sentences))]


def expected_tags(
    emissions: NDArray[np.float32], lengths: IntArray, crf: CrfParameters
) -> list[ExpectedTags]:
    """Return what a CRF expects of each sentence; emissions [T, B, K], lengths longest first."""
    start, step, end = (torch.tensor(part) for part in (crf.start, crf.transitions, crf.end))
    sizes = torch.from_numpy(lengths)
    order = packed_order(sizes)
    flat = torch.from_numpy(emissions).double().transpose(0, 1)  # [B, T, K]
    inside = torch.arange(flat.shape[1]) < sizes[:, None]
    packed = flat[inside][order]
    lattice = forward_backward(packed, start, step, end, batch_sizes(sizes), each=True)
    marginals = torch.empty_like(packed)
    marginals[order] = lattice.marginals
    parts = zip(torch.split(marginals, lengths.tolist()), lattice.steps, strict=True)
    return [ExpectedTags(*part) for part in parts]


def _joined(parts: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts))


def _starts(parts: Sequence[NDArray[Any]]) -> Tensor:
    """Where each part begins when they stand one behind the other, and where the last ends."""
    return torch.tensor([0, *map(len, parts)]).cumsum(0)


def _parts(values: Tensor, starts: Tensor, order: Tensor) -> Tensor:
    """Return the parts at the places in `order`, one behind the other."""
    ends = zip(starts[order].tolist(), starts[order + 1].tolist(), strict=True)
    return torch.cat([values[begin:end] for begin, end in ends])

"""The training loop: a generator of what happened. It reads and writes no file."""

import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from tagbelt.data.conll.schemes import tags_to_spans
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.crf.algorithms import viterbi
from tagbelt.inference.crf.parameters import CrfParameters
from tagbelt.model.batch import Batch, EncodedSentences
from tagbelt.model.network import Network
from tagbelt.training.config import OptimiserConfig, RunConfig
from tagbelt.training.events import Epoch, Step
from tagbelt.training.loop.adversarial import adversarial_backward
from tagbelt.training.loop.deferred_adam import DeferredAdam
from tagbelt.training.loop.distillation import SoftTargets
from tagbelt.training.loop.ranks import ALONE, Ranks
from tagbelt.training.scores.evaluate import judged, span_score

EVALUATION_BATCH = 256
POOL = 64
"""Batches' worth of sentences that are sorted together: long enough to keep padding low, short
enough that batches differ from epoch to epoch."""

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass
class Progress:
    """Where a run stands; with weights and optimiser state, all that resuming needs."""

    epoch: int = 0
    best_epoch: int = 0
    best_f1: float = -1.0
    history: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Trainer:
    """Everything that training moves or looks at."""

    config: RunConfig
    network: Network
    optimiser: torch.optim.Optimizer
    train: EncodedSentences
    dev: EncodedSentences
    dev_gold: tuple[Sentence, ...]
    tags: tuple[str, ...]
    hide_rates: Tensor
    progress: Progress
    device: torch.device
    average: AveragedModel | None = None
    bigram_rates: Tensor | None = None
    targets: SoftTargets | None = None
    ranks: Ranks = ALONE

    @property
    def piece_rate(self) -> float:
        """How often the mean of a form's pieces stands for its vector."""
        sources = self.config.model.vectors
        return next((s.piece_rate for s in sources if s.is_encoder), 0.0)

    @property
    def judged(self) -> Network:
        """The network that is evaluated and kept: the average of the weights if there is one."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def run(self) -> Iterator[Step | Epoch]:
        """Train from where `progress` stands until the last epoch or until patience ends.

        Patience counts from the first F1 above 0: until then no epoch is better than another.
        """
        training = self.config.training
        while self.progress.epoch < training.epochs:
            waited = self.progress.epoch - self.progress.best_epoch
            if self.progress.best_f1 > 0.0 and waited >= training.patience:
                return
            yield from self._epoch(self.progress.epoch + 1)

    def _epoch(self, epoch: int) -> Iterator[Step | Epoch]:
        config = self.config.training
        # All randomness of an epoch follows from its number: a resumed run repeats it exactly.
        torch.manual_seed(config.seed * 1_000_003 + epoch)
        lengths = [len(row) for row in self.train.sentences]
        batches = bucketed_batches(lengths, config.batch_size, seed=config.seed, epoch=epoch)
        self.ranks.align(self.network)
        self.network.train()
        began, tokens, total = time.perf_counter(), 0, 0.0
        for done, indices in enumerate(batches, start=1):
            position = epoch - 1 + (done - 1) / len(batches)
            set_learning_rate(self.optimiser, self.config, position)
            loss = self._step(indices)
            total += loss * len(indices)
            tokens += sum(lengths[i] for i in indices)
            yield Step(epoch, done, len(batches), loss, tokens / (time.perf_counter() - began))
        if isinstance(self.optimiser, DeferredAdam):
            self.optimiser.settle()
        speed = tokens / (time.perf_counter() - began)
        found = map(judged, self.dev_gold, self.predict(self.dev))
        score = span_score([gold.spans or () for gold in self.dev_gold], found)
        progress = self.progress
        is_best = score.f1 > progress.best_f1
        progress.epoch = epoch
        progress.history.append(score.f1)
        if is_best:
            progress.best_epoch, progress.best_f1 = epoch, score.f1
        rate = float(self.optimiser.param_groups[0]["lr"])
        seconds = time.perf_counter() - began
        yield Epoch(epoch, total / len(lengths), score, is_best, speed, seconds, rate)

    def _step(self, indices: Sequence[int]) -> float:
        whole = self.train.batch(
            indices,
            hide_rates=self.hide_rates,
            bigram_rates=self.bigram_rates,
            piece_rate=self.piece_rate,
        ).to(self.device)
        batch = self.ranks.part(whole)
        if self.targets is not None:
            batch = replace(batch, expected=self.targets.batch(batch))
        read = [whole.form_words for _ in self.network.words.tables]
        if whole.row_bigrams is not None:
            read.append(whole.row_bigrams)
        if isinstance(self.optimiser, DeferredAdam):
            self.optimiser.catch_up(*read)
        self.optimiser.zero_grad(set_to_none=True)
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        value = self.ranks.summed(weights, read, self._backward(batch))
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss became {value}: lower optimiser.learning_rate or optimiser.clip"
            )
        clip_gradients(self.network.parameters(), self.config.optimiser.clip)
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return value

    def _backward(self, batch: Batch) -> float:
        """Compute the gradients of a batch and return its loss."""
        if self.config.optimiser.adversarial:
            return float(
                adversarial_backward(self.network, batch, self.config.optimiser.adversarial)
            )
        loss = self.network.nll(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def predict(self, sentences: EncodedSentences) -> list[tuple[Span, ...]]:
        """Return the spans that the network finds in each sentence."""
        return predict(
            self.judged, sentences, self.tags, self.config, self.device, ranks=self.ranks
        )


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Return the indices of each batch; every sentence stands in exactly one.

    The order depends on `seed` and `epoch` alone, so that a resumed run goes on as an
    uninterrupted one would.
    """
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    span = POOL * batch_size
    batches: list[list[int]] = []
    for begin in range(0, len(order), span):
        pool = sorted(order[begin : begin + span], key=lambda i: lengths[i])
        batches.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    generator.shuffle(batches)
    return batches


@torch.no_grad()
def predict(
    network: Network,
    sentences: EncodedSentences,
    tags: tuple[str, ...],
    config: RunConfig,
    device: torch.device,
    *,
    ranks: Ranks = ALONE,
) -> list[tuple[Span, ...]]:
    """Tag sentences with a torch network; decoding is the one that serves.

    Several ranks tag different batches and all return everything.
    """
    network.eval()
    start, step, end = (scores.double().cpu().numpy() for scores in network.crf.scores())
    crf = CrfParameters(start=start, transitions=step, end=end)
    order = sorted(range(len(sentences.sentences)), key=lambda i: -len(sentences.sentences[i]))
    found: dict[int, tuple[Span, ...]] = {}
    for begin in ranks.mine(range(0, len(order), EVALUATION_BATCH)):
        batch = sentences.batch(order[begin : begin + EVALUATION_BATCH]).to(device)
        sizes = batch.batch_sizes
        rows = torch.nn.utils.rnn.PackedSequence(network(batch).cpu(), sizes)
        emissions, lengths = torch.nn.utils.rnn.pad_packed_sequence(rows)  # [T, B, K]
        paths, _ = viterbi(emissions.numpy(), lengths.numpy(), crf)
        for column, index in enumerate(batch.index.tolist()):
            path = paths[: int(lengths[column]), column]
            found[index] = tags_to_spans([tags[i] for i in path], config.data.tags)
    of_all = {index: spans for part in ranks.gathered(found) for index, spans in part.items()}
    return [of_all[index] for index in range(len(order))]


def make_average(network: Network, decay: float) -> AveragedModel | None:
    """Make the moving average of a network's weights; None for a decay of 0."""
    if not decay:
        return None

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        # Short at first, or the random weights of the start would linger for epochs.
        done = float(steps)
        weight = 1.0 - min(decay, (1.0 + done) / (10.0 + done))
        torch._foreach_lerp_(averaged, current, weight)

    return AveragedModel(network, multi_avg_fn=update)


def make_optimiser(network: Network, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Make the optimiser of a config over all weights that train.

    The tables of words and bigrams are not decayed: frozen vectors would shrink, and rare words
    between their uses.
    """
    embeddings, bigrams = network.words.tables, network.context.bigrams
    tables: list[Tensor] = [embedding.trained for embedding in embeddings]
    if bigrams is not None:
        tables.append(bigrams.weight)
    known = {id(table) for table in tables}
    rest = [w for w in network.parameters() if w.requires_grad and id(w) not in known]
    weights: list[dict[str, Any]] = [{"params": tables, "weight_decay": 0.0}, {"params": rest}]
    rate, decay, decoupled = config.learning_rate, config.weight_decay, config.name == "adamw"
    if config.name == "sgd":
        return torch.optim.SGD(weights, rate, momentum=config.momentum, weight_decay=decay)
    if config.average:  # which reads whole tables at every step
        optimiser = torch.optim.AdamW if decoupled else torch.optim.Adam
        return optimiser(weights, rate, weight_decay=decay, fused=True)
    for embedding in embeddings:
        embedding.sparse = True
    if bigrams is not None:
        bigrams.sparse = True
    return DeferredAdam(tables, rest, rate, weight_decay=decay, decoupled=decoupled)


def clip_gradients(weights: Iterable[Tensor], limit: float) -> None:
    """Scale all gradients so that their common norm is at most `limit`; they may be sparse."""
    found = []
    for weight in weights:
        if weight.grad is None:
            continue
        if weight.grad.is_sparse:
            weight.grad = weight.grad.coalesce()
        found.append(weight.grad.values() if weight.grad.is_sparse else weight.grad)
    norm = float(torch.nn.utils.get_total_norm(found))
    if norm > limit:
        torch._foreach_mul_(found, limit / norm)


def set_learning_rate(optimiser: torch.optim.Optimizer, config: RunConfig, position: float) -> None:
    """Set the learning rate for a position in the run, in epochs from 0."""
    settings, epochs = config.optimiser, config.training.epochs
    factor = min(1.0, (position + 0.01) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "linear" and position > settings.warmup:
        left = (epochs - position) / max(epochs - settings.warmup, 1e-9)
        factor = max(left, 0.01)
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * factor

"""Long-lag tasks: sequences made at random whose answer hangs on something long past.

Sizes: T steps, B sequences, I inputs, M answers of a batch, K classes. All sequences of a batch
have one length, so the packed row of (step t, sequence b) is t * B + b.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn.utils import get_total_norm

from tagbelt.model.config import EncoderConfig
from tagbelt.model.network import Encoder
from tagbelt.training.loop.deferred_adam import DeferredAdam
from tagbelt.training.loop.loop import clip_gradients

RIGHT = 0.99
"""A task of classes is solved when this share of the answers is right."""
CLOSE = 0.01
"""A task of numbers is solved when the mean square error is below; answering 1 gives 1/6."""
CHECKED = 200
"""Sequences that training does not see, on which a network is judged."""


@dataclass(frozen=True)
class Sequences:
    """`inputs` [T, B, I]; the rows that must answer, `asked` [M], and the answers: classes, int64
    [M], or numbers, float32 [M].
    """

    inputs: Tensor
    asked: Tensor
    answers: Tensor

    @property
    def batch_sizes(self) -> Tensor:
        """How many sequences reach each step: all of them."""
        steps, count, _ = self.inputs.shape
        return torch.full((steps,), count)


@dataclass(frozen=True)
class SequenceTask:
    """`make(count, lag, generator)` draws sequences; `classes` is 0 where answers are numbers."""

    make: Callable[[int, int, Generator], Sequences]
    inputs: int
    classes: int


def first(count: int, lag: int, generator: Generator) -> Sequences:
    """The first symbol, one of four, decides; `lag` steps of other symbols and noise follow."""
    symbols = _symbols(4, 8, (lag + 1, count), generator)
    symbols[0] = _symbols(0, 4, (count,), generator)
    inputs = functional.one_hot(symbols, 8).float()
    inputs += 0.1 * torch.randn(inputs.shape, generator=generator)
    return Sequences(inputs, _last(lag + 1, count), symbols[0])


def adding(count: int, length: int, generator: Generator) -> Sequences:
    """Two of `length` numbers in [0, 1] are marked, one in each half: what is their sum?

    Hochreiter & Schmidhuber 1997, experiment 4, in the form of Le et al. 2015.
    """
    values = torch.rand(length, count, generator=generator)
    marks = torch.zeros(length, count)
    half, each = length // 2, torch.arange(count)
    for begin, end in ((0, half), (half, length)):
        marks[torch.randint(begin, end, (count,), generator=generator), each] = 1.0
    total = (values * marks).sum(0)
    return Sequences(torch.stack((values, marks), dim=2), _last(length, count), total)


def order(count: int, length: int, generator: Generator) -> Sequences:
    """Two marked symbols, each X or Y, lie in the first and the second half: in which order?

    Hochreiter & Schmidhuber 1997, experiment 6a.
    """
    symbols = _symbols(2, 6, (length, count), generator)
    each, answer = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    for tenths in (1, 5):
        begin, end = tenths * length // 10, (tenths + 1) * length // 10
        kind = _symbols(0, 2, (count,), generator)
        symbols[torch.randint(begin, max(end, begin + 1), (count,), generator=generator), each] = (
            kind
        )
        answer = 2 * answer + kind
    return Sequences(functional.one_hot(symbols, 6).float(), _last(length, count), answer)


WORD = 5
"""Symbols that `copy` has to keep."""


def copy(count: int, lag: int, generator: Generator) -> Sequences:
    """Five symbols of four kinds are to be said again, in order, `lag` blanks later."""
    length = 2 * WORD + lag
    symbols = torch.full((length, count), 4)
    symbols[:WORD] = word = _symbols(0, 4, (WORD, count), generator)
    symbols[-WORD:] = 5  # now
    asked = torch.arange(length * count).view(length, count)[-WORD:].flatten()
    return Sequences(functional.one_hot(symbols, 6).float(), asked, word.flatten())


SPIKES = 4
"""Spikes of a sequence of `spikes`."""


def spikes(count: int, apart: int, generator: Generator) -> Sequences:
    """Spikes, each `apart` - 1 or `apart` steps after the one before: which of the two was it?

    Nothing but time tells. The task of Gers & Schmidhuber 2000, who had the distance as a number.
    """
    longer = _symbols(0, 2, (SPIKES - 1, count), generator)
    at = torch.cat((torch.zeros(1, count, dtype=torch.int64), (apart - 1 + longer).cumsum(0)))
    inputs = torch.zeros(int(at.max()) + 1, count)
    inputs.scatter_(0, at, 1.0)
    asked = at[1:] * count + torch.arange(count)
    return Sequences(inputs[:, :, None], asked.flatten(), longer.flatten())


def since(count: int, length: int, generator: Generator) -> Sequences:
    """In a stream of numbers one in ten is marked: what is the sum since the last mark?

    All that was before has to be forgotten, whatever it was.
    """
    values = 0.2 * torch.rand(length, count, generator=generator)
    marked = torch.rand(length, count, generator=generator) < 0.1
    marked[0] = True
    sums = values.cumsum(0)
    before = torch.where(marked, sums - values, 0.0).cummax(0).values
    inputs = torch.stack((values, marked.float()), dim=2)
    return Sequences(inputs, torch.arange(length * count), (sums - before).flatten())


TASKS: Mapping[str, SequenceTask] = {
    "first": SequenceTask(first, 8, 4),
    "adding": SequenceTask(adding, 2, 0),
    "order": SequenceTask(order, 6, 4),
    "copy": SequenceTask(copy, 6, 4),
    "spikes": SequenceTask(spikes, 1, 2),
    "since": SequenceTask(since, 2, 0),
}


def _symbols(low: int, high: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randint(low, high, shape, generator=generator)


def _last(length: int, count: int) -> Tensor:
    """The rows of the last step, [B]."""
    return torch.arange((length - 1) * count, length * count)


class SequenceNetwork(nn.Module):
    """The encoder of the tagger, in one direction, and one linear layer that answers."""

    def __init__(self, config: EncoderConfig, task: SequenceTask) -> None:
        super().__init__()
        self.encoder = Encoder(config, task.inputs)
        self.answers = nn.Linear(config.size, task.classes or 1)
        self.classes = task.classes
        nn.init.xavier_uniform_(self.answers.weight)
        nn.init.zeros_(self.answers.bias)

    def forward(self, batch: Sequences) -> Tensor:
        """Return scores [M, K], or numbers [M]."""
        states = self.encoder(batch.inputs.flatten(0, 1), batch.batch_sizes)
        found: Tensor = self.answers(states[batch.asked])
        return found if self.classes else found[:, 0]

    def loss(self, batch: Sequences) -> Tensor:
        """Return the mean cross-entropy in nats, or the mean square error."""
        measure = functional.cross_entropy if self.classes else functional.mse_loss
        return measure(self(batch), batch.answers)

    @torch.no_grad()
    def judge(self, batch: Sequences) -> float:
        """Return the share of right answers, or the mean square error."""
        found = self(batch)
        if not self.classes:
            return float(functional.mse_loss(found, batch.answers))
        return float((found.argmax(1) == batch.answers).float().mean())


@dataclass(frozen=True)
class Effort:
    """How a network is trained on a task: at most `steps` batches of `batch` sequences.

    Judged after every `every` of them, it stops when it has solved the task unless `goes_on`.
    `optimiser` is "adam" or "sgd".
    """

    steps: int = 2000
    batch: int = 20
    every: int = 50
    learning_rate: float = 0.01
    clip: float = 1.0
    optimiser: str = "adam"
    goes_on: bool = False


@dataclass(frozen=True)
class Solved:
    """How training on a task ended: after `steps` batches, with that `score` (see `judge`).

    A loss that is no number ends it too; the score is then the last that was one.
    """

    is_solved: bool
    steps: int
    score: float


Watch = Callable[[float, float], None]
"""Called with the loss of a step and the norm of its gradient, before clipping."""


def encoder_config(settings: Mapping[str, object]) -> EncoderConfig:
    """Make the config of an encoder in one direction, without dropout."""
    return EncoderConfig.model_validate({"bidirectional": False, "dropout": 0.0, **settings})


def fresh_encoder(settings: Mapping[str, object], inputs: int, seed: int) -> Encoder:
    """Make an encoder from a seed."""
    torch.manual_seed(seed)
    return Encoder(encoder_config(settings), inputs)


def sequence_network(
    settings: Mapping[str, object], task: SequenceTask, seed: int
) -> SequenceNetwork:
    """Make a network from a seed; `settings` are those of an `EncoderConfig`."""
    torch.manual_seed(seed)
    return SequenceNetwork(encoder_config(settings), task)


def learn(
    network: SequenceNetwork,
    task: SequenceTask,
    lag: int,
    seed: int,
    effort: Effort,
    tell: Callable[[str], None] = lambda _: None,
    watch: Watch | None = None,
) -> Solved:
    """Train on fresh sequences until the task is solved or `effort` is spent."""
    optimiser: torch.optim.Optimizer = (
        torch.optim.SGD(network.parameters(), effort.learning_rate)
        if effort.optimiser == "sgd"
        else DeferredAdam([], network.parameters(), effort.learning_rate)
    )
    unseen = task.make(CHECKED, lag, Generator().manual_seed(10**6 + seed))
    generator, score = Generator().manual_seed(seed), network.judge(unseen)
    is_solved, step = False, 0
    for step in range(1, effort.steps + 1):
        optimiser.zero_grad(set_to_none=True)
        loss = network.loss(task.make(effort.batch, lag, generator))
        loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if watch is not None:
            norm = get_total_norm([w.grad for w in network.parameters() if w.grad is not None])
            watch(value, float(norm))
        if not math.isfinite(value):
            return Solved(False, step, score)
        clip_gradients(network.parameters(), effort.clip)
        optimiser.step()
        if step % effort.every == 0 or step == effort.steps:
            found = network.judge(unseen)
            score = found if math.isfinite(found) else score
            tell(
                f"step {step} of {effort.steps}, {'right' if task.classes else 'error'} {score:.3f}"
            )
            is_solved = score >= RIGHT if task.classes else score < CLOSE
            if is_solved and not effort.goes_on:
                break
    return Solved(is_solved, step, score)

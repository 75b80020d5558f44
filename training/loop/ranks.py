"""Data-parallel training: several processes, the ranks, each take a part of every batch.

Each holds all weights and draws a batch, and all chance in it, as one process would; it computes
the gradients of its part (`Batch.part`), and their sums, which are those of the batch, move the
weights of each. So a run is the same on any number of ranks, but for how sums are rounded.
`torchrun` starts them, and says by the environment who they are.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from tagbelt.errors import ConfigError, WorkerError
from tagbelt.model.batch import Batch

PATIENCE = timedelta(hours=2)
"""How long a rank waits for others. One that ended is told at once; one that reads, or judges the
run at its end, may take long."""

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """Which rank of how many this process is; one alone does nothing of what stands below."""

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes and tells."""
        return self.number == 0

    def part(self, batch: Batch) -> Batch:
        """Return this rank's part of a batch."""
        return batch if self.count == 1 else batch.part(self.number, self.count)

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """Return this rank's share of items."""
        return items[self.number :: self.count]

    def gathered(self, value: T) -> list[T]:
        """Return the values of all ranks, in their order."""
        found: list[T] = [value] * self.count
        if self.count > 1:
            with together():
                distributed.all_gather_object(found, value)
        return found

    def told(self, value: T) -> T:
        """Return the first rank's value; each waits for it."""
        found = [value]
        if self.count > 1:
            with together():
                distributed.broadcast_object_list(found, 0, device=torch.device("cpu"))
        return found[0]

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Let the first rank do something, then the others, which find what it has written."""
        if not self.leads:
            self.gathered(None)
        yield
        if self.leads:
            self.gathered(None)

    def align(self, network: nn.Module) -> None:
        """Give all ranks the weights of the first: other processors may round otherwise."""
        if self.count > 1:
            with together():
                for weight in network.parameters():
                    distributed.broadcast(weight.detach(), 0)

    def summed(self, weights: Sequence[Tensor], rows: Sequence[Tensor], loss: float) -> float:
        """Add up the gradients of all ranks, in place, and return the sum of their losses.

        The gradients of the first weights may be sparse; `rows` are those that the whole batch
        reads of each of these, so that no rank has to ask which rows another one has read.
        """
        if self.count == 1:
            return loss
        values = []
        for place, weight in enumerate(weights):
            if weight.grad is None:
                continue
            if weight.grad.is_sparse:
                weight.grad = _with_rows(weight.grad, rows[place])
            values.append(weight.grad.values() if weight.grad.is_sparse else weight.grad)
        flat = torch.cat([values[0].new_tensor([loss]), *(value.flatten() for value in values)])
        with together():
            distributed.all_reduce(flat)
        sums = torch.split(flat[1:], [value.numel() for value in values])
        for value, total in zip(values, sums, strict=True):
            value.copy_(total.view_as(value))
        return float(flat[0])


ALONE = Ranks()


def _with_rows(gradient: Tensor, rows: Tensor) -> Tensor:
    """Return a sparse gradient with all of `rows` (some may occur twice), zeros for those new."""
    wanted = torch.unique(rows)  # in order
    found = gradient.coalesce()
    values = found.values().new_zeros(len(wanted), gradient.shape[1])
    values[torch.searchsorted(wanted, found.indices()[0])] = found.values()
    return torch.sparse_coo_tensor(
        wanted[None], values, gradient.shape, is_coalesced=True, check_invariants=False
    )


def given_ranks() -> Ranks:
    """Return which rank the environment says this process is; alone unless it says so."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return Ranks(int(os.environ["RANK"]), count) if count > 1 else ALONE


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Meet the other ranks, by gloo on a CPU and NCCL on GPUs, and leave them at the end.

    Raises:
        WorkerError: they were not met, or one has ended before this one.
    """
    ranks = given_ranks()
    if ranks.count == 1:
        yield ranks
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WorkerError(f"rank {ranks.number}: the others were not met: {reason}") from error
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


@contextmanager
def together() -> Iterator[None]:
    """Say what it means that ranks don't answer: torch tells of sockets."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerError(
            f"rank {given_ranks().number}: another rank has ended; all whole epochs are kept: go on"
            " with --resume"
        ) from error


def device_of(name: str) -> torch.device:
    """Return the device of `training.device`; each rank of a machine has a GPU of its own.

    Raises:
        ConfigError: no such GPU.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("training.device: 'cuda' is not there; say 'auto' or 'cpu'")
    place, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= count:
        raise ConfigError(
            f"training.device: a GPU for each rank, but this machine has {count}: start with"
            f" --nproc-per-node {count}, or say training.device=cpu"
        )
    device = torch.device("cuda", place)
    torch.cuda.set_device(device)
    # The LSTM lays its weights out anew at every call (`by_torch`): they are small.
    warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous")
    return device

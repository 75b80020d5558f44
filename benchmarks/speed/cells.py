"""Time training (forward and backward) of each cell against torch's own modules.

The candidates take turns, so that a disturbance of the machine hits all of them; what is printed
are medians and their speed relative to torch.nn.LSTM. Run:
  python -m benchmarks.speed.cells --threads 1
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from tagbelt.model.cells import CELLS
from tagbelt.model.cells.layer import RecurrentLayer


def batch(size: int, mean: int, inputs: int) -> tuple[Tensor, Tensor]:
    """Packed rows of `size` sequences with lengths around `mean`, and their batch sizes."""
    lengths = torch.randint(1, 2 * mean, (size,))
    batch_sizes = (torch.arange(int(lengths.max()))[:, None] < lengths).sum(1)
    return torch.randn(int(lengths.sum()), inputs), batch_sizes


def trainer(module: nn.Module) -> Callable[..., float]:
    """A function that times one forward and backward pass, in milliseconds."""

    def run(rows: Tensor, batch_sizes: Tensor) -> float:
        module.zero_grad()
        rows = rows.requires_grad_()
        start = time.perf_counter()
        if isinstance(module, nn.RNNBase):
            states = module(PackedSequence(rows, batch_sizes))[0].data
        else:
            states = module(rows, batch_sizes)[0]
        states.backward(torch.ones_like(states))
        return 1000 * (time.perf_counter() - start)

    return run


def candidates(inputs: int, hidden: int) -> dict[str, Callable[..., float]]:
    """torch's modules, of which the LSTM is the base, and every cell of the encoder."""
    runs: dict[str, Callable[..., float]] = {}
    for module in (nn.LSTM, nn.GRU, nn.RNN):
        runs[f"torch.nn.{module.__name__}"] = trainer(module(inputs, hidden, bidirectional=True))
    for cell in CELLS:
        runs[cell] = trainer(RecurrentLayer(CELLS[cell], inputs, hidden))
    layer = RecurrentLayer(CELLS["lstm-coupled"], inputs, hidden, peephole=True)
    runs["lstm-coupled+peephole"] = trainer(layer)
    return runs


def main() -> None:
    """Print a table for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--inputs", type=int, default=150)
    parser.add_argument("--hidden", type=int, default=200)
    parser.add_argument("--mean-length", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    runs = candidates(options.inputs, options.hidden)
    for size in (16, 32):
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.repeats):
            rows, batch_sizes = batch(size, options.mean_length, options.inputs)
            for name, run in runs.items():
                times[name].append(run(rows, batch_sizes))
        base = statistics.median(times["torch.nn.LSTM"])
        for name, values in times.items():
            median = statistics.median(values)
            sys.stdout.write(f"{size:3} {name:24} {median:8.2f} ms   x{base / median:.2f}\n")


if __name__ == "__main__":
    main()

"""Adversarial training: each batch again, its input moved in the direction that hurts most."""

import torch
from torch import Tensor

from tagbelt.model.batch import Batch
from tagbelt.model.cells.packed import sequence_of_rows
from tagbelt.model.network import Network

_TINY = 1e-12


def adversarial_backward(network: Network, batch: Batch, size: float) -> Tensor:
    """Add the gradients of the loss, and of the loss of the moved input; return the first loss.

    What the encoder reads moves along its gradient (Miyato et al. 2017), each sentence by `size`
    times the root of its tokens. Character features are computed, and passed back through, once.
    """
    rows = network.rows(batch)
    given = rows.detach().requires_grad_()
    loss = network.nll(batch, given)
    loss.backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None  # for the type checker: `given` is a leaf
    moved = (given.detach() + size * direction(given.grad, batch.batch_sizes)).requires_grad_()
    network.nll(batch, moved).backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    rows.backward(given.grad + moved.grad)  # type: ignore[no-untyped-call]
    return loss.detach()


def direction(gradient: Tensor, batch_sizes: Tensor) -> Tensor:
    """Scale packed rows [N, D] so that a token's row of a sentence has a mean square norm of 1."""
    sequence = sequence_of_rows(batch_sizes).to(gradient.device)
    squares = gradient.new_zeros(int(batch_sizes[0]))
    squares.index_add_(0, sequence, gradient.square().sum(1))
    tokens = torch.bincount(sequence)
    return gradient * (tokens / (squares + _TINY)).sqrt()[sequence, None]

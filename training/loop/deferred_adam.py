"""Adam for a network with large tables, of which a batch touches a few rows.

Adam (Kingma & Ba 2015) moves every weight at every step: a word that the batch lacks still follows
its momentum. Done as written, each step sweeps the whole table and its two moments. Here a row is
left alone until it is read again, and then makes up for all steps it missed at once: without a
gradient its moments only decay, so that the sum of its moves has a closed form. The result is
Adam's, not that of a "lazy" Adam, which would stop the momentum of idle rows.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

CAPACITY = 4096
"""After so many steps at the latest all rows are brought up to date."""

WINDOW = 256
"""How many steps an idle row moves on: with the usual betas 0.9 ** 256 = 2e-12 is left then."""


class DeferredAdam(torch.optim.Adam):
    """Adam whose first parameter group is tables [V, E] with sparse gradients.

    Before rows of the tables are read, `catch_up` has to be called for them; before a whole
    table is read, `settle`. `state_dict` settles by itself, and is that of Adam. The one
    difference to Adam is that all moves a row has missed use the `eps` of the last one.
    """

    def __init__(
        self,
        tables: Sequence[Tensor],
        others: Iterable[Tensor],
        learning_rate: float,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        """`weight_decay` is that of the others, `decoupled` as AdamW has it."""
        groups: list[dict[str, Any]] = [
            {"params": list(tables), "weight_decay": 0.0},
            {"params": list(others)},
        ]
        super().__init__(
            groups,
            learning_rate,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled,
            fused=True,
        )
        self._tables = [_Table(table, self) for table in tables]

    @torch.no_grad()
    def catch_up(self, *rows: Tensor) -> None:
        """Bring rows [n] of each table (one may occur twice) to where Adam would have them."""
        for table, wanted in zip(self._tables, rows, strict=True):
            table.catch_up(wanted)

    @torch.no_grad()
    def settle(self) -> None:
        """Bring all tables up to date."""
        for table in self._tables:
            table.settle()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the rows that have a gradient, and all other weights."""
        weights = [table.weight for table in self._tables]
        gradients = [weight.grad for weight in weights]
        for weight in weights:
            weight.grad = None
        super().step(closure)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        for table in self._tables:
            table.step()

    def state_dict(self) -> dict[str, Any]:
        """Return Adam's state."""
        self.settle()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over Adam's state, with which all rows are up to date."""
        super().load_state_dict(state_dict)
        for table in self._tables:
            table.forget()


class _Table:
    """One table of the optimiser, with what its idle rows have missed."""

    def __init__(self, weight: Tensor, optimiser: torch.optim.Adam) -> None:
        self.weight = weight
        self._optimiser = optimiser
        first, second = self._betas
        ages = torch.arange(WINDOW, 0, -1, dtype=torch.float64)
        self._fading = ((first / second**0.5) ** ages).to(weight.device)  # [WINDOW]
        # Steps are counted from the last time that all rows were up to date.
        self._steps = 0
        self._last = torch.zeros(len(weight), dtype=torch.long, device=weight.device)  # [V]
        # How far a row that was last moved at a step has to go, in units of its moments' ratio.
        self._missed = torch.zeros(CAPACITY + 1, dtype=torch.float64, device=weight.device)

    def catch_up(self, rows: Tensor) -> None:
        if self._steps:
            self._catch_up(rows)

    def settle(self) -> None:
        if self._steps:
            self._catch_up(slice(None))
            self.forget()

    def step(self) -> None:
        if self._steps == CAPACITY:
            self.settle()
        if self.weight.grad is not None:
            self._move(self.weight.grad.coalesce())

    def forget(self) -> None:
        self._steps = 0
        self._last.zero_()
        self._missed.zero_()

    @property
    def _group(self) -> dict[str, Any]:
        # That of the optimiser: loading its state replaces it.
        group: dict[str, Any] = self._optimiser.param_groups[0]
        return group

    @property
    def _betas(self) -> tuple[float, float]:
        first, second = self._group["betas"]
        return first, second

    def _moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """The table's count of steps, and its moments [V, E]."""
        state = self._optimiser.state[self.weight]
        if not state:
            state["step"] = torch.zeros((), device=self.weight.device)
            state["exp_avg"] = torch.zeros_like(self.weight)
            state["exp_avg_sq"] = torch.zeros_like(self.weight)
        return state["step"], state["exp_avg"], state["exp_avg_sq"]

    def _unbiased(self, step: Tensor) -> float:
        """By how much the second moment's root is too small, having started at zero."""
        return float((1 - self._betas[1] ** float(step)) ** 0.5)

    def _catch_up(self, rows: Tensor | slice) -> None:
        step, means, squares = self._moments()
        last = self._last[rows]  # [n]
        missed, idle = self._missed[last], self._steps - last
        mean, square = means[rows], squares[rows]  # [n, E]
        ratio = mean / (square.sqrt() + self._group["eps"] * self._unbiased(step))
        self.weight[rows] = self.weight[rows] - missed[:, None].to(mean.dtype) * ratio
        first, second = (
            torch.pow(beta, idle.double())[:, None].to(mean.dtype) for beta in self._betas
        )
        means[rows] = mean * first
        squares[rows] = square * second
        self._last[rows] = self._steps

    def _move(self, gradient: Tensor) -> None:
        rows, values = gradient.indices()[0], gradient.values()
        step, means, squares = self._moments()
        step += 1
        first, second = self._betas
        rate, eps = self._group["lr"], self._group["eps"]
        unbiased = self._unbiased(step)
        rate /= 1 - first ** float(step)
        mean = torch.lerp(means[rows], values, 1 - first)
        square = (squares[rows] * second).addcmul_(values, values, value=1 - second)
        means[rows], squares[rows] = mean, square
        ratio = mean / (square.sqrt().div_(unbiased) + eps)
        self.weight[rows] = self.weight[rows] - rate * ratio
        begin = max(0, self._steps + 1 - WINDOW)
        self._steps += 1
        window = slice(begin, self._steps)
        self._missed[window] += rate * unbiased * self._fading[begin - self._steps :]
        self._last[rows] = self._steps

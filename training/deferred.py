"""Adam for a network with a large word table, of which a batch touches a few rows.

Adam (Kingma & Ba 2015) moves every weight at every step: a word that the batch lacks still follows
its momentum. Done as written, each step sweeps the whole table and its two moments. Here a row is
left alone until it is read again, and then makes up for all steps it missed at once: without a
gradient its moments only decay, so that the sum of its moves has a closed form. The result is
Adam's, not that of a "lazy" Adam, which would stop the momentum of idle rows.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

CAPACITY = 4096
"""After so many steps at the latest all rows are brought up to date."""

WINDOW = 256
"""How many steps an idle row moves on: with the usual betas 0.9 ** 256 = 2e-12 is left then."""


class DeferredAdam(torch.optim.Adam):
    """Adam whose first parameter group is one table [V, E] with sparse gradients.

    Before rows of the table are read, `catch_up` has to be called for them; before the whole
    table is read, `settle`. `state_dict` settles by itself, and is that of Adam. The one
    difference to Adam is that all moves a row has missed use the `eps` of the last one.
    """

    def __init__(
        self,
        table: nn.Parameter,
        others: Iterable[nn.Parameter],
        learning_rate: float,
        *,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        """`weight_decay` is that of the others, `decoupled` as AdamW has it."""
        groups: list[dict[str, Any]] = [
            {"params": [table], "weight_decay": 0.0},
            {"params": list(others)},
        ]
        super().__init__(
            groups,
            learning_rate,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled,
            fused=True,
        )
        self._table = table
        first, second = self._betas
        ages = torch.arange(WINDOW, 0, -1, dtype=torch.float64)
        self._fading = ((first / second**0.5) ** ages).to(table.device)  # [WINDOW]
        # Steps are counted from the last time that all rows were up to date.
        self._steps = 0
        self._last = torch.zeros(len(table), dtype=torch.long, device=table.device)  # [V]
        # How far a row that was last moved at a step has to go, in units of its moments' ratio.
        self._missed = torch.zeros(CAPACITY + 1, dtype=torch.float64, device=table.device)

    @torch.no_grad()
    def catch_up(self, words: Tensor) -> None:
        """Bring the rows of `words` [n] (a row may occur twice) to where Adam would have them."""
        if self._steps:
            self._catch_up(words)

    @torch.no_grad()
    def settle(self) -> None:
        """Bring the whole table up to date."""
        if self._steps:
            self._catch_up(slice(None))
            self._forget()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the rows that have a gradient, and all other weights."""
        gradient, self._table.grad = self._table.grad, None
        super().step(closure)
        self._table.grad = gradient
        if self._steps == CAPACITY:
            self.settle()
        if gradient is not None:
            self._move(gradient.coalesce())

    def state_dict(self) -> dict[str, Any]:
        """Return Adam's state."""
        self.settle()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over Adam's state, with which all rows are up to date."""
        super().load_state_dict(state_dict)
        self._forget()

    @property
    def _betas(self) -> tuple[float, float]:
        first, second = self.param_groups[0]["betas"]
        return first, second

    def _forget(self) -> None:
        self._steps = 0
        self._last.zero_()
        self._missed.zero_()

    def _moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """The table's count of steps, and its moments [V, E]."""
        state = self.state[self._table]
        if not state:
            state["step"] = torch.zeros((), device=self._table.device)
            state["exp_avg"] = torch.zeros_like(self._table)
            state["exp_avg_sq"] = torch.zeros_like(self._table)
        return state["step"], state["exp_avg"], state["exp_avg_sq"]

    def _unbiased(self, step: Tensor) -> float:
        """By how much the second moment's root is too small, having started at zero."""
        return float((1 - self._betas[1] ** float(step)) ** 0.5)

    def _catch_up(self, rows: Tensor | slice) -> None:
        step, means, squares = self._moments()
        last = self._last[rows]  # [n]
        missed, idle = self._missed[last], self._steps - last
        mean, square = means[rows], squares[rows]  # [n, E]
        ratio = mean / (square.sqrt() + self.param_groups[0]["eps"] * self._unbiased(step))
        self._table[rows] = self._table[rows] - missed[:, None].to(mean.dtype) * ratio
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
        rate, eps = self.param_groups[0]["lr"], self.param_groups[0]["eps"]
        unbiased = self._unbiased(step)
        rate /= 1 - first ** float(step)
        mean = torch.lerp(means[rows], values, 1 - first)
        square = (squares[rows] * second).addcmul_(values, values, value=1 - second)
        means[rows], squares[rows] = mean, square
        ratio = mean / (square.sqrt().div_(unbiased) + eps)
        self._table[rows] = self._table[rows] - rate * ratio
        begin = max(0, self._steps + 1 - WINDOW)
        self._steps += 1
        window = slice(begin, self._steps)
        self._missed[window] += rate * unbiased * self._fading[begin - self._steps :]
        self._last[rows] = self._steps

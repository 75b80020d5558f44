"""Word vectors, computed once a form: a table of the forms met so far, bounded."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

CAPACITY = 65_536
"""Forms kept at once; at 100 features that is 26 MB."""

CHARACTERS = 32
"""Of all kept forms, on average: a table full of megabyte-long "words" would not be bounded."""

PADDING_ROW = 0

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]


class Lexicon:
    """Looks forms up in a table of vectors and computes those it has not met, in one call.

    The table never grows beyond its capacity (but for a batch that does so alone): when ever-new
    forms have filled it, it forgets them and begins anew. Safe to use from several threads.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[str]], FloatArray],
        size: int,
        *,
        capacity: int = CAPACITY,
    ) -> None:
        """`compute` maps n forms to vectors [n, size]."""
        self._compute = compute
        self._capacity = capacity
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._characters = 0
        self._table = np.zeros((1024, size), dtype=np.float32)

    def __len__(self) -> int:
        """How many forms are in the table."""
        return len(self._rows)

    def gather(self, forms: Sequence[str], cells: IntArray, shape: tuple[int, int]) -> FloatArray:
        """Return vectors [*shape, size], where form i fills the cells that `cells` gives it.

        `cells` [n] index the flattened `shape`; cells that no form fills are zero.
        """
        grid = np.full(shape[0] * shape[1], PADDING_ROW, dtype=np.intp)
        with self._lock:
            grid[cells] = self._find(forms)
            # Taken under the lock: another thread may empty the table.
            return self._table.take(grid, axis=0).reshape(*shape, -1)

    def _find(self, forms: Sequence[str]) -> IntArray:
        rows = self._rows
        try:
            return np.fromiter(map(rows.__getitem__, forms), dtype=np.intp, count=len(forms))
        except KeyError:
            self._add(forms)
        return np.fromiter(map(self._rows.__getitem__, forms), dtype=np.intp, count=len(forms))

    def _add(self, forms: Sequence[str]) -> None:
        """Compute what is missing; a batch that alone exceeds the capacity still gets its rows."""
        missing = [form for form in dict.fromkeys(forms) if form not in self._rows]
        if self._is_full_with(missing):
            self._rows, self._characters = {}, 0
            missing = list(dict.fromkeys(forms))
        first = len(self._rows) + 1
        self._reserve(first + len(missing))
        self._table[first : first + len(missing)] = self._compute(missing)
        self._rows.update((form, row) for row, form in enumerate(missing, start=first))
        self._characters += sum(map(len, missing))

    def _is_full_with(self, forms: Sequence[str]) -> bool:
        characters = self._characters + sum(map(len, forms))
        too_many = len(self._rows) + len(forms) > self._capacity
        return too_many or characters > self._capacity * CHARACTERS

    def _reserve(self, rows: int) -> None:
        """Make room for that many rows by doubling, but for no more than a full table has."""
        bound = max(rows, self._capacity + 1)
        if rows > len(self._table):
            table = np.zeros((min(2 * rows, bound), self._table.shape[1]), dtype=np.float32)
            table[: len(self._table)] = self._table
            self._table = table
        elif len(self._table) > bound:
            self._table = self._table[:bound].copy()

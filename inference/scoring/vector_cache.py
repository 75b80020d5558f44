"""Word vectors, computed once a form: a table of the forms met so far, bounded."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.threads import renew_in_child

CAPACITY = 65_536
"""Forms in a table, of which two are kept; at 100 features that is twice 26 MB, or 7 of bytes."""

CHARACTERS = 32
"""Of all kept forms, on average: a table full of megabyte-long "words" would not be bounded."""

PADDING_ROW = 0
_FIRST_ROWS = 1024

Table = NDArray[Any]
"""Rows of float32, or of bytes."""
IntArray = NDArray[np.intp]


def vector_row(kind: type[np.float32] | type[np.uint8], size: int) -> np.dtype[Any]:
    """Return the type of a row that is a vector alone: tables of them are [R, size]."""
    return np.dtype((kind, (size,)))


class VectorCacheUse(NamedTuple):
    """Numbers of forms looked up: those at hand, and those that had to be computed."""

    hits: int
    misses: int


@dataclass(frozen=True, eq=False, slots=True)
class FormVectors:
    """Rows of n forms: `rows` [n + 1] into `table` [R], the last one a row of zeros.

    Valid for as long as it is held: what the cache learns or forgets later is not seen here.
    """

    table: Table
    rows: IntArray

    def gather(self, index: IntArray) -> Table:
        """Return the rows [*index.shape] of the forms at `index`, zeros for -1."""
        return self.table.take(self.rows.take(index), axis=0)

    def locate(self, index: IntArray) -> tuple[Table, IntArray]:
        """Return a table and where the rows [*index.shape] of the forms at `index` stand in it."""
        return self.table, self.rows.take(index)


class VectorCache:
    """Looks forms up in a table of vectors and computes those it has not met, in one call.

    The table never grows beyond its capacity (but for a call that does so alone): when ever-new
    forms have filled it, it begins anew, and the full one is kept until that is full in its turn,
    so that the frequent forms move over and are not computed again. Safe to use from several
    threads: none waits while another computes.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[str]], Table],
        row: np.dtype[Any],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        """`compute` maps n forms to n rows, such as `vector_row` or a context has them."""
        self._row = row
        self._compute = compute
        self._capacity = capacity
        self._lock = threading.Lock()
        self.forget()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew if a thread that a forked child does not have was at the table."""
        if self._lock.locked():
            self._lock = threading.Lock()
            self.forget()

    def forget(self) -> None:
        """Begin anew, as if nothing had been looked up."""
        self._lookups = self._misses = 0
        self._begin()
        self._older = self._rows, self._table

    def __len__(self) -> int:
        """Return how many forms are in the table."""
        return len(self._rows)

    def use(self) -> VectorCacheUse:
        """Count the forms looked up so far."""
        with self._lock:
            return VectorCacheUse(self._lookups - self._misses, self._misses)

    def find(self, forms: Sequence[str]) -> FormVectors:
        """Look the forms up; those that are missing are computed, each once."""
        with self._lock:
            self._lookups += len(forms)
            try:
                return FormVectors(self._table, self._look_up(forms))
            except KeyError:
                pass
        return self._find_new(forms)

    def _find_new(self, forms: Sequence[str]) -> FormVectors:
        """As `find`; what two threads miss at the same time, both compute."""
        rows: dict[str, int] = {}
        computed = np.empty(0, self._row)
        while True:
            with self._lock:
                # Anew each time: another thread may have made the table forget some.
                missing = [form for form in dict.fromkeys(forms) if form not in self._rows]
                older = self._older[0]
                new = [form for form in missing if form not in rows and form not in older]
                if not new:
                    self._add(forms, missing, rows, computed)
                    return FormVectors(self._table, self._look_up(forms))
                self._misses += len(new)
            vectors = self._compute(new)
            computed = np.concatenate([computed, vectors]) if rows else vectors
            rows.update(zip(new, count(len(rows)), strict=False))

    def _look_up(self, forms: Sequence[str]) -> IntArray:
        rows = np.empty(len(forms) + 1, np.intp)
        rows[:-1] = np.fromiter(map(self._rows.__getitem__, forms), np.intp, len(forms))
        rows[-1] = PADDING_ROW
        return rows

    def _add(
        self, forms: Sequence[str], missing: list[str], rows: dict[str, int], computed: Table
    ) -> None:
        """Add what is missing; a call that alone exceeds the capacity still gets its rows.

        Rows that were handed out are never written to again: new forms go behind them, and a
        table that grows or begins anew is a new array.
        """
        sources = [(rows, computed), self._older]
        if self._is_full_with(missing):
            full = self._rows, self._table
            sources.append(full)
            missing = list(dict.fromkeys(forms))
            # What a single call left beyond the bounds is not kept.
            self._older = ({}, self._table[:0]) if self._is_full_with(()) else full
            self._begin()
        first = len(self._rows) + 1
        self._reserve(first + len(missing))
        added = self._table[first : first + len(missing)]
        for known, table in sources:
            if known:
                found = np.array([known.get(form, -1) for form in missing], np.intp)
                added[found >= 0] = table[found[found >= 0]]
        self._rows.update(zip(missing, count(first), strict=False))
        self._characters += sum(map(len, missing))

    def _begin(self) -> None:
        self._rows: dict[str, int] = {}
        self._characters = 0
        rows = min(_FIRST_ROWS, self._capacity + 1)
        self._table = np.zeros(rows, self._row)

    def _is_full_with(self, forms: Sequence[str]) -> bool:
        characters = self._characters + sum(map(len, forms))
        too_many = len(self._rows) + len(forms) > self._capacity
        return too_many or characters > self._capacity * CHARACTERS

    def _reserve(self, rows: int) -> None:
        """Make room for that many rows by doubling, but for no more than a full table has."""
        if rows > len(self._table):
            bound = max(rows, self._capacity + 1)
            table = np.zeros(min(2 * rows, bound), self._row)
            table[: len(self._rows) + 1] = self._table[: len(self._rows) + 1]
            self._table = table

"""Findings: what was found, where, how bad, and a bounded number of examples of each kind."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """error: training would refuse the file. warning: look at it. note: worth knowing."""

    error = "error"
    warning = "warning"
    note = "note"


KINDS: dict[str, tuple[Severity, str]] = {
    "unreadable": (Severity.error, "the file cannot be read"),
    "wrong-columns": (Severity.error, "rows with another number of columns than the file"),
    "unknown-tag": (Severity.error, "tags of no scheme"),
    "scheme": (Severity.error, "the tag scheme cannot be told"),
    "invalid-transition": (Severity.error, "tags that are not valid where they stand"),
    "no-sentences": (Severity.warning, "a file without sentences"),
    "index-column": (Severity.warning, "the token column holds row numbers, not words"),
    "other-scheme": (Severity.warning, "a file in another scheme than the first"),
    "duplicate-between": (Severity.warning, "sentences that an earlier file has too"),
    "contradiction": (Severity.warning, "a sentence again, with other entities"),
    "missing-label": (Severity.warning, "labels that another file has"),
    "rare-label": (Severity.warning, "labels with few entities in the first file"),
    "long-sentence": (Severity.warning, "very long sentences"),
    "empty-token": (Severity.warning, "tokens that are empty or nothing but white space"),
    "space-in-token": (Severity.warning, "tokens with white space in them"),
    "boundary-space": (Severity.warning, "entities that begin or end with white space"),
    "zero-width": (Severity.warning, "characters that take no room"),
    "byte-order-mark": (Severity.warning, "U+FEFF inside the file"),
    "control": (Severity.warning, "control characters"),
    "private-use": (Severity.warning, "private-use or unassigned characters"),
    "replacement": (Severity.warning, "U+FFFD: what was there is lost"),
    "not-nfc": (Severity.warning, "tokens that are not in Unicode's composed form (NFC)"),
    "open": (Severity.note, "tokens of which not all is known"),
    "full-width": (Severity.note, "full-width Latin letters, digits and signs"),
    "boundary-punctuation": (Severity.note, "entities that begin or end with punctuation"),
    "duplicate-within": (Severity.note, "sentences that the same file has already"),
    "inconsistent": (Severity.note, "the same words with different labels"),
}
"""Every kind of finding, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Example:
    """One place. `line` is counted from 1; `None` where the whole file is meant."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Findings:
    """The findings; of each kind all are counted and the first `max_examples` kept."""

    max_examples: int = 5
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)

    def add(self, kind: str, path: str, line: int | None, message: str) -> None:
        """Count one finding, a kind of KINDS."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < self.max_examples:
            kept.append(Example(path, line, message))

    def kinds(self) -> Iterable[str]:
        """The kinds that were found, the worst first."""
        return [kind for kind in KINDS if kind in self.counts]

    def total(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(n for kind, n in self.counts.items() if KINDS[kind][0] is severity)

    def as_json(self) -> list[dict[str, Any]]:
        """The findings as JSON values."""
        return [
            {
                "kind": kind,
                "severity": KINDS[kind][0].value,
                "meaning": KINDS[kind][1],
                "count": self.counts[kind],
                "examples": [
                    {"path": e.path, "line": e.line, "message": e.message}
                    for e in self.examples[kind]
                ],
            }
            for kind in self.kinds()
        ]

"""The results of `tagbelt data` as text for people."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tagbelt.data.checking.findings import KINDS, Findings, Severity

if TYPE_CHECKING:
    from tagbelt.data.catalogue.entries import Entry
    from tagbelt.data.checking.check import Checked
    from tagbelt.data.checking.statistics import Lengths, Statistics
    from tagbelt.data.formats.record import Losses

LOSSES = {
    "not-annotated": "texts left out: nobody annotated them",
    "only-predicted": "texts left out: they have predictions, and nobody annotated them",
    "skipped": "texts left out: every annotation was cancelled or skipped",
    "trimmed": "entities without the white space at their edges",
    "joined": "entities in pieces with white space between, as one",
    "moved": "entities that --align made begin and end with tokens",
    "latin-1": "files that are not UTF-8, read as Latin-1",
    "no-offsets": "entities of HTML that have XPaths alone, and no globalOffsets",
    "misaligned": "entities that begin or end inside a token",
    "overlap": "entities that overlap a longer or earlier one",
    "bad-span": "entities that are no span of their text, or have no label",
    "other-text": "entities whose stated text is not what stands at their offsets",
    "discontinuous": "entities in several pieces",
    "not-a-span": "annotations that are no entities",
    "not-accepted": "texts left out: their annotation was not accepted",
    "other-annotation": "further annotations of one text",
    "relation": "relations between entities",
    "empty-entity": "entities whose tokens are all empty",
    "empty-text": "texts without a token",
    "open": "parts that are unlabelled, rejected or without a type, of which nothing would be left",
    "contradiction": "entities that are rejected as well",
    "token-boundaries": "sentences whose tokens cannot be told from their text",
}
"""The meaning of each kind of loss, and of what is told beside them."""


def check_report(checked: "Checked") -> str:
    """Return the files, the findings with their places, and a last line that sums up."""
    from tagbelt.data.checking.check import label_counts

    lines = []
    for file in checked.files:
        counts = label_counts(file)
        labels = ", ".join(f"{label} {n}" for label, n in counts.most_common())
        scheme = file.scheme or "scheme unknown"
        tokens = sum(len(s.tokens) for s in file.sentences)
        lines.append(
            f"{file.raw.path}: {len(file.sentences)} sentences, {tokens} tokens, "
            f"{counts.total()} entities ({labels or 'none'}), {scheme}"
        )
    lines.extend(_findings(checked.findings))
    totals = {severity: checked.findings.total(severity) for severity in Severity}
    summary = ", ".join(f"{_counted(n, severity)}" for severity, n in totals.items())
    return "\n".join([*lines, "", summary])


def stats_report(described: "Sequence[Statistics]") -> str:
    """Return a table with a column for each file."""
    labels = dict.fromkeys(label for d in described for label in d.labels)
    rows = [
        ["file", *(d.path for d in described)],
        ["scheme", *(d.scheme or "-" for d in described)],
        ["unit", *(d.unit for d in described)],
        ["documents", *(str(d.documents) for d in described)],
        ["sentences", *(str(d.sentences) for d in described)],
        ["tokens", *(str(d.tokens) for d in described)],
        ["entities", *(str(d.entities) for d in described)],
        *(["  " + label, *(str(d.labels.get(label, 0)) for d in described)] for label in labels),
        ["sentence length", *(_lengths(d.sentence_lengths) for d in described)],
        ["entity length", *(_lengths(d.entity_lengths) for d in described)],
        ["unseen entities", *(_percent(d.unseen_entities) for d in described)],
        ["unseen tokens", *(_percent(d.unseen_tokens) for d in described)],
    ]
    if any(d.faults for d in described):
        rows.append(["faulty rows or tags", *(str(d.faults) for d in described)])
    note = "Lengths in tokens: median / 95th percentile / longest. Unseen: in no earlier file."
    return "\n".join([*_table(rows), note])


def losses_report(losses: "Losses") -> str:
    """Return what a conversion cannot carry over: counts, and the first places of each kind."""
    lines = []
    for kind, count in losses.counts.items():
        lines.append(f"{kind} ({count}): {LOSSES[kind]}")
        shown = losses.examples[kind]
        lines.extend(f"  {example}" for example in shown)
        if len(shown) < count:
            lines.append(f"  ... {count - len(shown)} more")
    return "\n".join(lines)


def catalogue_report(catalogue: "Mapping[str, Entry]") -> str:
    """Return a line for each set."""
    width = max(map(len, catalogue), default=0)
    lines = []
    for name, entry in catalogue.items():
        size = sum(file.size for file in entry.files)
        how = f"{size / 1e6:.1f} MB" if entry.files else "not to be fetched"
        lines.append(f"{name:{width}}  {entry.language}  {how:>17}  {entry.title}")
    return "\n".join(lines)


def entry_report(name: str, entry: "Entry") -> str:
    """Return what a person should know of a set before it is fetched."""
    rows = [
        ("", entry.title),
        ("licence", entry.licence),
        ("home", entry.home),
        ("language", entry.language),
        ("columns", f"{','.join(entry.columns)} (separator: {entry.separator})"),
        ("files", ", ".join(f"{f.name} ({f.size / 1e6:.1f} MB)" for f in entry.files)),
        ("note", entry.notes),
    ]
    return "\n".join([name, *(f"  {key:8}  {value}" for key, value in rows if value)])


def show_progress(name: str, have: int, size: int | None) -> None:
    """Show on standard error how much of a file is there, if that is a terminal."""
    if size is not None and sys.stderr.isatty():
        end = "\r" if have < size else "\n"
        sys.stderr.write(f"\r{name}: {have / max(size, 1):4.0%} of {size / 1e6:.1f} MB{end}")
        sys.stderr.flush()


def _findings(findings: Findings) -> Iterator[str]:
    for kind in findings.kinds():
        severity, meaning = KINDS[kind]
        count, examples = findings.counts[kind], findings.examples[kind]
        yield ""
        yield f"{severity} {kind} ({count}): {meaning}"
        yield from (f"  {example}" for example in examples)
        if len(examples) < count:
            yield f"  ... {count - len(examples)} more"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _lengths(found: "Lengths") -> str:
    return f"{found.median} / {found.p95} / {found.longest}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()

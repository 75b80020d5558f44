"""Tables of what little data reaches: learning curves, a first model, a new label on an old one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from benchmarks.common.record import Row
from benchmarks.report.results import NOT_MEASURED
from benchmarks.report.tables import markdown

DEFAULTS = "defaults"
INIT = "init-en"

Result = Mapping[str, Any] | None


def curves(result: Result) -> str:
    """F1 on test by set and number of sentences, with a name and files alone."""
    if result is None:
        return NOT_MEASURED
    rows = [row for row in result["rows"] if row["variant"] == DEFAULTS]
    sizes = sorted({row["size"] for row in rows})
    by_set: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_set[row["set"]][row["size"]].append(row["f1"]["test"])
    body = [
        [name, *(_mean(found[size]) for size in sizes)] for name, found in sorted(by_set.items())
    ]
    return markdown(("set", *map(str, sizes)), body)


def beginnings(result: Result) -> str:
    """What it is worth to begin with the bundled English model, on the same draws."""
    if result is None:
        return NOT_MEASURED
    found = {_key(row): row for row in result["rows"] if row["variant"] == DEFAULTS}
    pairs: dict[tuple[str, int], list[tuple[Row, Row]]] = defaultdict(list)
    for row in result["rows"]:
        if row["variant"] == INIT and _key(row) in found:
            pairs[row["set"], row["size"]].append((found[_key(row)], row))
    body = []
    for (name, size), both in sorted(pairs.items()):
        without, begun = ([pair[side]["f1"]["test"] for pair in both] for side in (0, 1))
        seen = both[0][1]["seen_by_init"]
        body.append(
            (
                name,
                str(size),
                _mean(without),
                _mean(begun),
                f"{100 * (fmean(begun) - fmean(without)):+.1f}",
                f"{seen['train_seen']:,} of {seen['train_sentences']:,}",
                f"{seen['test_seen']:,} of {seen['test_sentences']:,}",
            )
        )
    header = ("set", "sentences", "from nothing", "from `en`", "difference")
    return markdown((*header, "seen: train", "seen: test"), body)


def new_label(result: Result) -> str:
    """What a new label costs the old ones, and what it reaches."""
    if result is None:
        return NOT_MEASURED
    rows = result["rows"]
    before, whole = (
        {row["system"].partition(",")[0]: row for row in rows if kind in row["system"]}
        for kind in ("old model", "from the beginning")
    )
    body = []
    for row in rows:
        system = row["system"].partition(",")[0]
        old, best = before[system], whole[system]["new"]
        is_added = "added" in row["system"]
        body.append(
            (
                row["system"],
                f"{100 * row['old']:.2f}",
                f"{100 * (row['old'] - old['old']):+.2f}" if is_added else "",
                f"{100 * row['new']:.2f}" if "old model" not in row["system"] else "",
                f"{row['new'] / best:.0%}" if is_added else "",
            )
        )
    return markdown(("", "PER LOC ORG", "lost", "MISC", "share"), body)


def _key(row: Row) -> tuple[str, int, int]:
    return row["set"], row["size"], row["draw"]


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    shown = f"{100 * fmean(values):.1f}"
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{shown}{spread} ({len(values)})"

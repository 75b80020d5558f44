"""Tables of the accuracy page: what was measured of the plan's rows, and nothing of the others."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from benchmarks.accuracy import few_tables
from benchmarks.accuracy.plan import Entry, Plan
from benchmarks.common.record import Row
from benchmarks.report.results import NOT_MEASURED
from benchmarks.report.tables import markdown

UNKNOWN = "-"
SIGNIFICANT = 0.05

LSTMS = ("lstm-peephole", "lstm-coupled", "lstm-coupled-peephole")
"""The LSTM's variants, as the rows of cells end in."""

FIGURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Measured:
    """The plan, what was measured of it by the rows' names, and what stands beside it."""

    plan: Plan
    rows: Mapping[str, Row]
    outside: Mapping[str, Any] | None = None
    everyday: Mapping[str, Any] | None = None
    curves: Mapping[str, Any] | None = None
    new_label: Mapping[str, Any] | None = None

    def of(self, group: str) -> Iterator[tuple[Entry, Row]]:
        """The rows of a group that there are results for."""
        for entry in self.plan.entries:
            if entry.group == group and entry.name in self.rows:
                yield entry, self.rows[entry.name]


Table = Callable[[Measured], str]


def percent(value: float) -> str:
    """A share as per cent."""
    return f"{100 * value:.2f}"


def mean_of(entry: Entry, row: Row) -> float:
    """The F1 that a row stands for, as shown: strict, on its split, mean over seeds, per cent."""
    return round(100 * float(row["f1"][entry.split]["strict"]["mean"]), 2)


def seeds(entry: Entry, row: Row) -> str:
    """How many seeds are finished, and how many were planned if that is more."""
    count = len(row["runs"])
    return str(count) if count >= entry.seeds else f"{count} of {entry.seeds}"


def spread(row: Row, split: str, mode: str = "strict") -> str:
    """Mean and standard deviation of a row's F1, as "91.02 ± 0.11"; "-" for an unknown split."""
    found = row["f1"].get(split)
    if found is None:
        return UNKNOWN
    mean, sd = found[mode]["mean"], found[mode]["sd"]
    return percent(mean) if sd is None else f"{percent(mean)} ± {percent(sd)}"


def probability(test: Mapping[str, float] | None) -> str:
    """The p of a test, or "-" where none was made."""
    if test is None:
        return UNKNOWN
    return "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"


def trained(row: Row) -> str:
    """How long a seed took."""
    epochs = sorted({run["epochs"] for run in row["runs"]})
    counted = "-".join(map(str, dict.fromkeys((epochs[0], epochs[-1]))))
    return f"{counted} epochs, {row['seconds']['mean'] / 60:.1f} min"


def verdict(entry: Entry, row: Row) -> str:
    """How the mean compares with what it was meant to reach."""
    mean = mean_of(entry, row)
    if entry.at_least is None:
        return ""
    if mean < entry.at_least:
        return f"missed by {entry.at_least - mean:.2f}"
    return "met" if entry.aim is None or mean < entry.aim else "met, and the aim"


def sets(measured: Measured) -> str:
    """The presets: every set with its scores."""
    header = (
        *("set", "input", "seeds", "dev", "test", "test, default"),
        *("test, corrected", "at least", "aim", ""),
    )
    body = [
        (
            entry.set,
            entry.what,
            seeds(entry, row),
            spread(row, "dev"),
            spread(row, "test"),
            spread(row, "test", "default"),
            _corrected(row),
            _goal(entry.at_least),
            _goal(entry.aim),
            verdict(entry, row),
        )
        for entry, row in measured.of("main")
    ]
    return markdown(header, body)


def _corrected(row: Row) -> str:
    """The mean F1 on the corrected test file; of other seeds than all, what they are."""
    found = row.get("corrected")
    if found is None:
        return UNKNOWN
    runs = found["runs"]
    f1 = [run["scores"]["f1"] for run in runs]
    told = percent(fmean(f1)) if len(f1) == 1 else f"{percent(fmean(f1))} ± {percent(stdev(f1))}"
    if found["of"] == [run.get("digest") for run in row["runs"]]:
        return told
    return f"{told} (n = {len(runs)}, test {percent(fmean(run['own'] for run in runs))})"


def _goal(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f}"


def commands(measured: Measured) -> str:
    """The same rows: what trains and serves them, and the seed that is best on dev."""
    best = ("best on dev", "its dev", "its P", "its R", "its F1")
    header = ("command", "a seed", "weights", "MB", "us a token", *best)
    body = [
        (
            f"`{entry.command}`",
            trained(row),
            f"{row['weights']['all']:,}",
            *_serving(row),
            *_best(entry, row),
        )
        for entry, row in measured.of("main")
    ]
    return markdown(header, body)


def _serving(row: Row) -> tuple[str, str]:
    """Size and time of a checkpoint; "-" for rows that were collected without."""
    found = row.get("serving")
    if found is None:
        return UNKNOWN, UNKNOWN
    return f"{found['bytes'] / 1e6:.1f}", f"{found['microseconds']:.2f}"


def _best(entry: Entry, row: Row) -> tuple[str, ...]:
    run = next(run for run in row["runs"] if run["seed"] == row["best_on_dev"])
    scores = run["scores"][entry.split]["strict"]
    dev = percent(run["scores"]["dev"]["strict"]["f1"])
    found = (percent(scores[name]) for name in ("precision", "recall", "f1"))
    return (f"seed {run['seed']}", dev, *found)


def beside(measured: Measured) -> str:
    """Our means among the figures of others, by set, lowest first."""
    body = []
    ours = [(entry, row) for entry, row in measured.of("main")]
    for name in dict.fromkeys(entry.set for entry, _ in ours):
        lines = [
            (mean_of(entry, row), f"**Tagbelt, {entry.name}**", entry.what)
            for entry, row in ours
            if entry.set == name
        ]
        lines += [
            (other.f1, other.who + (" †" if other.recalled else ""), other.features)
            for other in measured.plan.published
            if other.set == name
        ]
        body += [(name, who, what, f"{f1:.2f}") for f1, who, what in sorted(lines)]
    return markdown(("set", "", "input", "F1"), body)


def lists(measured: Measured) -> str:
    """The presets with term lists and without."""
    header = ("set", "with lists", "without", "difference", "p, seeds", "p, sentences")
    body = [
        (
            entry.set,
            spread(row, entry.split),
            spread(measured.rows[entry.base], entry.split),
            *_tests(entry, row),
        )
        for entry, row in measured.of("main")
        if "against" in row
    ]
    return markdown(header, body)


def _tests(entry: Entry, row: Row) -> tuple[str, str, str]:
    """Difference to the base, p over seeds, p over sentences."""
    found = row.get("against", {}).get(entry.split)
    if found is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    tests = (probability(found["over_seeds"]), probability(found.get("over_sentences")))
    return (f"{100 * found['difference']:+.2f}", *tests)


def cells(measured: Measured) -> str:
    """Every cell under the presets' recipe."""
    scores = ("set", "cell", "seeds", "dev", "test", "difference", "p, seeds", "p, sentences")
    header = (*scores, "weights", "of them recurrent", "a seed")
    body = []
    for _, found in groupby(measured.of("cells"), key=lambda pair: pair[0].set):
        pairs = list(found)
        base = pairs[0][0].base
        if base in measured.rows:
            entry = replace(measured.plan.by_name[base], what="`lstm`")
            body.append(_cell(entry, measured.rows[base], ("", "", "")))
        body += [_cell(entry, row, _tests(entry, row)) for entry, row in pairs]
    return markdown(header, body)


def _cell(entry: Entry, row: Row, tests: tuple[str, str, str]) -> tuple[str, ...]:
    weights = (f"{row['weights'][part]:,}" for part in ("all", "encoder"))
    scores = (spread(row, "dev"), spread(row, "test"))
    named = (entry.set, entry.what, seeds(entry, row))
    return (*named, *scores, *tests, *weights, trained(row))


def finding(measured: Measured) -> str:
    """Whether any variant of the LSTM differs from it by both tests, as Greff et al. found none."""
    compared = [
        (f"{entry.what} on {entry.set} ({100 * found['difference']:+.2f})", _is_clear(found))
        for entry, row in measured.of("cells")
        if entry.name.endswith(LSTMS) and (found := row.get("against", {}).get(entry.split))
    ]
    if not compared:
        return NOT_MEASURED
    clear = [text for text, is_clear in compared if is_clear]
    noun = "comparison" if len(compared) == 1 else "comparisons"
    counted = f"Of {len(compared)} {noun} of an LSTM variant with the plain one"
    if not clear:
        return f"{counted}, none is significant by both tests at 0.05: the finding holds here."
    verb = "is" if len(clear) == 1 else "are"
    return (
        f"{counted}, {len(clear)} {verb} significant by both tests at 0.05: {'; '.join(clear)}. "
        "There the finding does not hold."
    )


def _is_clear(found: Mapping[str, Any]) -> bool:
    tests = (found["over_seeds"], found.get("over_sentences"))
    return all(test is not None and test["p"] < SIGNIFICANT for test in tests)


def ablation(name: str, measured: Measured) -> str:
    """One change at a time on a set."""
    header = ("change", "seeds", "dev", "", "p", "test", "", "p", "a seed")
    body = [
        (entry.what, seeds(entry, row), *_changed(row, "dev"), *_changed(row, "test"), trained(row))
        for entry, row in measured.of("ablation")
        if entry.set == name
    ]
    return markdown(header, body)


def _changed(row: Row, split: str) -> tuple[str, str, str]:
    found = row.get("against", {}).get(split)
    if found is None:
        return (spread(row, split), "", "")
    difference = f"{100 * found['difference']:+.2f}"
    return (spread(row, split), difference, probability(found["over_seeds"]))


def missed(measured: Measured) -> str:
    """The presets that are below their target."""
    found = [
        f"- {entry.set}, {entry.what}: {mean_of(entry, row):.2f} of {entry.at_least:.1f}"
        for entry, row in measured.of("main")
        if verdict(entry, row).startswith("missed")
    ]
    return "\n".join(found) or "Of what was measured, nothing."


def outside(language: str, measured: Measured) -> str:
    """What each system finds in each set of a language, at what pace and size."""
    if measured.outside is None:
        return NOT_MEASURED
    body = []
    for row in measured.outside["rows"]:
        if row["language"] != language:
            continue
        line = [row["set"], row["system"]]
        line += [percent(row["scores"]["all"][figure]) for figure in FIGURES]
        line += [percent(row["scores"][label]["f1"]) for label in ("PER", "LOC", "ORG")]
        line += [f"{100 * row['behind']:+.2f}" if "behind" in row else ""]
        line += [probability(row["over_sentences"]) if "behind" in row else ""]
        error = row.get("calibration_error")
        line += [UNKNOWN if error is None else f"{error:.3f}"]
        line += [f"{row['tokens_per_second']:,.0f}"]
        size = row.get("megabytes")
        body.append([*line, UNKNOWN if size is None else f"{size:.1f}"])
    header = ("set", "system", "P", "R", "F1", "PER", "LOC", "ORG", "lead of ours", "p")
    return markdown((*header, "calibration error", "tokens/s", "MB"), body)


def mapping(measured: Measured) -> str:
    """The types of the gold files and of spaCy, and the label that each counts as."""
    if measured.outside is None:
        return NOT_MEASURED
    body = []
    for source, types in measured.outside["settings"]["mapping"].items():
        targets = dict.fromkeys(types.values())
        kept = [
            f"{', '.join(f'`{a}`' for a, b in types.items() if b == target)} → {target}"
            for target in targets
        ]
        body.append((source, "; ".join(kept)))
    return markdown(("types of", "taken as; all others left out"), body)


def everyday(measured: Measured) -> str:
    """F1 of each bundled model on the everyday sentences of its language, by group."""
    if measured.everyday is None:
        return NOT_MEASURED
    rows = measured.everyday["rows"]
    body = [[r["model"], r["group"], str(r["sentences"]), percent(r["f1"])] for r in rows]
    return markdown(("model", "group", "sentences", "F1"), body)


TABLES: Mapping[str, Table] = {
    "sets": sets,
    "commands": commands,
    "beside": beside,
    "missed": missed,
    "lists": lists,
    "cells": cells,
    "finding": finding,
    "ablation CoNLL-2003": partial(ablation, "CoNLL-2003"),
    "ablation Resume": partial(ablation, "Resume"),
    "outside English": partial(outside, "en"),
    "outside Chinese": partial(outside, "zh"),
    "mapping": mapping,
    "everyday": everyday,
    "curves": lambda measured: few_tables.curves(measured.curves),
    "beginnings": lambda measured: few_tables.beginnings(measured.curves),
    "new label": lambda measured: few_tables.new_label(measured.new_label),
}

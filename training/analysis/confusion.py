"""Which types are taken for which, and how entities are missed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tagbelt.training.analysis.tagged import Tagged, overlap


@dataclass(frozen=True)
class Confusion:
    """Counts of entities, by type in the order of `labels`.

    `same_bounds[gold][found]` counts predicted entities with the bounds of a gold one. Of the
    other gold entities, `gold_overlapped` share a token with a predicted one and `missed` with
    none; likewise `found_overlapped` and `spurious` of the predicted ones.
    """

    labels: tuple[str, ...]
    same_bounds: tuple[tuple[int, ...], ...]
    gold_overlapped: tuple[int, ...]
    missed: tuple[int, ...]
    found_overlapped: tuple[int, ...]
    spurious: tuple[int, ...]


def confusion(tagged: Sequence[Tagged], labels: Sequence[str]) -> Confusion:
    """Count; `labels` are the model's, those that only gold has are added behind them."""
    others = {span.label for item in tagged for span in item.gold} - set(labels)
    names = (*labels, *sorted(others))
    same: Counter[tuple[str, str]] = Counter()
    alone: dict[str, Counter[str]] = {
        kind: Counter() for kind in ("gold_overlapped", "missed", "found_overlapped", "spurious")
    }
    for item in tagged:
        gold = {(span.start, span.end): span.label for span in item.gold}
        found = {(span.start, span.end): span.label for span in item.found}
        same.update((gold[place], found[place]) for place in gold.keys() & found.keys())
        for span in item.gold:
            if (span.start, span.end) not in found:
                touched = any(overlap(span, other) for other in item.found)
                alone["gold_overlapped" if touched else "missed"][span.label] += 1
        for span in item.found:
            if (span.start, span.end) not in gold:
                touched = any(overlap(span, other) for other in item.gold)
                alone["found_overlapped" if touched else "spurious"][span.label] += 1
    matrix = tuple(tuple(same[row, column] for column in names) for row in names)
    counts = {kind: tuple(counter[name] for name in names) for kind, counter in alone.items()}
    return Confusion(labels=names, same_bounds=matrix, **counts)

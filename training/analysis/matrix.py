"""The table of which types are taken for which."""

from collections.abc import Sequence

from tagbelt.training.analysis.confusion import Confusion
from tagbelt.training.analysis.markup import escaped, scrolled


def confusion_table(counts: Confusion) -> str:
    """Return the table: a row a gold type, below them the predictions that no gold one matches."""
    labels = counts.labels
    totals = [
        sum(same) + overlapped + missed
        for same, overlapped, missed in zip(
            counts.same_bounds, counts.gold_overlapped, counts.missed, strict=True
        )
    ]
    lines = []
    for index, label in enumerate(labels):
        cells = [
            _cell(value, totals[index], is_right=column == index)
            for column, value in enumerate(counts.same_bounds[index])
        ]
        cells.append(_cell(counts.gold_overlapped[index], totals[index], apart=True))
        cells.append(_cell(counts.missed[index], totals[index]))
        lines.append(f'<tr><th scope="row">{escaped(label)}</th>{"".join(cells)}</tr>')
    lines.append(_alone("other bounds", counts.found_overlapped, totals, "under"))
    lines.append(_alone("spurious", counts.spurious, totals, ""))
    names = "".join(f'<th scope="col">{escaped(label)}</th>' for label in labels)
    head = (
        f'<tr><th scope="col">gold \\ predicted</th>{names}'
        '<th scope="col" class="apart">other bounds</th><th scope="col">missed</th></tr>'
    )
    body = "".join(lines)
    return scrolled(f'<table class="matrix"><thead>{head}</thead><tbody>{body}</tbody></table>')


def _alone(name: str, values: Sequence[int], totals: Sequence[int], kind: str) -> str:
    cells = "".join(_cell(value, total) for value, total in zip(values, totals, strict=True))
    rest = '<td class="apart"></td><td></td>'
    return f'<tr class="{kind}"><th scope="row">{name}</th>{cells}{rest}</tr>'


def _cell(value: int, total: int, *, is_right: bool = False, apart: bool = False) -> str:
    kinds = [
        name
        for name, holds in (("off", not is_right), ("zero", not value), ("apart", apart))
        if holds
    ]
    share = min(1.0, value / total) if total else 0.0
    # Small shares are what one looks for: the tint grows with the root.
    tint = f' style="--share:{share**0.5:.3f}"' if value else ""
    return f'<td class="{" ".join(kinds)}"{tint}>{value:,}</td>'

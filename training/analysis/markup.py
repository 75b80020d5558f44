"""Text made safe for a page, and the tables and marked sentences made of it."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence

from tagbelt.data.types import Span
from tagbelt.training.analysis.tagged import Tagged

HUES = 8
AROUND = 30
"""How many tokens of context stay on either side of the mistakes of a long sentence."""

# Control characters are not allowed in a page, escaped or not: their pictures are shown.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_PICTURES |= {code: "\ufffd" for code in range(0x80, 0xA0)}


def escaped(text: str) -> str:
    """Return text as HTML that shows it, inside an attribute as well."""
    return html.escape(text.translate(_PICTURES))


def table(head: Sequence[str], rows: Iterable[str]) -> str:
    """Lay rows out below a head whose first column holds names and whose others hold numbers."""
    first, *others = head
    cells = "".join(f'<th scope="col" class="number">{escaped(name)}</th>' for name in others)
    top = f'<thead><tr><th scope="col">{escaped(first)}</th>{cells}</tr></thead>'
    return scrolled(f"<table>{top}<tbody>{''.join(rows)}</tbody></table>")


def scrolled(content: str) -> str:
    """Return content that scrolls by itself where the page is narrower, by keys as well."""
    return f'<div class="scroll" tabindex="0">{content}</div>'


def row(name: str, cells: Sequence[str], kind: str = "") -> str:
    """Return a table's row; `cells` are HTML already."""
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    return f'{opening}<th scope="row">{escaped(name)}</th>{"".join(cells)}</tr>'


def number(value: int) -> str:
    """Return the cell of a count."""
    return f"<td>{value:,}</td>"


def percent(share: float) -> str:
    """Return the cell of a share, in per cent."""
    return f"<td>{100 * share:.2f}</td>"


def bar(share: float) -> str:
    """Return the cell of a share with a bar of its length behind it."""
    return f'<td class="bar" style="--share:{share:.4f}"><span>{100 * share:.2f}</span></td>'


def window(item: Tagged, spans: Sequence[Span]) -> tuple[int, int]:
    """Return the part of a sentence to show so that `spans` are seen in context."""
    first = max(0, min(span.start for span in spans) - AROUND)
    end = min(len(item.tokens), max(span.end for span in spans) + AROUND)
    # An entity is shown whole or not at all.
    for span in sorted({*item.gold, *item.found}):
        if span.start < first < span.end:
            first = span.start
        if span.start < end < span.end:
            end = span.end
    return first, end


def marked(
    item: Tagged,
    spans: Sequence[Span],
    part: tuple[int, int],
    *,
    gap: str,
    hues: Mapping[str, int],
    note: Callable[[Span], str],
) -> str:
    """Return a part of a sentence with `spans` marked; `note` is what stands behind a label.

    Those that gold and prediction share are paler. `gap` is what stands between tokens.
    """
    first, end = part
    pieces = ["\u2026"] if first else []
    place = first
    for span in sorted(spans):
        if span.start < place or span.end > end:
            continue
        pieces += [escaped(token) for token in item.tokens[place : span.start]]
        words = escaped(gap.join(item.tokens[span.start : span.end]))
        kind = ' class="right"' if span in item.true else ""
        label = escaped(f"{span.label}{note(span)}")
        hue = hues.get(span.label, HUES - 1)
        pieces.append(f'<mark data-hue="{hue}"{kind}>{words}<small>{label}</small></mark>')
        place = span.end
    pieces += [escaped(token) for token in item.tokens[place:end]]
    if end < len(item.tokens):
        pieces.append("\u2026")
    return gap.join(pieces)

"""Charts as SVG text. Colours come from the page's style sheet by `data-hue`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tagbelt.training.analysis.markup import escaped
from tagbelt.training.scores.reliability import Bin

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 14, 34
LINES = 5
"""About how many lines of the grid lie across a chart."""
UNITS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Line:
    """One curve: its name in the legend, its hue, a value an epoch."""

    name: str
    hue: int
    values: Sequence[float]


@dataclass(frozen=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def curves(
    title: str, epochs: Sequence[int], lines: Sequence[Line], *, style: str, best: int | None = None
) -> str:
    """Draw curves over epochs; `style` formats values (".0%"), `best` is an epoch to mark."""
    values = [value for line in lines for value in line.values]
    levels = _levels(min(values), max(values))
    x = _Axis(epochs[0], epochs[-1], LEFT, WIDTH - RIGHT)
    y = _Axis(levels[0], levels[-1], HEIGHT - BOTTOM, TOP)
    parts = [_grid(y, levels, style)]
    for epoch in _ticks(epochs):
        parts.append(_text(x(epoch), HEIGHT - 12, str(epoch), "middle"))
    if best is not None:
        parts.append(
            f'<line class="even" x1="{x(best)}" x2="{x(best)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
            f"<title>best epoch: {best}</title></line>"
        )
    for line in lines:
        parts.append(_curve(line, epochs, x, y, style))
    return _svg(title, parts) + _legend(lines)


def _curve(line: Line, epochs: Sequence[int], x: _Axis, y: _Axis, style: str) -> str:
    places = [(x(epoch), y(value)) for epoch, value in zip(epochs, line.values, strict=True)]
    path = " ".join(f"{a},{b}" for a, b in places)
    points = "".join(
        f'<circle class="point" cx="{a}" cy="{b}" r="2.5">'
        f"<title>epoch {epoch}: {escaped(line.name)} {value:{style}}</title></circle>"
        for (a, b), epoch, value in zip(places, epochs, line.values, strict=True)
    )
    return f'<g data-hue="{line.hue}"><polyline class="curve" points="{path}"/>{points}</g>'


def reliability(title: str, bins: Sequence[Bin]) -> str:
    """Draw the share of right entities over their mean posterior; a column for a bin's count."""
    x = _Axis(0.0, 1.0, LEFT, WIDTH - RIGHT)
    y = _Axis(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    most = max((part.count for part in bins), default=0) or 1
    full = [part for part in bins if part.count]
    parts = [_grid(y, _levels(0.0, 1.0), ".0%")]
    for tick in range(0, 11, 2):
        parts.append(_text(x(tick / 10), HEIGHT - 12, f"{tick / 10:.1f}", "middle"))
    for part in full:
        top = y(part.count / most)
        width = x(part.high) - x(part.low) - 4
        parts.append(
            f'<rect class="column faint" data-hue="7" x="{x(part.low) + 2:.1f}" y="{top}"'
            f' width="{width:.1f}" height="{HEIGHT - BOTTOM - top:.1f}" rx="2">'
            f"<title>{part.low:.1f} to {part.high:.1f}: {part.count:,} entities</title></rect>"
        )
    parts.append(
        f'<line class="even" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/><g data-hue="0">'
    )
    path = " ".join(f"{x(part.confidence)},{y(part.accuracy)}" for part in full)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    parts += [
        f'<circle class="point" cx="{x(part.confidence)}" cy="{y(part.accuracy)}" r="4">'
        f"<title>mean posterior {part.confidence:.3f}, right {part.accuracy:.1%},"
        f" {part.count:,} entities</title></circle>"
        for part in full
    ]
    return _svg(title, [*parts, "</g>"])


def _levels(low: float, high: float) -> list[float]:
    """Return about `LINES` round numbers, evenly spaced, that hold both values between them."""
    rough = ((high - low) or abs(high) or 1.0) / (LINES - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in UNITS if unit * power >= rough * (1 - 1e-9))
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(index * step, 9) for index in range(first, last + 1)]


def _grid(y: _Axis, levels: Sequence[float], style: str) -> str:
    return "".join(_row(y(level), f"{level:{style}}") for level in levels)


def _row(height: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}"/>'
    return line + _text(LEFT - 8, height + 4, label, "end")


def _ticks(epochs: Sequence[int]) -> Sequence[int]:
    """Return ten epochs or fewer to write out, the last one among them."""
    step = -(-len(epochs) // 10)
    return epochs[::-1][::step]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escaped(text)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(title)}">'
    return head + "".join(parts) + "</svg>"


def _legend(lines: Sequence[Line]) -> str:
    items = "".join(
        f'<li><span class="dot" data-hue="{line.hue}"></span>{escaped(line.name)}</li>'
        for line in lines
    )
    return f'<ul class="legend">{items}</ul>'

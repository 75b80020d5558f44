"""Where the parts of a chart lie, in pixels; `parts.html.j2` draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagbelt.training.scores.calibration import Bin

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 60, WIDTH - 14, 14, HEIGHT - 34
INSET = 40
"""How far from either side of a chart its outer dots stand, so that their names have room."""
LINES = 5
"""About how many lines of the grid lie across a chart."""
UNITS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Point:
    """A point of a curve, or where a label stands; `title` is what it tells."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Column:
    """A column that stands on the axis; `x` and `y` are those of its upper left corner."""

    x: float
    y: float
    width: float
    title: str


@dataclass(frozen=True)
class Curve:
    """One curve in the hue of that number; its `name` stands in the legend. Or dots alone."""

    name: str
    hue: int
    points: tuple[Point, ...]
    is_joined: bool = True


@dataclass(frozen=True)
class Chart:
    """A chart: its grid (a label a line), the labels below, columns, curves, and a dashed line."""

    title: str
    grid: tuple[Point, ...]
    ticks: tuple[Point, ...]
    curves: tuple[Curve, ...]
    radius: float
    columns: tuple[Column, ...] = ()
    dashed: tuple[Point, Point] | None = None


@dataclass(frozen=True)
class _Axis:
    """A map from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def epoch_chart(
    title: str,
    epochs: Sequence[int],
    curves: Sequence[tuple[str, int, Sequence[float]]],
    *,
    style: str,
    best: int | None = None,
) -> Chart:
    """Lay out curves (name, hue, values) over epochs.

    `style` formats values (".0%"), `best` is an epoch to mark.
    """
    values = [value for _, _, row in curves for value in row]
    levels = _levels(min(values), max(values))
    x, y = _Axis(epochs[0], epochs[-1], LEFT, RIGHT), _Axis(levels[0], levels[-1], BOTTOM, TOP)

    def points(name: str, row: Sequence[float]) -> tuple[Point, ...]:
        pairs = zip(epochs, row, strict=True)
        return tuple(Point(x(n), y(v), f"epoch {n}: {name} {v:{style}}") for n, v in pairs)

    mark = None
    if best is not None:
        told = f"best epoch: {best}"
        mark = (Point(x(best), TOP, told), Point(x(best), BOTTOM, told))
    return Chart(
        title,
        grid=_grid(y, levels, style),
        ticks=tuple(Point(x(epoch), BOTTOM, str(epoch)) for epoch in _ticks(epochs)),
        curves=tuple(Curve(name, hue, points(name, row)) for name, hue, row in curves),
        radius=2.5,
        dashed=mark,
    )


@dataclass(frozen=True)
class Dot:
    """A dot at a number or a name, in the hue of that number; `title` is what it tells."""

    x: bool | int | float | str
    y: float
    hue: int
    title: str


def dot_chart(
    title: str,
    dots: Sequence[Dot],
    *,
    style: str,
    log: bool = False,
    line: Sequence[tuple[float, float]] = (),
    names: Mapping[int, str] | None = None,
) -> Chart:
    """Lay out dots, and a line through other points in the hue 7; `names` of hues make a legend.

    `style` formats heights. Where no dot stands at a number, names stand side by side, in order.
    """
    values = [dot.y for dot in dots] + [value for _, value in line]
    levels = _levels(min(values, default=0.0), max(values, default=1.0))
    y = _Axis(levels[0], levels[-1], BOTTOM, TOP)
    places: dict[bool | int | float | str, float] = {
        dot.x: _number(dot.x, log) for dot in dots if not isinstance(dot.x, bool | str)
    }
    if len(places) < len({dot.x for dot in dots}):
        places = {name: float(n) for n, name in enumerate(sorted({dot.x for dot in dots}, key=str))}
        ticks = [(place, str(name)) for name, place in places.items()]
    else:
        ticks = _numbers([dot.x for dot in dots if not isinstance(dot.x, str)], log)
    x = _Axis(
        min(places.values(), default=0),
        max(places.values(), default=0),
        LEFT + INSET,
        RIGHT - INSET,
    )
    curves = [
        Curve(
            (names or {}).get(hue, ""),
            hue,
            tuple(Point(x(places[d.x]), y(d.y), d.title) for d in dots if d.hue == hue),
            is_joined=False,
        )
        for hue in sorted({dot.hue for dot in dots})
    ]
    if line:
        points = tuple(Point(x(_number(n, log)), y(v), f"{v:{style}}") for n, v in line)
        curves.insert(0, Curve((names or {}).get(7, ""), 7, points))
    labels = tuple(Point(x(place), BOTTOM, name) for place, name in ticks)
    return Chart(title, _grid(y, levels, style), labels, tuple(curves), radius=4)


def _number(value: float, log: bool) -> float:
    return math.log10(value) if log else float(value)


def _numbers(values: Sequence[float], log: bool) -> list[tuple[float, str]]:
    """Return where to write out numbers: a few whole ones, else both ends and the middle."""
    low, high = min(values), max(values)
    middle = math.sqrt(low * high) if log else (low + high) / 2
    shown: Sequence[float] = (low, middle, high)
    if all(isinstance(value, int) for value in values):
        whole = sorted(set(values))
        shown = whole if len(whole) <= LINES else (low, round(middle), high)
    found = {f"{value:.3g}": _number(value, log) for value in shown}
    return [(place, name) for name, place in found.items()]


def reliability_chart(title: str, bins: Sequence[Bin]) -> Chart:
    """Lay out the share of right entities over their mean posterior; a column a bin's count."""
    x, y = _Axis(0.0, 1.0, LEFT, RIGHT), _Axis(0.0, 1.0, BOTTOM, TOP)
    most = max((part.count for part in bins), default=0) or 1
    full = [part for part in bins if part.count]
    points = tuple(
        Point(
            x(part.confidence),
            y(part.accuracy),
            f"mean posterior {part.confidence:.3f}, right {part.accuracy:.1%},"
            f" {part.count:,} entities",
        )
        for part in full
    )
    columns = tuple(
        Column(
            round(x(part.low) + 2, 1),
            y(part.count / most),
            round(x(part.high) - x(part.low) - 4, 1),
            f"{part.low:.1f} to {part.high:.1f}: {part.count:,} entities",
        )
        for part in full
    )
    return Chart(
        title,
        grid=_grid(y, _levels(0.0, 1.0), ".0%"),
        ticks=tuple(Point(x(n / 10), BOTTOM, f"{n / 10:.1f}") for n in range(0, 11, 2)),
        curves=(Curve("", 0, points),),
        radius=4,
        columns=columns,
        dashed=(Point(x(0.0), y(0.0), ""), Point(x(1.0), y(1.0), "")),
    )


def _levels(low: float, high: float) -> list[float]:
    """Return about `LINES` round numbers, evenly spaced, that hold both values between them."""
    rough = ((high - low) or abs(high) or 1.0) / (LINES - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * power for unit in UNITS if unit * power >= rough * (1 - 1e-9))
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(index * step, 9) for index in range(first, last + 1)]


def _grid(y: _Axis, levels: Sequence[float], style: str) -> tuple[Point, ...]:
    return tuple(Point(LEFT, y(level), f"{level:{style}}") for level in levels)


def _ticks(epochs: Sequence[int]) -> Sequence[int]:
    """Return ten epochs or fewer to write out, the last one among them."""
    step = -(-len(epochs) // 10)
    return epochs[::-1][::step]

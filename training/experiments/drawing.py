"""How plots look: colours that people of any colour vision tell apart, for light pages and dark."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

# Okabe and Ito's colours; in plots of speed ours is the first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#000000")
MARKERS = "osD^vPX*"
STYLE: Any = {
    "svg.hashsalt": "tagbelt",
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
LOOKS: Mapping[str, tuple[int, str]] = {
    "rnn": (6, "-"),
    "lstm": (0, "-"),
    "lstm-peephole": (5, "-"),
    "lstm-coupled": (2, "-"),
    "gru": (1, "-"),
    "mgu": (4, "-"),
    "lstm b_f=0": (3, ":"),
    "lstm b_f=5": (3, "--"),
    "lstm f=1": (3, "-."),
}
"""The colour and line of each cell, and of lstm with other forget gates, in every plot."""
LEVELS = ("#f4f4f1", "#d4e4f7", "#a9cbef", "#72a9e3", "#3f87d6")
"""Fills of a table's fields, from none to all; dark ink is readable on each."""
DARK: Mapping[str, str] = {
    "#ffffff": "#15181d",
    "#000000": "#e7e9ed",
    "#b0b0b0": "#5b616b",
    "#555555": "#b4bac5",
    "#0072b2": "#5aa9ff",
    "#d55e00": "#ff8a4c",
    "#009e73": "#3fd0a4",
    "#cc79a7": "#e9a3c9",
    "#e69f00": "#f5c04a",
    "#56b4e9": "#9ad7ff",
    "#f4f4f1": "#22262d",
    "#d4e4f7": "#1d3350",
    "#a9cbef": "#22487a",
    "#72a9e3": "#2a60a6",
    "#3f87d6": "#3577cd",
}
"""What stands for each colour on a dark page."""


def save(figure: Figure, path: Path) -> None:
    """Write an SVG that is the same for the same figure, and follows the reader's colour scheme."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    text = path.read_text(encoding="utf-8")
    path.write_text(_with_dark_colours(text), encoding="utf-8")


def _with_dark_colours(svg: str) -> str:
    """Add rules for dark pages: what knows none of them shows the light colours."""
    rules = [
        f"[style*='{kind}: {light}'] {{ {kind}: {dark} !important; }}"
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
        if f"{kind}: {light}" in svg
    ]
    rules.append("text { fill: #e7e9ed; }")  # whose style names no colour
    css = "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
    return re.sub(r"(<style type=\"text/css\">.*?)(</style>)", rf"\1\n{css}\n\2", svg, count=1)


def figure_of(size: tuple[float, float]) -> Figure:
    """Make a figure; within `style()` alone does it look as it should."""
    return Figure(figsize=size, layout="constrained")


def style() -> Any:
    """Return a context in which figures are made, drawn and saved."""
    return mpl.rc_context(STYLE)


def look(name: str) -> dict[str, Any]:
    """Return how a cell is drawn. Where two are the same, the wide line is seen under the other."""
    hue, line = LOOKS[name]
    width = 3.4 if name == "lstm-peephole" else 1.6
    order = 2.1 if name == "lstm-peephole" else 2.2
    return {
        "color": COLOURS[hue],
        "marker": MARKERS[hue],
        "linestyle": line,
        "linewidth": width,
        "zorder": order,
    }


def band(
    axes: Axes,
    name: str,
    x: Sequence[float],
    rows: Sequence[Sequence[float]],
    *,
    every: int = 1,
    **options: Any,
) -> None:
    """Draw the median of rows (one a seed) over `x`, and their extremes as a band."""
    values = np.array(rows, dtype=float)
    middle, low, high = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
    own = look(name) if name in LOOKS else {}
    shown = {"markersize": 4.5, "label": name, **own, **options}
    axes.fill_between(x, low, high, color=shown["color"], alpha=0.15, linewidth=0)
    axes.plot(x, middle, markevery=every, **shown)


def points(
    axes: Axes,
    names: Sequence[str],
    rows: Sequence[Sequence[float]],
    *,
    offset: float = 0.0,
    **options: Any,
) -> None:
    """Draw one line a name, first on top: each seed's value small, the mean large."""
    label = options.pop("label", "")
    for place, (name, values) in enumerate(zip(names, rows, strict=True)):
        if not values:
            continue
        shown = {**(look(name) if name in LOOKS else {}), **options, "linestyle": "none"}
        y = place + offset
        axes.plot(values, [y] * len(values), markersize=4, alpha=0.45, **shown)
        axes.plot([float(np.mean(values))], [y], markersize=9, label=label, **shown)
        label = ""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def fields(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Mapping[tuple[str, str], float],
    words: Mapping[tuple[str, str], str],
) -> None:
    """Draw a table: each field filled by its share (0 to 1), with words; absent ones stay empty."""
    for (row, column), share in shares.items():
        x, y = columns.index(column), rows.index(row)
        level = LEVELS[round(share * (len(LEVELS) - 1))]
        axes.add_patch(mpl.patches.Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=level))
        axes.text(x, y, words[row, column], ha="center", va="center", fontsize=8.5)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def legend(figure: Figure, axes: Axes | Iterable[Axes]) -> None:
    """Put one legend beside all axes, naming each thing once."""
    found: dict[str, Any] = {}
    for one in [axes] if isinstance(axes, Axes) else axes:
        handles, labels = one.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(handles=list(found.values()), labels=list(found), loc="outside right upper")


def logarithmic(axes: Axes, name: Literal["x", "y"], label: str) -> None:
    """Make an axis logarithmic, with plain numbers: at 1, 2 and 5 of each power of ten, or at 1."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    is_wide = high > 300 * max(low, 1e-9)
    axis.set_major_locator(LogLocator(subs=(1.0,) if is_wide else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_thousands))
    axis.set_label_text(f"{label} (logarithmic)")


def _thousands(value: float, _: int | None = None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"

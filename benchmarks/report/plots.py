"""Draw the plots of `docs/plots/` from the results in `benchmarks/results/`.

Needs matplotlib, the extra `plots`. The same results give the same files, byte for byte. A plot
whose result is missing is not drawn, and an old one of its name is removed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.common.record import Row
from benchmarks.report.results import Results, rows, spread_of
from benchmarks.report.tables import rounded
from tagbelt.training.experiments.drawing import COLOURS, MARKERS, figure_of, logarithmic, style

SIZE = (7.2, 3.8)

Draw = Callable[[Axes, Results], bool]
"""Draws on axes what the results hold; False where they hold nothing."""


def rates(result: str, unit: str) -> Draw:
    """Rates of all systems of a result on a logarithmic axis, fastest on top."""

    def draw(axes: Axes, results: Results) -> bool:
        found = sorted(rows(results, result), key=lambda row: float(row["rate"]["median"]))
        if not found:
            return False
        names = [row["system"] for row in found]
        medians = [row["rate"]["median"] for row in found]
        colours = [COLOURS[0] if name.startswith("Tagbelt") else COLOURS[6] for name in names]
        axes.barh(names, medians, color=colours, height=0.7)
        axes.errorbar(medians, names, xerr=_quartiles(found, "rate"), fmt="none", ecolor="black")
        for row, name, rate in zip(found, names, medians, strict=True):
            end = (row["rate"].get("q3", rate), name)
            axes.annotate(rounded(rate), end, (6, 0), textcoords="offset points", va="center")
        axes.set_xlim(min(medians) / 2, max(medians) * 3)
        logarithmic(axes, "x", unit)
        axes.grid(axis="y", visible=False)
        return True

    return draw


def _quartiles(found: Sequence[Row], field: str = "") -> list[list[float]]:
    """Distances from the medians to the quartiles, as error bars want them."""
    spreads = [spread for row in found if (spread := spread_of(row, field))]
    below = [spread["median"] - spread.get("q1", spread["median"]) for spread in spreads]
    above = [spread.get("q3", spread["median"]) - spread["median"] for spread in spreads]
    return [below, above]


def _line(
    axes: Axes, number: int, name: str, found: Sequence[Row], x: str, field: str = ""
) -> None:
    points = sorted(found, key=lambda row: float(row[x]))
    axes.errorbar(
        [row[x] for row in points],
        [spread["median"] for row in points if (spread := spread_of(row, field))],
        yerr=_quartiles(points, field),
        label=name,
        color=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        capsize=2,
    )


def batch(axes: Axes, results: Results) -> bool:
    """Throughput against the size of a batch."""
    names = list(dict.fromkeys(row["system"] for row in rows(results, "batch")))
    for number, name in enumerate(names):
        _line(axes, number, name, list(rows(results, "batch", system=name)), "batch", "rate")
    logarithmic(axes, "x", "batch, tokens with padding")
    logarithmic(axes, "y", "tokens a second")
    return bool(names)


def latency(axes: Axes, results: Results) -> bool:
    """Percentiles of a single call, for each system."""
    shares = ("p50", "p90", "p99")
    found = list(rows(results, "latency"))
    for number, row in enumerate(found):
        axes.plot(
            shares,
            [row[share] / 1000 for share in shares],
            label=row["system"],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
        )
    axes.set_xlabel("percentile of single calls, a text of 20 tokens each")
    logarithmic(axes, "y", "milliseconds")
    return bool(found)


def load(axes: Axes, results: Results) -> bool:
    """Requests a second against the number of clients, of the tagger and of a constant."""
    found = list(rows(results, "load", experiment="closed"))
    if found:
        _line(axes, 0, "POST /v1/tag", found, "clients", "rate")
        _line(axes, 6, "the same, answering a constant", found, "clients", "constant")
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_ylabel("requests a second, one sentence each")
    logarithmic(axes, "x", "clients")
    return bool(found)


def cost(label: str, experiments: Mapping[str, str]) -> Draw:
    """Cost per token against a size, from zero, so that flat looks flat."""

    def draw(axes: Axes, results: Results) -> bool:
        drawn = False
        for number, (experiment, name) in enumerate(experiments.items()):
            found = list(rows(results, "scale", experiment=experiment))
            if found:
                _line(axes, number, name, found, "size")
                drawn = True
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        axes.set_ylabel("microseconds a token")
        logarithmic(axes, "x", label)
        return drawn

    return draw


def memory(axes: Axes, results: Results) -> bool:
    """Resident memory as ever-new words come, from zero."""
    found = list(rows(results, "memory", experiment="resident"))
    _line(axes, 0, "Tagbelt", found, "size")
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_xlabel("tokens so far, millions, no word twice")
    axes.set_ylabel("resident memory, MB")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g}"))
    return bool(found)


DRAWINGS: Mapping[str, tuple[str, Draw]] = {
    "tokens": ("One thread, tokens in, tags out", rates("tokens", "tokens a second")),
    "texts": ("One thread, text in, entities out", rates("texts", "tokens a second")),
    "training": ("Training, one thread, batches of 16", rates("training", "tokens a second")),
    "batch": ("Throughput against batch size, one thread", batch),
    "latency": ("Latency of one sentence", latency),
    "load": ("Requests a second over HTTP, on one machine", load),
    "corpus": (
        "Cost against the size of the corpus",
        cost("sentences", {"corpus": "tokens in, tags out", "texts": "text in, entities out"}),
    ),
    "length": (
        "Cost against the length of sentences",
        cost("tokens a sentence", {"length": "tokens in, tags out"}),
    ),
    "vocabulary": (
        "Cost against the size of the vocabulary",
        cost("distinct words", {"vocabulary, warm": "warm", "vocabulary, cold": "cold"}),
    ),
    "memory": ("Memory over ever-new words", memory),
}


def draw_all(results: Results, target: Path, names: Iterable[str] = DRAWINGS) -> list[str]:
    """Draw what the results allow into `target`; return the names of what was drawn."""
    target.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name in names:
        title, draw = DRAWINGS[name]
        path = target / f"{name}.svg"
        path.unlink(missing_ok=True)
        with style():
            figure = figure_of(SIZE)
            axes = figure.add_subplot()
            if draw(axes, results):
                _finish(figure, axes, title, path)
                drawn.append(name)
    return drawn


def _finish(figure: Figure, axes: Axes, title: str, path: Path) -> None:
    axes.set_title(title, loc="left")
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside right upper")
    figure.savefig(path, metadata={"Date": None, "Creator": None})

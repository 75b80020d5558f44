"""The report as one HTML page that needs nothing else: no script, no font, no other address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tagbelt.data.types import Span
from tagbelt.training.analysis import charts
from tagbelt.training.analysis.charts import epoch_chart, reliability_chart
from tagbelt.training.analysis.figures import Confusion, JudgedSentence, WrongSentence, count_kinds
from tagbelt.training.analysis.report import LIMIT, EpochScores, RunReport
from tagbelt.training.scores.calibration import BINS, Calibration
from tagbelt.training.scores.evaluate import MODES, ScoreRow

HUES = 8
AROUND = 30
"""How many tokens of context stay on either side of the mistakes of a long sentence."""

KIND_NAMES = {
    "type": "wrong type",
    "bounds": "wrong bounds",
    "spurious": "spurious",
    "missed": "missed",
}
NOTHING = ScoreRow(precision=0.0, recall=0.0, f1=0.0, support=0)

# Control characters are not allowed in a page, escaped or not: their pictures are shown.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_PICTURES |= {code: "\ufffd" for code in range(0x80, 0xA0)}


@dataclass(frozen=True)
class MarkedWords:
    """An entity as it is marked in a sentence; one that both sides have `is_right`, and paler."""

    text: str
    label: str
    hue: int
    is_right: bool


@dataclass(frozen=True)
class ShownSentence:
    """A sentence with mistakes: what they are, and both sides as words and marks."""

    told: str
    gold: list[str | MarkedWords]
    found: list[str | MarkedWords]


def render_page(report: RunReport, mistakes: int) -> str:
    """Return the page, with the worst `mistakes` sentences; everything of the data is escaped."""
    return templates().get_template("report.html.j2").render(_values(report, mistakes))


def templates() -> Environment:
    """Return the environment of the page's templates: what they write of a value is escaped."""
    environment = Environment(
        autoescape=True,
        finalize=shown,
        keep_trailing_newline=True,
        loader=FileSystemLoader(Path(__file__).parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["commas"] = lambda value: f"{value:,}"
    environment.filters["digits"] = lambda value, count: f"{value:.{count}f}"
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}"
    names = ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "BOTTOM")
    environment.globals |= {name: getattr(charts, name) for name in names}
    return environment


def shown(value: object) -> object:
    """Return a plain text with pictures for its control characters, anything else as it is."""
    return value.translate(_PICTURES) if type(value) is str else value


def _values(report: RunReport, mistakes: int) -> dict[str, Any]:
    strict, default = (report.scores[mode] for mode in MODES)
    labels = report.confusion.labels
    gap = "" if report.header.unit == "character" else " "
    hues = {label: index % HUES for index, label in enumerate(labels)}
    kinds = count_kinds(report.wrong).items()
    return {
        "report": report,
        "header": report.header,
        "LIMIT": LIMIT,
        "BINS": BINS,
        "facts": _facts(report),
        "tiles": _tiles(report),
        **_learning(report.epochs),
        "strict": strict,
        "default": default,
        "nothing": NOTHING,
        "type_names": sorted(strict["types"].keys() | default["types"].keys()),
        "type_head": ["type", "entities", *(f"{n} {m}" for m in MODES for n in ("P", "R", "F1"))],
        "unit": "characters" if report.header.unit == "character" else "tokens",
        "gold_counts": _gold_counts(report.confusion),
        "calibration_chart": reliability_chart(
            "Share of right entities by posterior", report.calibration.bins
        ),
        "recorded": Calibration.recorded(report.header),
        "kinds": ", ".join(f"{count:,} {KIND_NAMES[kind]}" for kind, count in kinds),
        "worst": [_shown(wrong, hues, gap) for wrong in report.wrong[:mistakes]],
        "gap": gap,
    }


def _facts(report: RunReport) -> str:
    return (
        f"On {report.material.name}: {len(report.material.sentences):,} sentences, "
        f"{report.tokens:,} tokens, {report.entities:,} entities; served in "
        f"{report.header.precision}"
    )


def _tiles(report: RunReport) -> dict[str, str]:
    micro = report.scores["strict"]["micro"]
    return {
        "F1": f"{100 * micro['f1']:.2f}",
        "Precision": f"{100 * micro['precision']:.2f}",
        "Recall": f"{100 * micro['recall']:.2f}",
        "Calibration error": f"{report.calibration.error:.3f}",
        "Calibration error, dev": f"{report.dev_error:.3f}",
        "Wrong sentences": f"{len(report.wrong):,}",
    }


def _learning(rows: Sequence[EpochScores]) -> dict[str, Any]:
    if not rows:
        return {"best": None}
    epochs = [row.epoch for row in rows]
    best = max(rows, key=lambda row: row.f1)
    loss = [("training loss", 7, [row.loss for row in rows])]
    dev = [
        ("dev precision", 1, [row.precision for row in rows]),
        ("dev recall", 2, [row.recall for row in rows]),
        ("dev F1", 0, [row.f1 for row in rows]),
    ]
    titles = ("Training loss by epoch", "Precision, recall and F1 on dev by epoch")
    return {
        "best": best,
        "loss_chart": epoch_chart(titles[0], epochs, loss, style=".2f", best=best.epoch),
        "dev_chart": epoch_chart(titles[1], epochs, dev, style=".1%", best=best.epoch),
    }


def _gold_counts(counts: Confusion) -> list[int]:
    rows = zip(counts.same_bounds, counts.gold_overlapped, counts.missed, strict=True)
    return [sum(same) + overlapped + missed for same, overlapped, missed in rows]


def _shown(wrong: WrongSentence, hues: Mapping[str, int], gap: str) -> ShownSentence:
    item = wrong.item
    scores = dict(zip(item.found, item.scores, strict=True))
    part = window(item, [mistake.span for mistake in wrong.mistakes])
    told = "; ".join(
        f"{KIND_NAMES[mistake.kind]}: "
        f"{gap.join(item.tokens[mistake.span.start : mistake.span.end])} {mistake.sure:.3f}"
        for mistake in wrong.mistakes
    )
    return ShownSentence(
        f"line {item.line:,} \u00b7 {told}",
        marked(item, item.gold, part, gap, hues, lambda span: span.label),
        marked(item, item.found, part, gap, hues, lambda s: f"{s.label} {scores[s]:.3f}"),
    )


def window(item: JudgedSentence, spans: Sequence[Span]) -> tuple[int, int]:
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
    item: JudgedSentence,
    spans: Sequence[Span],
    part: tuple[int, int],
    gap: str,
    hues: Mapping[str, int],
    label: Callable[[Span], str],
) -> list[str | MarkedWords]:
    """Return a part of a sentence as words and marks, to be joined by `gap`."""
    first, end = part
    pieces: list[str | MarkedWords] = ["\u2026"] if first else []
    place = first
    for span in sorted(spans):
        if span.start < place or span.end > end:
            continue
        pieces += item.tokens[place : span.start]
        words = gap.join(item.tokens[span.start : span.end])
        hue = hues.get(span.label, HUES - 1)
        pieces.append(MarkedWords(words, label(span), hue, span in item.true))
        place = span.end
    pieces += item.tokens[place:end]
    if end < len(item.tokens):
        pieces.append("\u2026")
    return pieces

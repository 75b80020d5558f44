"""The report as one HTML page that needs nothing else: no script, no font, no other address."""

from collections.abc import Sequence

from tagbelt.training.analysis.charts import Line, curves, reliability
from tagbelt.training.analysis.groups import Row
from tagbelt.training.analysis.markup import (
    HUES,
    bar,
    escaped,
    marked,
    number,
    percent,
    row,
    table,
    window,
)
from tagbelt.training.analysis.matrix import confusion_table
from tagbelt.training.analysis.mistakes import Wrong, count_kinds
from tagbelt.training.analysis.report import LIMIT, Report
from tagbelt.training.analysis.style import CSS
from tagbelt.training.scores.calibration import Calibration
from tagbelt.training.scores.metrics import MODES
from tagbelt.training.scores.reliability import BINS

_KIND_NAMES = {
    "type": "wrong type",
    "bounds": "wrong bounds",
    "spurious": "spurious",
    "missed": "missed",
}


def render_page(report: Report, mistakes: int) -> str:
    """Return the page, with the worst `mistakes` sentences; everything of the data is escaped."""
    title = escaped(f"{report.header.name} {report.header.version}: report")
    parts = [
        _head(report),
        _notice(report),
        _tiles(report),
        _curves(report),
        _types(report),
        _groups(report),
        _confusion(report),
        _calibration(report),
        _mistakes(report, mistakes),
        _foot(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _card(title: str, *parts: str, kind: str = "card") -> str:
    return f'<section class="{kind}"><h2>{escaped(title)}</h2>{"".join(parts)}</section>'


def _note(text: str) -> str:
    return f'<p class="quiet">{escaped(text)}</p>'


def _head(report: Report) -> str:
    header, material = report.header, report.material
    facts = (
        f"On {material.name}: {len(material.sentences):,} sentences, {report.tokens:,} tokens, "
        f"{report.entities:,} entities; served in {header.precision}"
    )
    name = escaped(f"{header.name} {header.version}")
    text = f"<p>{escaped(header.description)}</p>" if header.description else ""
    return f"<header><h1>{name}</h1>{text}{_note(facts)}</header>"


def _notice(report: Report) -> str:
    if not report.is_miscalibrated:
        return ""
    return (
        '<p class="notice">The posteriors are not well calibrated: on dev the expected calibration '
        f"error is {report.dev_error:.3f}, above {LIMIT}. Take scores as an order, not as "
        "probabilities.</p>"
    )


def _tiles(report: Report) -> str:
    micro = report.scores["strict"]["micro"]
    tiles = {
        "F1": f"{100 * micro['f1']:.2f}",
        "Precision": f"{100 * micro['precision']:.2f}",
        "Recall": f"{100 * micro['recall']:.2f}",
        "Calibration error": f"{report.calibration.error:.3f}",
        "Calibration error, dev": f"{report.dev_error:.3f}",
        "Wrong sentences": f"{len(report.wrong):,}",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles">{items}</dl>'


def _curves(report: Report) -> str:
    rows = report.curves
    if not rows:
        return ""
    epochs = [curve.epoch for curve in rows]
    best = max(rows, key=lambda curve: curve.f1)
    loss = curves(
        "Training loss by epoch",
        epochs,
        [Line("training loss", 7, [curve.loss for curve in rows])],
        style=".2f",
        best=best.epoch,
    )
    dev = curves(
        "Precision, recall and F1 on dev by epoch",
        epochs,
        [
            Line("dev precision", 1, [curve.precision for curve in rows]),
            Line("dev recall", 2, [curve.recall for curve in rows]),
            Line("dev F1", 0, [curve.f1 for curve in rows]),
        ],
        style=".1%",
        best=best.epoch,
    )
    note = f"The dashed line is the epoch that was kept: {best.epoch}, dev F1 {best.f1:.2%}."
    charts = f'<div class="two"><figure>{loss}</figure><figure>{dev}</figure></div>'
    return _card("Learning curves", charts, _note(note))


def _types(report: Report) -> str:
    strict, default = (report.scores[mode] for mode in MODES)
    names = sorted(strict["types"].keys() | default["types"].keys())
    empty = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    rows = []
    for name, kind in [*((name, "") for name in names), ("all (micro)", "all")]:
        pair = (
            (strict["micro"], default["micro"])
            if kind
            else (strict["types"].get(name, empty), default["types"].get(name, empty))
        )
        cells = [number(pair[0]["support"])]
        for scores in pair:
            cells += [percent(scores["precision"]), percent(scores["recall"]), bar(scores["f1"])]
        rows.append(row(name, cells, kind))
    head = ["type", "entities"]
    for mode in MODES:
        head += [f"P {mode}", f"R {mode}", f"F1 {mode}"]
    note = f"Per cent; {strict['tool']}, both modes over IOB2 tags."
    return _card("By type", table(head, rows), _note(note))


def _groups(report: Report) -> str:
    unit = "characters" if report.header.unit == "character" else "tokens"
    lengths = _card(f"By length in {unit}", _group_table(unit, report.lengths))
    seen = _card(
        "Seen against unseen",
        _group_table("entity", report.familiarity),
        _note(
            "Seen: some entity of the training files is written the same, case included. "
            "A predicted entity goes by its predicted type."
        ),
    )
    return f'<div class="two">{lengths}{seen}</div>'


def _group_table(name: str, rows: Sequence[Row]) -> str:
    lines = [
        row(
            item.name,
            [
                number(item.gold),
                number(item.found),
                percent(item.precision),
                percent(item.recall),
                bar(item.f1),
            ],
        )
        for item in rows
    ]
    return table([name, "gold", "predicted", "P", "R", "F1"], lines)


def _confusion(report: Report) -> str:
    note = (
        "Rows are gold types, columns predicted ones, for entities with equal bounds. Other "
        "bounds: shares a token with an entity of the other side, but not both bounds. Missed, "
        "spurious: shares none. Tints are shares of the gold type."
    )
    return _card("Confusion of types", confusion_table(report.confusion), _note(note))


def _calibration(report: Report) -> str:
    measured = report.calibration
    rows = [
        row(
            f"{part.low:.1f} to {part.high:.1f}",
            [number(part.count), percent(part.confidence), percent(part.accuracy)],
        )
        for part in measured.bins
        if part.count
    ]
    chart = reliability("Share of right entities by posterior", measured.bins)
    note = (
        f"The expected calibration error is the mean over {measured.entities:,} predicted entities "
        f"of |share of right ones - mean posterior| of their bin (Naeini et al. 2015; Guo et al. "
        f"2017): {measured.error:.4f} over {BINS} bins of equal width, "
        f"{measured.error_equal_counts:.4f} over {BINS} bins of equal counts. "
        "Grey columns are counts, the dashed line is perfect calibration."
    )
    recorded = Calibration.recorded(report.header)
    if recorded is not None:
        note += f" From training: {recorded}."
    head = ["posterior", "entities", "mean posterior", "right"]
    both = f'<div class="two"><figure>{chart}</figure>{table(head, rows)}</div>'
    return _card("Calibration of span posteriors", both, _note(note))


def _mistakes(report: Report, limit: int) -> str:
    counts = count_kinds(report.wrong)
    told = ", ".join(f"{count:,} {_KIND_NAMES[kind]}" for kind, count in counts.items())
    shown = report.wrong[:limit]
    note = (
        f"{told}. The {len(shown)} of {len(report.wrong):,} sentences whose mistake the model was "
        "surest of; pale marks are right. Sure of a missed entity: the least probability of its "
        "tokens to stand outside. A sure mistake may be one of the annotation."
    )
    hues = {label: index % HUES for index, label in enumerate(report.confusion.labels)}
    gap = "" if report.header.unit == "character" else " "
    items = "".join(_wrong(wrong, hues, gap) for wrong in shown)
    listed = f'<ol class="worst">{items}</ol>' if shown else ""
    return _card("Worst mistakes", _note(note), listed, kind="card long")


def _wrong(wrong: Wrong, hues: dict[str, int], gap: str) -> str:
    item = wrong.item
    scores = dict(zip(item.found, item.scores, strict=True))
    part = window(item, [mistake.span for mistake in wrong.mistakes])
    gold = marked(item, item.gold, part, gap=gap, hues=hues, note=lambda _: "")
    found = marked(
        item, item.found, part, gap=gap, hues=hues, note=lambda span: f" {scores[span]:.3f}"
    )
    told = f"line {item.line:,} \u00b7 " + "; ".join(
        f"{_KIND_NAMES[mistake.kind]}: "
        f"{gap.join(item.tokens[mistake.span.start : mistake.span.end])} {mistake.sure:.3f}"
        for mistake in wrong.mistakes
    )
    return (
        f'<li>{_note(told)}<div class="sides">'
        f'<div class="side"><b>gold</b><p dir="auto">{gold}</p></div>'
        f'<div class="side"><b>predicted</b><p dir="auto">{found}</p></div></div></li>'
    )


def _foot(report: Report) -> str:
    files = "; ".join(
        f"<code>{escaped(file.path)}</code> SHA-256 <code>{file.sha256[:16]}</code>"
        for file in report.material.files
    )
    return f'<footer class="quiet">Read: {files}. Written by <code>tagbelt report</code>.</footer>'

"""The report of a run, a file for any screen, in light and dark, without a network."""

from pathlib import Path

import pytest

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.training.analysis.figures import (
    by_familiarity,
    by_length,
    confusion,
    wrong_sentences,
)
from tagbelt.training.analysis.page import render_page
from tagbelt.training.analysis.report import EpochScores, JudgedFile, Material, RunReport
from tagbelt.training.scores.calibration import Bin, Calibration, Reliability
from tagbelt.training.scores.evaluate import MODES
from tests.training.analysis.items import item

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
LABELS = tuple(f"TYPE-{index}" for index in range(10))
SCORE = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 10}


def made_report():
    """A report with every hue, long words and all that can be warned of."""
    tagged = [
        item(
            f"{'x' * 200} was here ." if index % 2 else "a b c d", [(0, 1, label)], [(0, 2, label)]
        )
        for index, label in enumerate(LABELS)
    ]
    tagged += [item("a b", [(0, 2, label)], [(0, 2, label)]) for label in LABELS]
    scores = {"tool": "seqeval", "micro": SCORE, "types": dict.fromkeys(LABELS, SCORE)}
    return RunReport(
        header=Header(
            name="n" * 60,
            unit="word",
            scheme=Scheme.IOB2,
            labels=LABELS,
            tags=tag_set(LABELS, Scheme.IOB2),
            model={},
            temperature=1.5,
            metrics=Calibration(1.5, 0.1, 0.04).metrics,
        ),
        material=Material("test", (JudgedFile("p" * 300, "0" * 64),), ()),
        tokens=1,
        entities=1,
        epochs=tuple(EpochScores(epoch, 1 / epoch, 0.4, 0.5, 0.45) for epoch in range(1, 20)),
        scores=dict.fromkeys(MODES, scores),
        lengths=tuple(by_length(tagged, "word")),
        familiarity=tuple(by_familiarity(tagged, {"a b": {"TYPE-1"}})),
        confusion=confusion(tagged, LABELS),
        calibration=Reliability(
            20, 0.1, 0.1, (Bin(0.0, 0.5, 5, 0.2, 0.4), Bin(0.5, 1.0, 9, 0.9, 0.8))
        ),
        dev_error=0.04,
        wrong=tuple(wrong_sentences(tagged)),
    )


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page, which must log nothing and ask for nothing but itself."""
    file = tmp_path / "report.html"
    file.write_text(render_page(made_report(), 50), encoding="utf-8")
    contexts, complaints = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(complaints) == {file.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(opened, scheme):
    page = opened(color_scheme=scheme)
    assert page.evaluate(READABILITY) == []
    marks = "new Set([...document.querySelectorAll('mark')].map((m) => m.dataset.hue)).size"
    assert page.evaluate(marks) == 8


@pytest.mark.parametrize("width", [320, 800, 1440])
def test_only_tables_scroll_sideways(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator(".scroll").first
    table.focus()
    assert table.evaluate("(element) => element === document.activeElement")


def test_charts_stay_readable_on_a_phone(opened):
    page = opened(viewport={"width": 360, "height": 800})
    heights = page.eval_on_selector_all(
        "svg text", "all => all.map(t => t.getBoundingClientRect().height)"
    )
    assert len(heights) > 20
    assert min(heights) > 10

"""The plots: valid SVG, the same for the same results, and none for what was not measured."""

import re
from xml.etree import ElementTree

import pytest

from benchmarks.report.page import PAGE, TEMPLATE, main
from benchmarks.report.results import read_results

pytest.importorskip("matplotlib", reason="plots need the extra `plots`")

from benchmarks.report.plots import DRAWINGS, draw_all


def texts_of(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return {
        "".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")
    }


@pytest.fixture
def target(tmp_path):
    return tmp_path / "plots"


def test_every_plot_is_an_svg_with_title_and_axes(results, target):
    assert draw_all(read_results(results), target) == list(DRAWINGS)
    for name, (title, _) in DRAWINGS.items():
        texts = texts_of(target / f"{name}.svg")
        assert title in texts, name
        assert any(
            re.search("tokens|microseconds|milliseconds|MB|requests", text) for text in texts
        ), name


def test_systems_are_named_with_their_rates(results, target):
    draw_all(read_results(results), target, ["tokens"])
    assert {"spaCy small, ner only", "8,000", "Tagbelt int8", "160,000"} <= texts_of(
        target / "tokens.svg"
    )


def test_the_same_results_make_the_same_bytes(results, target, tmp_path):
    again = tmp_path / "again"
    draw_all(read_results(results), target)
    draw_all(read_results(results), again)
    for name in DRAWINGS:
        drawn = (target / f"{name}.svg").read_bytes()
        assert drawn == (again / f"{name}.svg").read_bytes()
        assert b"<dc:date>" not in drawn


def test_what_was_not_measured_is_not_drawn(results, target):
    draw_all(read_results(results), target)
    (results / "scale.json").unlink()
    drawn = draw_all(read_results(results), target)
    gone = {"corpus", "length", "vocabulary"}
    assert set(drawn) == set(DRAWINGS) - gone
    assert {path.stem for path in target.iterdir()} == set(drawn)


def test_nothing_measured_draws_nothing(target):
    assert draw_all({}, target) == []
    assert list(target.iterdir()) == []


def test_the_page_shows_every_plot():
    shown = re.findall(r"\{\{plot (\w+)\|", TEMPLATE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(DRAWINGS)


def test_the_command_writes_the_page_with_its_plots(results, tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    monkeypatch.setattr(
        "sys.argv", ["report", "--results", str(results.parent), "--docs", str(docs)]
    )
    main()
    page = (docs / PAGE).read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert sorted(shown) == sorted(f"plots/{name}.svg" for name in DRAWINGS)
    assert all((docs / path).is_file() for path in shown)

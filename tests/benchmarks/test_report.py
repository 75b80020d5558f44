"""The report: every target with its ratio and verdict, and nothing invented for what is missing."""

import json
import re
import shutil

import pytest

from benchmarks.common.machine import ROOT
from benchmarks.common.record import RESULTS
from benchmarks.report.page import TEMPLATE, render
from benchmarks.report.results import MISSING, in_detail, read_machines, read_results
from benchmarks.report.tables import OF_MACHINES, TABLES, rounded
from benchmarks.report.targets import TARGETS

PAGE = TEMPLATE.read_text(encoding="utf-8")


def targets(results):
    """The table of targets, of the machines beside this one's folder."""
    return OF_MACHINES["targets"](read_machines(results.parent))


def lines_with(page, text):
    return [line for line in page.splitlines() if text in line]


def changed(results, name, change):
    """Rewrite a result of the folder."""
    path = results / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_target_stands_beside_its_ratio_and_its_verdict(results):
    page = targets(results)
    (spacy,) = lines_with(page, "spaCy small, ner only")
    assert [cell.strip() for cell in spacy.split("|")[2:-1]] == [
        "against spaCy small, ner only",
        "at least 16x",
        "20x (19.8x to 20.2x)",
        "met",
    ]


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        ("against CRFsuite, features as dicts", "met"),  # 1.6 of 1.3
        ("CRFsuite, leanest features |", "met, within the spread"),  # 1.3008, +- 1 %
        ("leanest features (cheapest cell)", "met"),  # 1.55 of 1.2
        ("its own int8 matrix products", "met"),  # 160,000 of 200,000
        ("peephole cell against LSTM", "met"),  # 8,800 of 9,000
        ("GRU against LSTM", "stated"),
        ("p99 over its own p50", "met"),
        ("1,000 to 1,000,000 sentences", "met"),
        ("5 to 5,000 tokens a sentence", "missed"),  # 6.0 to 4.0
        ("resident memory", "met"),
    ],
)
def test_a_verdict_compares_the_median_and_the_quartiles(results, measure, verdict):
    (line,) = lines_with(targets(results), measure)
    assert line.split("|")[-2].strip() == verdict


def test_a_figure_on_the_wrong_side_of_each_target_is_missed():
    for target in TARGETS:
        limit = target.at_most if target.at_least is None else target.at_least
        if limit is None:
            assert target.verdict({"median": 1.0}) == "stated"
            continue
        low, high = ({"median": limit + change} for change in (-0.1, 0.1))
        worse, better = (high, low) if target.at_least is None else (low, high)
        assert target.verdict(worse) == "missed"
        assert target.verdict(better) == "met"
        assert target.verdict({"median": limit}) == "met"


def test_a_cells_training_ratio_is_its_rate_over_the_lstms(results):
    (line,) = lines_with(targets(results), "GRU against LSTM")
    assert "1.06x" in line  # 9,500 over 9,000


def test_what_is_missed_is_listed(results, tmp_path):
    page = render("{{missed}}", read_machines(results.parent), tmp_path)
    assert page.splitlines() == [
        "- Cost per token, 5 to 5,000 tokens a sentence: dearest over cheapest: at most 1.15x"
        " (abacus)"
    ]


def another(results, kind, change):
    """A copy of the machine's folder, under another kind, with all its results changed."""
    folder = results.parent / kind
    shutil.copytree(results, folder)
    for path in folder.iterdir():
        changed(folder, path.stem, change)
    return folder


def test_machines_stand_side_by_side_each_with_its_tier(results):
    fast = another(results, "beads", lambda result: result["machine"].update(tier="glass"))
    changed(fast, "tokens", lambda result: result["rows"][1]["ratio"].update(median=2.0))
    page = targets(results)
    assert "| abacus, tier `wood`: median (quartiles) |  | beads, tier `glass`: median" in page
    (spacy,) = lines_with(page, "spaCy small, ner only")
    cells = [cell.strip() for cell in spacy.split("|")[4:-1]]
    assert cells[:2] == ["20x (19.8x to 20.2x)", "met"]
    assert cells[2:] == ["2x (19.8x to 20.2x)", "missed"]
    missed = render("{{missed}}", read_machines(results.parent), results)
    assert "spaCy small, ner only: at least 16x (beads)" in missed
    assert "dearest over cheapest: at most 1.15x (abacus, beads)" in missed
    lines = lines_with(OF_MACHINES["machine"](read_machines(results.parent)), "tier ")
    assert [line.split(":")[0] for line in lines] == ["- abacus", "- beads"]


def test_the_newest_whole_run_is_shown_in_detail(results, tmp_path):
    another(results, "beads", lambda result: result.update(date="2026-01-01"))
    assert in_detail(read_machines(results.parent)) == "abacus"
    newer = another(results, "cords", lambda result: result.update(date="2026-01-03"))
    assert render("{{machine}}", read_machines(results.parent), tmp_path) == "cords"
    for path in newer.iterdir():
        changed(newer, path.stem, lambda result: result["settings"].update(quick=True))
    assert in_detail(read_machines(results.parent)) == "abacus"


@pytest.mark.parametrize("name", sorted({target.result for target in TARGETS}))
def test_a_missing_result_is_said_to_be_missing(results, tmp_path, name):
    (results / f"{name}.json").unlink()
    found = read_results(results)
    for target in TARGETS:
        assert (target.verdict(target.find(found)) == MISSING) == (target.result == name)
    assert "Not measured." in render(PAGE, {"abacus": found}, tmp_path)


def test_nothing_measured_makes_a_page_without_figures(tmp_path):
    page = render(PAGE, {}, tmp_path)
    assert page.count("Not measured") >= len(TABLES) - 1
    for line in lines_with(page, MISSING):
        if line.startswith("|"):
            assert line.split("|")[4].strip() == MISSING
    assert not re.search(r"\((\d[\d,.]*) to (\d[\d,.]*)", page)
    assert "{{" not in page


def test_the_page_uses_every_table_and_no_other(results, tmp_path):
    named = re.findall(r"\{\{table ([^}]+)\}\}", PAGE)
    assert sorted(named) == sorted([*TABLES, *OF_MACHINES])
    page = render(PAGE, read_machines(results.parent), tmp_path)
    assert "{{" not in page
    assert "Abacus 9" in page
    for name in ("tokens", "scale", "start"):
        assert f"`python -m benchmarks.{name}`" in page


def test_every_table_has_as_many_cells_in_each_line(results):
    found = read_results(results)
    for name, table in TABLES.items():
        lines = [line for line in table(found).splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1, name
    another(results, "beads", lambda _: None)
    lines = [line for line in targets(results).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_the_committed_page_is_what_the_committed_results_make():
    docs = ROOT / "docs"
    committed = (docs / "benchmarks.md").read_text(encoding="utf-8")
    assert committed == render(PAGE, read_machines(RESULTS), docs), (
        "run python -m benchmarks.report.page"
    )


def test_an_unknown_placeholder_is_an_error(results, tmp_path):
    for text in ("{{table nonsense}}", "{{nonsense}}"):
        with pytest.raises(KeyError, match="nonsense"):
            render(text, read_machines(results.parent), tmp_path)


def test_a_quick_run_is_marked(results):
    machines = OF_MACHINES["machine"]
    assert "quick" not in machines(read_machines(results.parent))
    changed(results, "tokens", lambda result: result["settings"].update(quick=True))
    (line,) = lines_with(machines(read_machines(results.parent)), "quick")
    assert line.endswith(": tokens")
    assert targets(results).startswith("**Quick runs")


def test_a_plot_is_shown_only_where_there_is_one(tmp_path):
    template = "{{plot tokens|Rates of all}}"
    assert render(template, {}, tmp_path) == "Not measured, so no plot."
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "tokens.svg").touch()
    assert render(template, {}, tmp_path) == "![Rates of all](plots/tokens.svg)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (148_321.0, "148,000"),
        (999.6, "1,000"),
        (20.36, "20.4"),
        (9.9985, "10.0"),
        (0.01234, "0.0123"),
        (0.0, "0"),
        (-1.5, "-1.50"),
    ],
)
def test_three_digits_count(value, text):
    assert rounded(value) == text

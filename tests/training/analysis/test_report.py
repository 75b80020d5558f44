"""The figures of a run's report, and the page that shows them."""

import json
import re
import shutil
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.types import Span
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.training.analysis.figures import wrong_sentences
from tagbelt.training.analysis.page import render_page
from tagbelt.training.analysis.report import as_json, load_run, make_report
from tests.training.analysis.items import item


@pytest.fixture(scope="module")
def short(trained):
    """A run that makes mistakes."""
    return trained({"training.epochs": 5, "optimiser.average": 0.0})


@pytest.fixture(scope="module")
def report(short):
    return make_report(load_run(short.directory), threads=1)


def shown(page):
    """The page as a tree: it is XML as well."""
    return ElementTree.fromstring(page.removeprefix("<!doctype html>\n"))


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def test_figures_are_those_of_the_run_itself(short, report):
    assert report.scores == short.report["test"]
    assert [row.epoch for row in report.epochs] == [1, 2, 3, 4, 5]
    best = max(row.f1 for row in report.epochs)
    assert Header.read(short.checkpoint).metrics["dev_f1_float32"] == pytest.approx(best, abs=0.06)
    assert report.dev_error == pytest.approx(
        report.header.metrics["dev_calibration_error"], abs=1e-4
    )
    assert sum(row.gold for row in report.lengths) == report.entities == 18
    assert report.wrong, "a run without mistakes would show little"


def test_scores_are_those_that_are_served(short, report):
    tagger = Tagger.load(short.checkpoint, threads=1)
    for wrong in report.wrong:
        (annotation,) = tagger.annotate_tokens([wrong.item.tokens])
        spans = tuple(Span(e.start, e.end, e.label) for e in annotation.entities)
        assert wrong.item.found == spans
        assert list(wrong.item.scores) == pytest.approx([e.score for e in annotation.entities])


def test_the_page_is_whole_and_needs_nothing_else(report):
    page = render_page(report, 50)
    root = shown(page)
    titles = [text_of(title) for title in root.iter("h2")]
    assert titles == [
        "Learning curves",
        "By type",
        "By length in tokens",
        "Seen against unseen",
        "Confusion of types",
        "Calibration of span posteriors",
        "Worst mistakes",
    ]
    assert not [e.tag for e in root.iter() if e.tag in ("script", "link", "img", "iframe")]
    assert not [e for e in root.iter() if {"src", "href"} & set(e.keys())]
    assert "url(" not in page
    assert "@import" not in page
    tiles = {text_of(t.find("dt")): text_of(t.find("dd")) for t in root.find(".//dl")}
    micro = report.scores["strict"]["micro"]
    assert tiles["F1"] == f"{100 * micro['f1']:.2f}"
    assert tiles["Calibration error"] == f"{report.calibration.error:.3f}"
    assert "From training: calibration error on dev" in page


def test_the_worst_stand_on_the_page_and_no_more_than_asked_for(report):
    for limit in (0, 1, 1000):
        listed = shown(render_page(report, limit)).findall(".//ol/li")
        assert len(listed) == min(limit, len(report.wrong))
        for element, wrong in zip(listed, report.wrong, strict=False):
            gold, found = (
                text_of(side.find("p"))
                for side in element.iter("div")
                if side.find("p") is not None
            )
            assert [wrong.item.tokens[0] in side for side in (gold, found)] == [True, True]
            for score in wrong.item.scores:
                assert f"{score:.3f}" in found


def test_nothing_of_the_data_is_read_as_markup(report):
    nasty = item(
        "<script>alert(1)</script> &amp; \x00 \u202e \"'",
        [(0, 1, '<i a="">'), (2, 3, "PER")],
        [(0, 2, "PER")],
    )
    page = render_page(replace(report, wrong=tuple(wrong_sentences([nasty]))), 5)
    text = text_of(shown(page))
    assert "<script>alert(1)</script>" in text
    assert "&amp; \u2400" in text
    assert '<i a="">' in text


def test_scores_that_promise_too_much_are_warned_of(report):
    for error, is_told in ((0.031, True), (0.03, False)):
        page = render_page(replace(report, dev_error=error), 0)
        assert (f"error is {error:.3f}, above 0.03" in page) == is_told


def test_a_run_without_its_log_has_no_curves(report):
    titles = [
        text_of(title) for title in shown(render_page(replace(report, epochs=()), 0)).iter("h2")
    ]
    assert titles[0] == "By type"


def test_the_figures_are_json(report):
    values = json.loads(json.dumps(as_json(report, 2)))
    assert values["scores"] == report.scores
    assert len(values["worst"]) == 2
    assert values["worst"][0]["mistakes"][0]["sure"] == report.wrong[0].sure
    assert len(values["files"][0]["sha256"]) == 64


def test_other_sentences_can_be_judged_on(short, tmp_path):
    run = load_run(short.directory)
    assert make_report(run, "dev", threads=1).scores == short.report["dev"]
    file = tmp_path / "more.conll"
    file.write_text("Mara\tB-PER\n\nrain\tO\n", encoding="utf-8")
    report = make_report(run, str(file), threads=1)
    assert (report.tokens, report.entities) == (2, 1)
    assert report.material.files[0].path == str(file)


def test_labels_of_another_file_are_renamed_as_the_runs_own(trained, tmp_path):
    run = trained({"training.epochs": 1, "data.labels": {"PER": "HUMAN", "ORG": ""}})
    file = tmp_path / "more.conll"
    file.write_text("Mara\tB-PER\nTarn\tB-ORG\n", encoding="utf-8")
    material = load_run(run.directory).material(str(file))
    assert material.sentences[0].spans == (Span(0, 1, "HUMAN"),)


def test_what_cannot_be_judged_on_is_told(short, tmp_path):
    run, empty = load_run(short.directory), tmp_path / "empty.conll"
    with pytest.raises(ConfigError, match=r"^nowhere: no such file; say dev, test or a file with"):
        run.material("nowhere")
    empty.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"empty\.conll: no sentence to judge on"):
        run.material(str(empty))


def test_files_that_have_changed_since_the_run_are_refused(short, tmp_path):
    shutil.copytree(short.directory, tmp_path / "run")
    digests = tmp_path / "run" / "files.json"
    text = digests.read_text(encoding="utf-8")
    digests.write_text(re.sub(r'("test.conll": ")\w{4}', r"\g<1>0000", text), encoding="utf-8")
    run = load_run(tmp_path / "run")
    assert run.material("dev").sentences
    with pytest.raises(ConfigError, match=r"changed since this run began: test file test\.conll"):
        run.material()


def test_a_directory_without_a_finished_run_is_told(short, tmp_path):
    with pytest.raises(ConfigError, match=r"no run here \(config\.json is missing\)"):
        load_run(tmp_path)
    shutil.copy(short.directory / "config.json", tmp_path)
    with pytest.raises(ConfigError, match=r"no finished run here \(checkpoint/ is missing\)"):
        load_run(tmp_path)

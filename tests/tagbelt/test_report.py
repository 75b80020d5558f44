import json

import pytest


@pytest.fixture
def run(checkpoint):
    return checkpoint.parent


def test_a_page_is_written_beside_the_run(cli, run):
    done = cli("report", run, "--threads", 1)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"report: {run / 'report.html'}\n")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<h1>tiny 1</h1>" in page


def test_json_goes_to_standard_output_and_a_page_only_where_it_is_asked_for(cli, run, tmp_path):
    (run / "report.html").unlink(missing_ok=True)
    done = cli("report", run, "--json", "--on", "dev", "--mistakes", 1, "--threads", 1)
    assert done.code == 0
    values = json.loads(done.out)
    assert values["on"] == "dev"
    assert not (run / "report.html").exists()
    page = tmp_path / "page.html"
    both = cli("report", run, "--json", "--out", page, "--threads", 1)
    assert json.loads(both.out)["on"] == "test"
    assert page.exists()


def test_a_page_on_another_file_has_a_name_of_its_own(cli, run):
    (run / "report.html").write_text("kept", encoding="utf-8")
    done = cli("report", run, "--on", "dev", "--threads", 1)
    assert done.err.startswith(f"report: {run / 'report-dev.html'}\n")
    assert (run / "report.html").read_text(encoding="utf-8") == "kept"


def test_what_is_no_run_is_told(cli, tmp_path):
    done = cli("report", tmp_path)
    assert done.code == 1
    assert done.err == f"tagbelt report: {tmp_path}: no run here (config.json is missing)\n"

import json
import re

import pytest

TEXT = "Anna Smith visited Paris."


def test_json_tells_what_the_network_did(cli, checkpoint):
    done = cli("inspect", TEXT, "--model", checkpoint)
    assert done.code == 0
    value = json.loads(done.out)
    (sentence,) = value["sentences"]
    assert [token["text"] for token in sentence["tokens"]] == [
        "Anna",
        "Smith",
        "visited",
        "Paris",
        ".",
    ]
    forward, backward = sentence["layers"][0]
    assert (forward["direction"], backward["direction"]) == ("forward", "backward")
    assert "vectors" not in forward
    whole = json.loads(cli("inspect", TEXT, "--model", checkpoint, "--vectors").out)
    assert "cell" in whole["sentences"][0]["layers"][0][0]["vectors"]


def test_the_page_holds_the_same_and_names_no_other_address(cli, checkpoint, tmp_path):
    page = tmp_path / "out.html"
    done = cli("inspect", TEXT, "--model", checkpoint, "--html", page)
    assert (done.code, done.out, done.err) == (0, "", f"page: {page}\n")
    html = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r"^const DATA = (.*);$", html, re.MULTILINE)[1])
    value = json.loads(cli("inspect", TEXT, "--model", checkpoint).out)
    (shown,) = data["inspections"]
    for layer in shown["sentences"][0]["layers"]:
        assert all(direction.pop("vectors").keys() >= {"cell", "state"} for direction in layer)
    assert shown == value
    drawn = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(|^(?:import|export) ", drawn, re.M)


def test_several_models_stand_side_by_side_on_a_page_and_small_ones_have_names(cli, tmp_path):
    page = tmp_path / "out.html"
    small = [f"--model=small-{cell}" for cell in ("rnn", "lstm", "gru")]
    assert cli("inspect", TEXT, *small, "--html", page).code == 0
    html = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r"^const DATA = (.*);$", html, re.MULTILINE)[1])
    assert [one["cell"] for one in data["inspections"]] == ["rnn", "lstm", "gru"]
    assert "add --html" in cli("inspect", TEXT, *small).err
    assert "at most three" in cli("inspect", TEXT, *small, small[0], "--html", page).err


def test_a_text_cannot_leave_the_script_that_holds_it(cli, checkpoint, tmp_path):
    page = tmp_path / "out.html"
    cli("inspect", "</script><!-- <script> /*DATA*/null", "--model", checkpoint, "--html", page)
    html = page.read_text(encoding="utf-8")
    assert html.count("</script>") == html.count("<script>") == 1
    assert "<!--" not in html


@pytest.mark.parametrize(
    ("text", "message"),
    [("word " * 129, "the text has 129 tokens, at most 128 can be inspected")],
)
def test_a_text_that_is_too_long_is_told(cli, checkpoint, text, message):
    done = cli("inspect", text, "--model", checkpoint)
    assert done.code == 1
    assert message in done.err


def test_a_model_that_is_none_is_told(cli, tmp_path):
    done = cli("inspect", TEXT, "--model", tmp_path)
    assert done.code == 1
    assert "no checkpoint here" in done.err

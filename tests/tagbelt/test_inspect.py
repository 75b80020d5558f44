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
    for layer in data["sentences"][0]["layers"]:
        assert all(direction.pop("units") is not None for direction in layer)
    assert data == value
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", html)


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

"""The page of `tagbelt inspect`, a file for any screen, in light and dark, without a network."""

from pathlib import Path

import pytest

from tagbelt.commands.inspect import render_inspection
from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import save_checkpoint
from tagbelt.model.config import CELLS
from tests.model.networks import make_header, make_network, vocabulary_of

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
TEXT = "Anna went to Paris , in 1999 . She said <b>no</b> ."


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a random network, which must log nothing and ask for nothing else."""
    contexts, complaints = [], []
    file = tmp_path / "out.html"

    def open_page(text=TEXT, *, network=None, **options):
        made = make_network(**{"cell": "lstm", **(network or {})})
        save_checkpoint(tmp_path / "model", made, vocabulary_of(made), make_header(made))
        inspection = Tagger.load(tmp_path / "model", threads=1).inspect(text, occlude="all")
        file.write_text(render_inspection(inspection), encoding="utf-8")
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(complaints) == {file.as_uri()}


def current(page):
    return page.locator(".tag.now").inner_text().split("\n")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(opened, scheme):
    page = opened(color_scheme=scheme)
    page.locator("#slider").fill("7")  # nothing lies ahead, which is faint on purpose
    page.wait_for_timeout(400)
    assert page.evaluate(READABILITY) == []


@pytest.mark.parametrize("width", [320, 800, 1440])
def test_only_pictures_scroll_sideways(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_belt_plays_token_by_token_in_both_directions(opened):
    page = opened()
    page.locator("#slider").fill("0")
    assert current(page) == "Anna"
    assert "nothing to forget" in page.locator("#story").inner_text()
    page.locator("#play").click()
    page.wait_for_selector(".tag.now:has-text('went')")
    page.locator("#play").click()
    page.get_by_role("button", name="backward").click()
    page.locator("#slider").fill("0")
    assert current(page) == "."
    page.get_by_role("button", name="Sentence 2").click()
    page.get_by_title("<").first.wait_for()
    assert page.locator(".tag b").count() == 0


def test_values_show_where_the_pointer_is(opened):
    page = opened()
    page.locator("canvas").first.hover()
    assert "unit" in page.locator("#hint").inner_text()
    page.locator(".cell").first.hover()
    assert page.locator("#hint").is_visible()


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_its_pictures_with_a_line_of_words_each(opened, cell):
    page = opened(network={"cell": cell, "attention_heads": 2, "layers": 2})
    sections = page.locator("section")
    gates = page.evaluate("Object.keys(DATA.sentences[0].layers[0][0].gates).length")
    assert (gates == 0) == (cell == "rnn")
    assert page.locator("canvas").count() == page.locator(".dial").count() == gates
    assert page.get_by_role("button", name="Layer 2").is_visible()
    for place in range(sections.count()):
        words = sections.nth(place).locator(".says").first.inner_text()
        assert len(words) > 20
        assert "undefined" not in words
        assert "NaN" not in words


def test_a_blank_text_says_so(opened):
    assert "no word" in opened(" ").locator("#page").inner_text()

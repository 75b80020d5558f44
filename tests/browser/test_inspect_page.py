"""The page of `tagbelt inspect`, a file for any screen, in light and dark, without a network."""

from pathlib import Path

import pytest

from tagbelt.commands.inspect import render_inspections
from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import save_checkpoint
from tagbelt.model.config import CELLS
from tests.model.networks import make_header, make_network, vocabulary_of

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
TEXT = "Anna went to Paris , in 1999 . She said <b>no</b> ."


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of random networks, which must log nothing and ask for nothing else."""
    contexts, complaints = [], []
    file = tmp_path / "out.html"

    def inspection(text, network):
        made = make_network(**{"cell": "lstm", **network})
        save_checkpoint(tmp_path / "model", made, vocabulary_of(made), make_header(made))
        return Tagger.load(tmp_path / "model", threads=1).inspect(text, occlude="all")

    def open_page(text=TEXT, *, networks=None, **options):
        page_of = [inspection(text, network) for network in networks or [{}]]
        file.write_text(render_inspections(page_of, "en"), encoding="utf-8")
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
    return page.locator(".box[aria-current] bdi").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(opened, scheme):
    page = opened(color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate(READABILITY) == []


@pytest.mark.parametrize("width", [320, 1440])
def test_only_pictures_scroll_sideways(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_belt_plays_token_by_token_in_both_directions(opened):
    page = opened()
    page.locator(".controls input").fill("0")
    assert current(page) == "Anna"
    assert "nothing to forget" in page.locator(".belt .says").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector(".box[aria-current]:has-text('went')")
    page.get_by_role("button", name="Pause").click()
    page.locator(".controls input").fill("1")
    page.get_by_role("button", name="One word back").click()
    assert current(page) == "Anna"
    page.locator(".box", has_text="Paris").click()
    assert current(page) == "Paris"
    page.get_by_role("button", name="backward").click()
    page.locator(".controls input").fill("0")
    assert current(page) == "."
    page.get_by_role("button", name="Sentence 2").click()
    assert page.locator(".box b").count() == 0
    page.get_by_role("button", name="<").first.wait_for()


def test_values_show_for_pointer_keyboard_and_a_picked_unit(opened):
    page = opened()
    heat = page.locator("canvas.pickable").first
    heat.hover()
    assert "unit" in page.locator(".hint").inner_text()
    page.locator("canvas").first.press("ArrowRight")
    assert page.locator(".hint").is_visible()
    heat.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.locator(".unit-head b").inner_text() == "Unit 2 of lstm"
    page.get_by_role("button", name="Next unit").click()
    assert page.locator(".unit-head b").inner_text() == "Unit 3 of lstm"


def test_every_cell_has_its_pictures_with_a_line_of_words_each(opened):
    """All cells, three at a time, side by side, with several layers and attention."""
    for cells in (CELLS[:3], CELLS[3:]):
        page = opened(
            networks=[{"cell": cell, "attention_heads": 2, "layers": 2} for cell in cells]
        )
        assert page.locator(".belt").count() == len(cells)
        assert page.get_by_role("button", name="Layer 2").is_visible()
        gates = page.evaluate(
            "DATA.inspections.map((one) => Object.keys(one.sentences[0].layers[0][0].gates).length)"
        )
        assert page.locator(".gauge").count() == sum(gates)
        pictures = page.locator(".picture")
        for place in range(pictures.count()):
            words = pictures.nth(place).locator(".says").first.inner_text()
            assert len(words) > 20
        whole = page.locator("#pictures").inner_text()
        assert "undefined" not in whole
        assert "NaN" not in whole


def test_the_language_can_be_changed(opened):
    page = opened(locale="zh-TW")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert "遗忘门" in page.locator(".pictures").inner_text()
    page.get_by_role("button", name="English").click()
    assert page.evaluate("document.documentElement.lang") == "en"
    assert "forget gate" in page.locator(".pictures").inner_text()


def test_a_blank_text_says_so(opened):
    assert "no word" in opened(" ").locator("#pictures").inner_text()

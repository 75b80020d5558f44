"""The page for every eye, ear and hand: contrast, names, keyboard, phone, light and dark."""

import re
from pathlib import Path

import pytest

from tests.browser.actions import SENTENCE, focused, open_tab, tag

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
TABS = ["entities", "tokens", "readings", "json", "curl"]
# Every hue of the style sheet shows up with these labels.
TEXT = f"{SENTENCE} {'x' * 300} 👩‍🚀Ana 上海 محمد <b>Bold</b>"


def background(page) -> tuple[int, ...]:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return tuple(map(int, re.findall(r"\d+", colour)))[:3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(open_page, scheme):
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    assert page.evaluate(READABILITY) == []
    page.set_input_files(
        "#picker", [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"Toyota\n\xff\n"}]
    )
    page.wait_for_selector(".job[data-state=done]")
    tag(page, TEXT)
    page.click("#labels [data-label=ORG]")
    for name in TABS:
        open_tab(page, name)
        assert page.evaluate(READABILITY) == [], name
    page.focus("#marked mark")
    assert page.evaluate(READABILITY) == []
    page.picture(f"all-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_hue_can_be_read_on_its_own_tint(open_page, scheme):
    page = open_page(color_scheme=scheme)
    tag(page, "Toyota")
    for hue in range(8):
        page.eval_on_selector("#marked mark", "(mark, hue) => { mark.dataset.hue = hue; }", hue)
        page.hover("#marked mark")
        assert page.evaluate(READABILITY) == [], f"hue {hue}"


@pytest.mark.parametrize("width", [320, 360, 1440])
def test_nothing_overflows(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    tag(page, TEXT)
    for name in TABS:
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.picture(f"{width}")


def test_the_theme_follows_the_system_until_one_is_chosen(open_page):
    page = open_page(color_scheme="dark")
    assert max(background(page)) < 80
    page.emulate_media(color_scheme="light")
    assert min(background(page)) > 200
    page.click("#theme")
    page.click("#theme")
    assert page.get_attribute("#theme", "aria-label") == "Theme: Dark"
    assert max(background(page)) < 80
    page.reload()
    assert max(background(page)) < 80
    page.goto(page.url + "docs")
    assert max(background(page)) < 80
    page.click("#theme")
    assert min(background(page)) > 200
    assert page.evaluate("localStorage.length") == 0


def test_nothing_moves_for_who_asked_for_less_motion(open_page):
    page = open_page(reduced_motion="reduce")
    page.evaluate("document.getElementById('busy').hidden = false")
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_screen_reader_finds_everything_and_hears_changes(open_page):
    page = open_page()
    tag(page, "Toyota")
    heard = page.locator("body").aria_snapshot()
    for part in (
        "banner",
        'navigation "Pages"',
        "main",
        'heading "Find the names in a text" [level=1]',
        'textbox "Text"',
        'group "Examples"',
        'switch "While typing" [checked]',
        'button "Tag"',
        'button "Theme: System"',
        'button "Choose files"',
        "status: 1 entity",
        'group "Show only these labels"',
        'button "ORG 1" [pressed]',
        'slider "Score at least',
        'button "Toyota, ORG, 87.7%"',
        'tab "Entities" [selected]',
        'tabpanel "Entities"',
        'table "Entities, with offsets in characters"',
        'columnheader "Label"',
        'heading "Model" [level=2]',
    ):
        assert part in heard, heard
    assert page.get_attribute("#error", "role") == "alert"


def test_every_control_has_a_name(open_page):
    page = open_page()
    tag(page, "Toyota")
    for name in TABS:
        open_tab(page, name)
        nameless = re.findall(
            r"- (?:button|link|textbox|slider|checkbox|switch|combobox|tab|table)(?: \[.*\])?:?$",
            page.locator("body").aria_snapshot(),
            re.MULTILINE,
        )
        assert nameless == [], name


def test_the_tabs_work_by_keyboard(open_page):
    page = open_page()
    tag(page, "Toyota")
    page.focus("#tab-entities")
    for key, name in [("ArrowRight", "tokens"), ("End", "curl"), ("ArrowRight", "entities")]:
        page.keyboard.press(key)
        assert focused(page) == f"tab-{name}"
        assert page.is_visible(f"#panel-{name}")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#tab-curl", "aria-selected") == "true"
    assert page.get_attribute("#tab-entities", "tabindex") == "-1"


def test_the_whole_page_can_be_walked_with_the_keyboard_alone(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the text"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab") if focused(page) != "text" else None
    page.keyboard.type(SENTENCE)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#marked mark")
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        seen = page.evaluate(
            """() => {
                const { activeElement: e } = document;
                const ring = (node) => getComputedStyle(node).outlineStyle !== "none";
                return e === document.body || ring(e) || ring(e.nextElementSibling ?? e);
            }"""
        )
        assert seen, stops
        if stops[-1] == "panel-entities":
            break
    walked = [
        "clear", "live", "submit", "News", "Football", "Message", "choose",
        "LOC", "ORG", "PER", "least", "Angela Merkel", "tab-entities", "panel-entities",
    ]  # fmt: skip
    assert stops == walked

"""The page as a person uses it, in a real browser against a real server."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service.fake import FakeTagger
from tests.service.live import serving

SENTENCE = "Angela Merkel visited Toyota in Nagoya on Monday."
OpenPage = Callable[..., Any]


@contextmanager
def watched_page(browser: Any, url: str, path: str = "/", **options: Any) -> Iterator[Any]:
    """A page that must log no error, break no policy and ask no other host."""
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("request", lambda r: None if r.url.startswith(url) else complaints.append(r.url))
    page.on("dialog", lambda d: (complaints.append(f"dialog: {d.message}"), d.dismiss()))
    page.goto(url + path)
    page.wait_for_load_state("networkidle")
    page.complaints = complaints
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def open_page(browser, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens the page of a server over a fake tagger; its last state is kept as a picture."""
    managers = []

    def enter(manager):
        managers.append(manager)
        return manager.__enter__()

    def opened(tagger: Any = None, *, settings: Any = None, path: str = "/", **options: Any) -> Any:
        url = enter(serving(tagger, **(settings or {})))
        page = enter(watched_page(browser, url, path, **options))
        page.picture = lambda name: page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        return page

    yield opened
    for manager in reversed(managers):
        manager.__exit__(None, None, None)


def tag(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.click("#submit")
    page.wait_for_selector("#submit:not([aria-busy])")


def marks(page: Any) -> list[tuple[str, str]]:
    """What is highlighted: the text itself, and the label beside it."""
    return [
        (mark.evaluate("m => m.firstChild.data"), mark.query_selector(".chip").inner_text())
        for mark in page.query_selector_all("mark")
    ]


def whole_text(page: Any) -> str:
    """The highlighted text without the chips."""
    return page.evaluate(
        """() => {
            const copy = document.getElementById("marked").cloneNode(true);
            copy.querySelectorAll(".chip").forEach((chip) => chip.remove());
            return copy.textContent;
        }"""
    )


def test_typing_and_tagging(open_page):
    page = open_page()
    assert page.is_visible("#empty")
    tag(page, SENTENCE)
    assert marks(page) == [
        ("Angela Merkel", "PER87.7%"),
        ("Toyota", "ORG87.7%"),
        ("Nagoya", "LOC87.7%"),
    ]
    assert whole_text(page) == SENTENCE
    assert "3 entities" in page.inner_text("#status")
    assert "fake 3" in page.inner_text("#status")
    cells = [row.inner_text().split("\t") for row in page.query_selector_all("#rows tr")]
    assert cells[1] == ["Toyota", "ORG", "22", "28", "0.877"]
    assert not page.is_visible("#empty")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("周三，李明在上海会见了客人。", ["李明", "上海"]),
        ("👋🏽 hi 👩‍🚀Ana, see 🗾 Nagoya!", ["👩‍🚀Ana", "Nagoya"]),
        ("التقى محمد في Nagoya أمس", ["محمد", "Nagoya"]),
        ("line one\n\n\tToyota\u200b é", ["Toyota"]),
    ],
)
def test_text_of_any_script_is_cut_in_the_right_places(open_page, text, found):
    page = open_page()
    tag(page, text)
    assert [text for text, _ in marks(page)] == found
    assert whole_text(page) == text


@pytest.mark.parametrize("modifier", ["Control", "Meta"])
def test_the_keyboard_tags(open_page, modifier):
    page = open_page()
    page.fill("#text", "Toyota")
    page.press("#text", f"{modifier}+Enter")
    page.wait_for_selector("mark")
    assert page.input_value("#text") == "Toyota"


def test_markup_in_a_text_stays_text(open_page):
    page = open_page()
    text = "<img src=x onerror=alert(1)><b>Bold</b></p><script>alert(2)</script>\"'&amp;"
    tag(page, text)
    assert marks(page)[0][0] == "<b>Bold</b>"
    assert whole_text(page) == text
    assert page.query_selector("#result img, #result script, #result b") is None


def test_markup_in_a_label_or_a_name_stays_text(open_page):
    class Hostile(FakeTagger):
        def annotate(self, texts, *, marginals=False):
            from dataclasses import replace

            return [
                replace(a, entities=tuple(replace(e, label="<i>x</i>") for e in a.entities))
                for a in super().annotate(texts, marginals=marginals)
            ]

    page = open_page(Hostile("<img/onerror=alert(1)>", description='"><script>alert(1)</script>'))
    tag(page, "Toyota")
    assert marks(page) == [("Toyota", "<i>x</i>87.7%")]
    assert page.query_selector("main i, header script") is None


def test_an_example_is_tagged_at_once(open_page):
    page = open_page()
    page.click("#examples button >> nth=0")
    page.wait_for_selector("mark")
    assert page.input_value("#text").startswith("Angela Merkel")


def test_the_examples_are_in_the_language_of_the_model(open_page):
    page = open_page(FakeTagger("zh", language="zh"))
    assert {b.get_attribute("lang") for b in page.query_selector_all("#examples button")} == {"zh"}


def test_text_without_entities_says_so(open_page):
    page = open_page()
    tag(page, "nothing here")
    assert page.inner_text("#empty") == "No entities found in this text."
    assert "0 entities" in page.inner_text("#status")
    tag(page, "")
    assert "0 entities" in page.inner_text("#status")


def test_a_text_that_is_too_long_shows_the_limit_and_the_next_one_works(open_page):
    page = open_page(settings={"max_characters": 20})
    tag(page, "x" * 21)
    assert page.inner_text("#error-title") == "Too long"
    assert "the limit is 20" in page.inner_text("#error-detail")
    assert not page.is_visible("#result")
    page.picture("error")
    tag(page, "Toyota")
    assert not page.is_visible("#error")
    assert page.is_visible("mark")


def test_an_error_status_shows_the_problem(open_page):
    page = open_page(FakeTagger(poison="Toyota"))
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "Internal error"
    assert any("500" in complaint for complaint in page.complaints)  # the browser's own line
    page.complaints.clear()


def test_a_server_that_is_gone_is_said(open_page):
    page = open_page()
    page.context.set_offline(True)
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "The server cannot be reached"
    page.complaints.clear()


def test_the_last_of_two_requests_wins(open_page):
    tagger = FakeTagger()
    page = open_page(tagger)
    tagger.gate.clear()
    page.fill("#text", "Toyota")
    page.click("#submit")
    page.fill("#text", "Nagoya")
    page.click("#submit")
    tagger.gate.set()
    page.wait_for_selector("#submit:not([aria-busy])")
    assert [text for text, _ in marks(page)] == ["Nagoya"]


def test_a_model_is_chosen_among_several(open_page):
    page = open_page([FakeTagger("en"), FakeTagger("zh", language="zh")])
    assert page.input_value("#model") == "en"
    page.select_option("#model", "zh")
    tag(page, "上海")
    assert "zh 3" in page.inner_text("#status")
    page.click("#tab-curl")
    assert '"model":"zh"' in page.inner_text("#curl")


def test_the_tabs_work_by_keyboard(open_page):
    page = open_page()
    tag(page, "Toyota")
    page.focus("#tab-table")
    for key, tab in [("ArrowRight", "json"), ("ArrowRight", "curl"), ("ArrowRight", "table")]:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"tab-{tab}"
        assert page.is_visible(f"#panel-{tab}")
    page.keyboard.press("ArrowLeft")
    assert page.is_visible("#panel-curl")
    assert page.get_attribute("#tab-curl", "aria-selected") == "true"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_command_gives_the_reply_that_is_shown(open_page):
    page = open_page()
    tag(page, 'Mr O\'Brien of "Toyota" `id` $HOME \\ \n 上海 👩‍🚀Ana')
    page.click("#tab-json")
    shown = page.evaluate("JSON.parse(document.getElementById('json').textContent)")
    page.click("#tab-curl")
    command = page.evaluate("document.getElementById('curl').textContent")
    answer = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)
    import json

    assert json.loads(answer.stdout) == shown
    assert [e["text"] for e in shown["results"][0]["entities"]] == ["Toyota", "上海", "👩‍🚀Ana"]


def test_the_reply_is_copied(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    tag(page, "Toyota")
    page.click("#tab-curl")
    page.click("#panel-curl .copy")
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl -s http://127.0.0.1")
    assert page.inner_text("#panel-curl .copy") == "Copied"


def test_a_screen_reader_finds_everything_and_hears_changes(open_page):
    page = open_page()
    tag(page, "Toyota")
    heard = page.locator("body").aria_snapshot()
    for part in (
        'heading "Find the names in a text" [level=1]',
        'textbox "Find the names in a text"',
        'group "Examples"',
        'button "News"',
        'button "Tag',
        "status: 1 entity",
        'tab "Entities" [selected]',
        'tabpanel "Entities"',
        'cell "Toyota"',
    ):
        assert part in heard, heard
    assert page.get_attribute("#error", "role") == "alert"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("desktop", 1200), ("phone", 360)])
def test_nothing_overflows(open_page, scheme, device, width):
    page = open_page(
        viewport={"width": width, "height": 800}, color_scheme=scheme, device_scale_factor=2
    )
    page.picture(f"{device}-{scheme}-empty")
    tag(page, f"{SENTENCE} {'x' * 300} 👩‍🚀Ana 上海 محمد <b>Bold</b>")
    page.picture(f"{device}-{scheme}")
    for tab in ("table", "json", "curl"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def contrast(page: Any, selector: str) -> float:
    """The WCAG 2 contrast of an element's text with its own background."""
    return page.eval_on_selector(
        selector,
        """(element) => {
            const style = getComputedStyle(element);
            const luminance = (colour) => {
                const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
                    const value = part / 255;
                    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const [dim, bright] = [luminance(style.color), luminance(style.backgroundColor)]
                .sort((a, b) => a - b);
            return (bright + 0.05) / (dim + 0.05);
        }""",
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_can_be_read(open_page, scheme):
    page = open_page(color_scheme=scheme)
    tag(page, "Toyota")
    for hue in range(8):
        page.eval_on_selector("mark .chip", "(chip, hue) => { chip.dataset.hue = hue; }", hue)
        assert contrast(page, "mark .chip") >= 4.5, f"hue {hue}"
    assert contrast(page, "#submit") >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_api_page_shows_every_endpoint_and_problem(open_page, scheme):
    page = open_page(path="/docs#too-long", color_scheme=scheme)
    page.wait_for_selector("#problems")
    headings = [heading.inner_text() for heading in page.query_selector_all(".endpoint h2")]
    assert [heading.split()[-1] for heading in headings] == [
        "/v1/tag", "/v1/models", "/v1/models/{name}", "/livez", "/readyz", "Problems"
    ]  # fmt: skip
    assert "min_score" in page.inner_text("main")
    assert "curl -s" in page.inner_text("main")
    assert page.is_visible("#too-long:target")
    page.picture(f"docs-{scheme}")

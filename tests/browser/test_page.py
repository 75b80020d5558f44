"""The page as a person uses it, in a real browser against a real server."""

import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.browser.actions import (
    SENTENCE,
    focused,
    held,
    marks,
    open_tab,
    settle,
    shown_json,
    tag,
    whole_text,
)
from tests.service.fake import FakeTagger


class Unsure(FakeTagger):
    """The first entity of a text is sure, each other one less so."""

    def annotate_items(self, readings, phases=None, between=lambda: None):
        return [
            replace(
                a,
                entities=tuple(
                    replace(e, score=0.9 - 0.3 * place) for place, e in enumerate(a.entities)
                ),
            )
            for a in super().annotate_items(readings, phases, between)
        ]


@pytest.fixture
def two_languages():
    return [FakeTagger("en"), FakeTagger("zh", language="zh", labels=("PER", "LOC"))]


def test_what_is_tagged_is_marked_and_listed(open_page):
    page = open_page()
    assert page.is_visible("#empty")
    tag(page, SENTENCE)
    assert marks(page) == [("Angela Merkel", "PER"), ("Toyota", "ORG"), ("Nagoya", "LOC")]
    assert whole_text(page) == SENTENCE
    assert page.inner_text("#status").startswith("3 entities")
    assert "fake 3" in page.inner_text("#status")
    cells = [row.inner_text().split() for row in page.query_selector_all("#panel-entities tr")]
    assert cells[2] == ["Toyota", "ORG", "22", "28", "87.7%"]
    assert not page.is_visible("#empty")


def test_what_is_typed_is_tagged_after_a_pause(open_page):
    page = open_page()
    page.locator("#text").press_sequentially("to Toyota")
    page.wait_for_selector("#marked mark")
    assert whole_text(page) == "to Toyota"
    page.fill("#text", "")
    page.wait_for_selector("#empty")


def test_typing_asks_nothing_when_switched_off_and_the_choice_is_kept(open_page):
    page = open_page()
    page.click("label.switch")
    page.reload()
    assert not page.is_checked("#live")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.fill("#text", "Toyota")
    page.wait_for_timeout(400)
    assert sent == []
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#marked mark")


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
    assert [name for name, _ in marks(page)] == found
    assert whole_text(page) == text


def test_a_script_that_the_model_is_not_of_is_told(open_page):
    page = open_page()
    tag(page, "Анна живёт в Nagoya")
    said = "Take care: most letters are Cyrillic, and fake@3 is for 'en'."
    assert page.inner_text("#note") == said
    tag(page, "Ana in Nagoya")
    assert not page.is_visible("#note")


def test_markup_in_a_text_a_label_or_a_name_stays_text(open_page):
    class Hostile(FakeTagger):
        def annotate_items(self, readings, phases=None, between=lambda: None):
            return [
                replace(a, entities=tuple(replace(e, label="<i>x</i>") for e in a.entities))
                for a in super().annotate_items(readings, phases, between)
            ]

    page = open_page(Hostile("<img/onerror=alert(1)>", description='"><script>alert(1)</script>'))
    text = "<img src=x onerror=alert(1)><b>Bold</b></p><script>alert(2)</script>\"'&amp;"
    tag(page, text)
    assert marks(page) == [("<b>Bold</b>", "<i>x</i>")]
    assert whole_text(page) == text
    assert page.query_selector("main i, main b, main img, main script") is None


def test_details_of_an_entity_by_pointer_and_by_keyboard(open_page):
    page = open_page()
    tag(page, "👩‍🚀Ana drove a Toyota to Nagoya")
    page.hover("#marked mark >> nth=1")
    shown = page.inner_text("#details")
    for part in ("Toyota", "ORG", "Organisation", "87.7%", "15 to 21", "17 to 23"):
        assert part in shown, shown
    page.keyboard.press("Escape")
    assert not page.is_visible("#details")
    page.focus("#marked mark >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "Nagoya" in page.inner_text("#details")
    assert page.get_attribute("#marked mark >> nth=2", "aria-describedby") == "details"
    page.keyboard.press("Home")
    assert "Ana" in page.inner_text("#details")
    page.focus("#text")
    page.wait_for_selector("#details", state="hidden")


@pytest.mark.parametrize(("title", "name"), [("News", "Angela Merkel"), ("新闻", "李明")])
def test_an_example_is_tagged_at_once_by_the_model_of_its_language(
    open_page, two_languages, title, name
):
    page = open_page(two_languages)
    assert page.input_value("#model") == "auto"
    page.click(f"#examples button:text-is('{title}')")
    page.wait_for_selector("#marked mark")
    assert marks(page)[0] == (name, "PER")
    language = page.get_attribute(f"#examples button:text-is('{title}')", "lang")
    assert f"{language} 3" in page.inner_text("#status")


def test_a_model_is_chosen_with_its_card_and_examples(open_page, two_languages):
    page = open_page(two_languages)
    assert "language" in page.inner_text("#model-card")
    page.select_option("#model", "zh")
    card = page.inner_text("#model-card")
    for part in ("zh version 3", "A tagger for tests.", "Chinese", "50.0%", "abababababab", "PER"):
        assert part in card, card
    assert {b.get_attribute("lang") for b in page.query_selector_all("#examples button")} == {"zh"}
    tag(page, "上海")
    open_tab(page, "json")
    assert shown_json(page, "request") == {"text": "上海", "model": "zh"}


def test_a_model_offers_sentences_of_its_own(open_page):
    long = "Toyota of Nagoya delivered nothing at all yesterday"
    page = open_page([FakeTagger("mine", language="", examples=("Ana left", long))])
    buttons = page.query_selector_all("#examples button")
    assert [b.inner_text() for b in buttons] == ["Ana left", "Toyota of Nagoya delivered noth…"]
    buttons[1].click()
    page.wait_for_selector("#marked mark")
    assert page.input_value("#text") == long


def test_a_model_of_another_language_without_sentences_offers_none(open_page):
    page = open_page([FakeTagger("mine", language="fr")])
    assert page.query_selector_all("#examples button") == []


def test_text_without_entities_says_so(open_page):
    page = open_page()
    tag(page, "nothing here")
    assert page.inner_text("#note") == "No names were found in this text."
    assert page.inner_text("#status").startswith("0 entities")


def test_the_filter_works_at_once_and_is_part_of_the_request_shown(open_page):
    page = open_page(Unsure())
    tag(page, SENTENCE)  # scores 0.9, 0.6, 0.3
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.fill("#least", "50")
    page.wait_for_selector("#labels [data-label=LOC]:has-text('0')")
    assert [name for name, _ in marks(page)] == ["Angela Merkel", "Toyota"]
    page.click("#labels [data-label=PER]")
    assert page.get_attribute("#labels [data-label=PER]", "aria-pressed") == "false"
    assert focused(page) == "PER"
    assert [name for name, _ in marks(page)] == ["Toyota"]
    assert whole_text(page) == SENTENCE
    assert page.inner_text("#status").startswith("1 of 3 entities")
    assert page.inner_text("#note") == "2 names are hidden by the filter."
    request = shown_json(page, "request")
    assert request["labels"] == ["ORG", "LOC"]
    assert request["min_score"] == 0.5
    assert [e["text"] for e in shown_json(page, "json")["results"][0]["entities"]] == ["Toyota"]
    assert sent == []
    page.click("#labels [data-label=LOC]")
    page.click("#labels [data-label=ORG]")  # the last one: all are back
    assert "labels" not in shown_json(page, "request")


def test_the_tokens_with_their_tags_and_likely_tags(open_page):
    page = open_page()
    tag(page, "In Nagoya")
    open_tab(page, "tokens")
    rows = [row.inner_text().split() for row in page.query_selector_all("#panel-tokens tr")]
    assert rows[1] == ["1", "In", "O", "O", "100%"]
    assert rows[2] == ["2", "Nagoya", "B-LOC", "B-LOC", "75.0%", "I-LOC", "25.0%"]


def test_many_tokens_come_a_screenful_at_a_time(open_page):
    page = open_page()
    tag(page, "word " * 450)
    open_tab(page, "tokens")
    assert len(page.query_selector_all("#panel-tokens tbody tr")) == 200
    page.click("#panel-tokens .more")
    page.click("#panel-tokens .more")
    assert len(page.query_selector_all("#panel-tokens tbody tr")) == 450
    assert not page.is_visible("#panel-tokens .more")


def test_the_readings_show_their_probability_and_what_differs(open_page):
    page = open_page()
    tag(page, SENTENCE)
    open_tab(page, "readings")
    best, other = page.query_selector_all("#readings > li")
    assert "75.0%" in best.inner_text()
    assert len(best.query_selector_all("mark")) == 3
    assert "25.0%" in other.inner_text()
    assert other.query_selector("ins").inner_text() == "Nagoya"
    assert "No name here, instead of Nagoya as LOC" in other.inner_text()
    open_tab(page, "entities")
    tag(page, "nothing")
    open_tab(page, "readings")
    assert "only one way" in page.inner_text("#readings-sum")


def test_each_tab_asks_for_what_it_shows_and_only_once(open_page):
    page = open_page()
    bodies = []
    page.on("request", lambda r: bodies.append(r.post_data_json) if r.method == "POST" else None)
    tag(page, "Toyota")
    for name in ("tokens", "readings", "json", "curl", "tokens", "entities"):
        open_tab(page, name)
    assert bodies == [
        {"text": "Toyota"},
        {"text": "Toyota", "include": ["tokens", "tags", "alternatives"]},
        {"text": "Toyota", "n_best": 5},
    ]
    page.click("#tab-json")
    page.check("input[value=tags]")
    settle(page)
    assert bodies[3:] == [{"text": "Toyota", "include": ["tags"]}]
    assert shown_json(page, "json")["results"][0]["tags"] == ["B-ORG"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_command_gives_the_reply_that_is_shown(open_page):
    page = open_page()
    tag(page, 'Mr O\'Brien of "Toyota" `id` $HOME \\ \n 上海 👩‍🚀Ana')
    page.click("#labels [data-label=LOC]")
    page.click("#tab-json")
    page.check("input[value=n_best]")
    settle(page)
    shown = shown_json(page, "json")
    open_tab(page, "curl")
    command = page.text_content("#curl")
    answer = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == shown
    assert [e["text"] for e in shown["results"][0]["entities"]] == ["Toyota", "👩‍🚀Ana"]


def test_what_is_shown_is_copied(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    tag(page, "Toyota")
    open_tab(page, "curl")
    page.click("#panel-curl .copy")
    page.wait_for_selector("#panel-curl .copy:text-is('Copied')")
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl -s http://127.0.0.1")


def test_a_shared_link_holds_the_settings_and_never_the_text(open_page, two_languages):
    page = open_page(two_languages, permissions=["clipboard-read", "clipboard-write"])
    page.select_option("#model", "en")
    tag(page, "secret Toyota in Nagoya")
    page.click("#labels [data-label=LOC]")
    page.fill("#least", "25")
    open_tab(page, "tokens")
    page.click("#share")
    page.wait_for_selector("#toast:not(:empty)")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("/#model=en&without=LOC&min_score=0.25&tab=tokens")
    page.goto("about:blank")
    page.complaints.clear()
    page.goto(link)
    page.wait_for_selector("#model-card:not(:empty)")
    assert page.input_value("#model") == "en"
    assert page.get_attribute("#tab-tokens", "aria-selected") == "true"
    tag(page, "Toyota in Nagoya")
    assert marks(page) == [("Toyota", "ORG")]
    assert page.inner_text("#least-value") == "25%"


def test_the_latency_and_the_shares_of_the_server_are_told(open_page):
    page = open_page()

    def timed(route):
        reply = route.fetch()
        shares = "queue;dur=0.1, tokenize;dur=0.2, infer;dur=2.4, decode;dur=0.3, total;dur=3.5"
        route.fulfill(response=reply, headers={**reply.headers, "server-timing": shares})

    page.route("**/v1/tag", timed)
    tag(page, "Toyota")
    told = page.inner_text("#timing")
    for part in ("Latency", "queue", "0.1 ms", "tokenize", "infer", "2.4 ms", "decode", "0.3 ms"):
        assert part in told, told
    assert "rest of the server\n0.5 ms" in told
    assert "ms" in page.inner_text("#status")


def test_the_last_of_two_requests_wins(open_page):
    tagger = FakeTagger()
    page = open_page(tagger)
    with held(tagger):
        page.fill("#text", "Toyota")
        page.click("#submit")
        page.fill("#text", "Nagoya")
        page.click("#submit")
    settle(page)
    assert [name for name, _ in marks(page)] == ["Nagoya"]

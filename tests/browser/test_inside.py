"""The Inside tab, the language of the page, and both below the prefix of a proxy."""

import http.server
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagbelt.inference import Tagger
from tests.browser.actions import forgive, open_tab, settle, tag
from tests.browser.conftest import watched_page
from tests.service.fake import fake_app
from tests.service.live import running, until_warm

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "en"
TEXT = "Angela Merkel visited Toyota in Nagoya on Monday."
PREFIX = "/ner"


@pytest.fixture(scope="module")
def server():
    """A server over the English model, whose texts may have 12 tokens inside."""
    app = fake_app(Tagger.load(CHECKPOINT, threads=1), inspect_tokens=12)
    with running(app) as url:
        until_warm(app)
        yield url


@pytest.fixture
def inside(browser, server):
    """Opens the tab on a text."""
    stack = []

    def opened(text=TEXT, **options):
        context = watched_page(browser, server, **options)
        page = context.__enter__()
        stack.append(context)
        tag(page, text)
        open_tab(page, "inside")
        page.wait_for_selector(".picture, #panel-inside .says")
        return page

    yield opened
    for context in stack:
        context.__exit__(None, None, None)


def belts(page):
    return [head.inner_text().split()[0] for head in page.query_selector_all(".belt .who")]


def test_the_model_that_tagged_is_looked_into_and_three_cells_side_by_side(inside, server):
    page = inside()
    assert belts(page) == ["lstm"]
    assert page.locator(".box").all_inner_texts()[3].split() == ["Toyota", "ORG"]
    page.click("#inside-compare")
    page.wait_for_selector(".belt >> nth=2")
    assert belts(page) == ["rnn", "lstm", "gru"]
    # The same word in all: what is left of the one before falls from gate to none.
    page.locator(".belt .box").nth(5).click()
    now = page.locator(".box[aria-current] bdi").all_inner_texts()
    assert now == ["Nagoya"] * 3
    assert "no gate keeps anything" in page.locator(".belt .says").first.inner_text()
    page.get_by_role("button", name="Toyota").first.wait_for()
    page.locator(".entity", has_text="Nagoya").click()
    assert "Nagoya" in page.locator(".entity[aria-pressed=true]").inner_text()
    page.click(".pill[data-model=small-gru]")
    page.wait_for_selector(".pill[data-model=small-gru][aria-pressed=false]")
    assert belts(page) == ["rnn", "lstm"]
    with urllib.request.urlopen(f"{server}/v1/models") as reply:
        assert b"small-" not in reply.read()


def test_a_long_text_is_shown_from_its_beginning_and_that_is_said(inside):
    page = inside(f"{TEXT} She met a friend of hers there.")
    assert "12 of 17 tokens" in page.locator("#panel-inside .note").inner_text()
    assert page.get_by_role("button", name="Sentence 2").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_a_phone_in_chinese(inside, scheme):
    page = inside(
        viewport={"width": 360, "height": 780}, color_scheme=scheme, locale="zh-CN",
        reduced_motion="reduce",
    )  # fmt: skip
    assert page.evaluate(READABILITY) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert "遗忘门" in page.inner_text("#panel-inside")


def test_where_it_is_turned_off_the_reason_is_told(open_page):
    page = open_page(settings={"inspect_tokens": 0})
    tag(page, TEXT)
    open_tab(page, "inside")
    told = page.inner_text("#panel-inside")
    assert "turned off" in told
    assert "TAGBELT_INSPECT_TOKENS is 0" in told
    forgive(page, "404")


def test_a_model_that_cannot_be_looked_into_says_why_and_others_can(open_page):
    page = open_page()
    tag(page, TEXT)
    open_tab(page, "inside")
    page.wait_for_selector("#panel-inside :text('a fake has no network')")
    forgive(page, "409")
    page.click("#inside-compare")
    page.wait_for_selector(".belt >> nth=2")


def test_the_page_speaks_the_language_of_the_browser_until_another_is_chosen(open_page):
    page = open_page(locale="zh-CN")
    tag(page, TEXT)
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.inner_text("#status").startswith("3 个实体")
    assert page.inner_text("#tab-entities") == "实体"
    assert page.get_attribute("#language", "lang") == "en"
    page.click("#language")
    settle(page)
    assert page.get_attribute("html", "lang") == "en"
    assert page.title() == "Tagbelt: find the names in a text"
    assert page.inner_text("#status").startswith("3 entities")
    assert page.input_value("#text") == TEXT
    page.goto(page.url + "docs")
    assert page.inner_text("h1") == "The API"
    page.click("#language")
    assert page.inner_text("h1") == "接口"
    assert page.get_attribute("#content", "lang") == "en"  # the reference itself is English


@contextmanager
def prefixed(url):
    """A proxy that takes a prefix off, and knows nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            path = self.path.removeprefix(PREFIX)
            if path == self.path:
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0)) or None
            kept = {"content-type", "x-request-timeout"}
            headers = {k: v for k, v in self.headers.items() if k.lower() in kept}
            request = urllib.request.Request(url + path, body, headers, method=self.command)
            try:
                reply = urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as error:
                reply = error
            with reply:
                content = reply.read()
            self.send_response(reply.status)
            self.send_header("content-type", reply.headers["content-type"])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_):
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
        proxy.shutdown()


def test_page_and_reference_work_below_a_prefix(browser, plain_server):
    with prefixed(plain_server) as url, watched_page(browser, url) as page:
        tag(page, TEXT)
        assert page.locator("#marked mark").count() == 3
        open_tab(page, "curl")
        assert f"{url}/v1/tag" in page.inner_text("#curl")
        page.click("nav a[href=docs]")
        page.wait_for_selector("#problems")
        assert page.url == f"{url}/docs"
        assert f"{url}/v1/tag" in page.inner_text("#post-v1-tag")
        page.click(".brand")
        page.wait_for_selector("#model-card:not(:empty)")

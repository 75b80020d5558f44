"""What the page says when things go wrong, and how it goes on."""

import hashlib

from tests.browser.actions import focused, forgive, held, marks, open_tab, settle, tag
from tests.service.fake import FakeTagger


def test_a_text_that_is_too_long_shows_the_limit_and_the_next_one_works(open_page):
    page = open_page(settings={"max_characters": 20})
    tag(page, "x" * 21)
    assert page.inner_text("#error-title") == "Too long"
    assert "the limit is 20" in page.inner_text("#error-detail")
    assert page.get_attribute("#error-about", "href") == "docs#too-long"
    assert not page.is_visible("#answer")
    tag(page, "Toyota")
    assert not page.is_visible("#error")
    assert page.is_visible("#marked mark")


def test_a_body_over_the_limit(open_page):
    limits = {"max_body_bytes": 1000, "max_characters": 900, "max_tokens": 200}
    page = open_page(settings=limits)
    tag(page, "x" * 1100)
    assert page.inner_text("#error-title") == "Body too large"
    assert "1000 bytes" in page.inner_text("#error-detail")
    forgive(page, "413")


def test_a_fault_of_the_server(open_page):
    page = open_page(FakeTagger(poison="Toyota"))
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "Internal error"
    forgive(page, "500")


def test_a_server_that_is_gone_and_back(open_page):
    page = open_page()
    page.context.set_offline(True)
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "The server cannot be reached"
    page.context.set_offline(False)
    page.click("#retry")
    page.wait_for_selector("#marked mark")
    assert not page.is_visible("#error")
    page.complaints.clear()


def test_a_reply_that_is_no_json(open_page):
    page = open_page()
    page.route("**/v1/tag", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "The server answered 502"
    forgive(page, "502")


def test_every_field_at_fault_is_listed(open_page):
    page = open_page()
    faults = [{"pointer": f"/labels/{index}", "detail": "is unknown"} for index in range(2)]
    problem = {"title": "Invalid request", "detail": "/labels/0: is unknown", "errors": faults}
    page.route("**/v1/tag", lambda route: route.fulfill(status=422, json=problem))
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "Invalid request"
    listed = [item.inner_text() for item in page.query_selector_all("#error-fields li")]
    assert listed == ["/labels/0 is unknown", "/labels/1 is unknown"]
    forgive(page, "422")


def test_a_busy_server_is_asked_again_and_escape_gives_up(open_page):
    page = open_page()
    waits = iter(["1", "50"])

    def busy(route):
        wait = next(waits, None)
        if wait is None:
            route.continue_()
        else:
            headers = {"retry-after": wait}
            route.fulfill(status=429, headers=headers, json={"title": "Overloaded"})

    page.route("**/v1/tag", busy)
    page.fill("#text", "Toyota")
    page.click("#submit")
    page.wait_for_selector("#status:has-text('Trying again in 1 s')")
    page.wait_for_selector("#status:has-text('Trying again in 50 s')")
    page.keyboard.press("Escape")
    settle(page)
    tag(page, "Nagoya")
    assert marks(page) == [("Nagoya", "LOC")]
    forgive(page, "429")


def test_a_server_that_stays_busy_is_an_error_in_the_end(open_page):
    page = open_page()
    problem = {"title": "Overloaded", "detail": "512 requests wait already", "status": 429}
    busy = {"status": 429, "headers": {"retry-after": "0"}, "json": problem}
    page.route("**/v1/tag", lambda route: route.fulfill(**busy))
    tag(page, "Toyota")
    assert page.inner_text("#error-title") == "Overloaded"
    assert "512 requests" in page.inner_text("#error-detail")
    forgive(page, "429")


def test_escape_stops_a_request_and_then_clears_the_text(open_page):
    tagger = FakeTagger()
    page = open_page(tagger)
    with held(tagger):
        page.fill("#text", "Toyota")
        page.press("#text", "Control+Enter")
        page.wait_for_selector("#busy", state="visible")
        page.press("#text", "Escape")
        settle(page)
    assert page.input_value("#text") == "Toyota"
    page.press("#text", "Escape")
    assert page.input_value("#text") == ""
    assert page.inner_text("#toast").startswith("Cleared")
    page.press("#text", "Control+z")
    assert page.input_value("#text") == "Toyota"


def test_a_key_is_asked_for_kept_for_the_tab_and_never_shown(open_page):
    key = "tb_right"
    entry = f"page:tag:{hashlib.sha256(key.encode()).hexdigest()}"
    page = open_page(settings={"api_keys": entry})
    page.wait_for_selector("#key-card", state="visible")
    assert focused(page) == "key"
    page.keyboard.type("tb_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-why:has-text('not accepted')")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#model-card:not(:empty)")
    assert not page.is_visible("#key-card")
    tag(page, "Toyota")
    assert marks(page) == [("Toyota", "ORG")]
    open_tab(page, "curl")
    assert "$TAGBELT_KEY" in page.inner_text("#curl")
    assert key not in page.content()
    page.reload()
    page.wait_for_selector("#model-card:not(:empty)")
    page.click("#key-open")
    page.click("#key-forget")
    page.wait_for_selector("#key-card", state="visible")
    forgive(page, "401")

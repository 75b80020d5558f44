"""The reference of the API, made in the browser from the OpenAPI document."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

READABILITY = (Path(__file__).parent / "readability.js").read_text(encoding="utf-8")
METHODS = {"get", "post", "put", "patch", "delete"}


def test_it_shows_every_endpoint_field_and_problem(open_page, plain_server):
    page = open_page(path="/docs")
    with urlopen(f"{plain_server}/openapi.json") as reply:
        document = json.load(reply)
    shown = {tuple(heading.inner_text().split()[:2]) for heading in page.query_selector_all("h3")}
    for path, operations in document["paths"].items():
        for method in METHODS & operations.keys():
            assert (method.upper(), path) in shown
            assert page.locator(f"#contents a:has-text('{path}')").count() > 0
    text = page.text_content("main")
    for field in document["components"]["schemas"]["TagRequest"]["properties"]:
        assert field in text
    for problem in document["x-problems"]:
        assert page.is_visible(f"#{problem['id']}")
    assert "curl -s http://127.0.0.1" in text
    broken = page.evaluate(
        """() => [...document.querySelectorAll("a[href^='#']")].map((a) => a.hash.slice(1))
            .filter((id) => !document.getElementById(id))"""
    )
    assert broken == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_leads_to_its_anchors_and_can_be_read(open_page, scheme):
    page = open_page(path="/docs#too-long", color_scheme=scheme)
    assert page.is_visible("#too-long:target")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate(READABILITY) == []
    page.picture(f"docs-{scheme}")


def test_it_fits_a_phone(open_page):
    page = open_page(path="/docs", viewport={"width": 360, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_document_that_cannot_be_read_is_said(open_page):
    page = open_page(path="/docs")
    page.route("**/openapi.json", lambda route: route.fulfill(status=500, body="no"))
    page.reload()
    page.wait_for_selector("[role=alert]")
    assert "cannot be read" in page.inner_text("[role=alert]")
    page.complaints.clear()

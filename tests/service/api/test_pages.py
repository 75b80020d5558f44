"""The pages and the document behind them: complete, offline, under a strict policy."""

import re

import pytest

from tagbelt.service.api import pages
from tagbelt.service.api.problems import KINDS
from tagbelt.service.api.schemas import TagReply

FILES = [path for path in pages.FOLDER.iterdir() if path.is_file()]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_each_file_is_served_and_revalidated(client, path, media_type):
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == media_type
    assert reply.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_the_pages_refer_to_is_served(client):
    for page in ("/", "/docs"):
        for path in re.findall(r'(?:src|href)="([^"#]+)', client.get(page).text):
            assert not path.startswith("/"), f"{path} is dead where a proxy serves below a prefix"
            assert client.get(f"/{path.removeprefix('./')}").status_code == 200, path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(file):
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    if file.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/v1/models", "/livez", "/nowhere", "/openapi.json"]
)
def test_every_reply_has_the_security_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_replies_are_not_stored(client):
    assert client.tag(text="private").headers["cache-control"] == "no-store"


def test_other_origins_are_not_let_in(client):
    reply = client.get("/v1/models", headers={"origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_the_document_describes_every_endpoint(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/tag"]["post"]
    problems = {
        "400",
        "404",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
        "504",
        "default",
    }
    assert set(operation["responses"]) == {"200"} | problems
    for status in problems:
        assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_reference_of_the_document_leads_somewhere(client):
    reply = client.get("/openapi.json")
    names = set(re.findall(r"#/components/schemas/(\w+)", reply.text))
    assert names <= set(reply.json()["components"]["schemas"])


def test_every_kind_of_problem_is_documented(client):
    documented = {row["id"] for row in client.get("/openapi.json").json()["x-problems"]}
    assert documented == {kind.slug for kind in KINDS}


def test_the_examples_of_the_document_are_valid(client):
    operation = client.get("/openapi.json").json()["paths"]["/v1/tag"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) == 4
    for example in examples.values():
        assert client.tag(**example["value"]).status_code == 200
    reply = operation["responses"]["200"]["content"]["application/json"]["example"]
    TagReply.model_validate(reply)

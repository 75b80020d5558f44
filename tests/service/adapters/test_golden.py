"""Requests and replies in the shapes that the APIs publish, written out in full."""

import json
from pathlib import Path

import pytest

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


def test_every_api_has_some():
    apis = {path.stem.partition("-")[0] for path in GOLDEN}
    assert apis == {"comprehend", "huggingface", "open", "presidio"}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_reply_is_as_written(warm, path):
    golden = json.loads(path.read_text(encoding="utf-8"))
    asked, expected = golden["request"], golden["reply"]
    content = json.dumps(asked["body"]) if "body" in asked else None
    headers = {"content-type": "application/json", **asked.get("headers", {})}
    reply = warm.request(asked["method"], asked["path"], content=content, headers=headers)
    assert reply.status_code == expected["status"]
    assert reply.json() == expected["body"]
    assert {name: reply.headers.get(name) for name in expected["headers"]} == expected["headers"]

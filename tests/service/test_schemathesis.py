"""A real server keeps to its document, whatever a client makes of it.

Requests are drawn from the document: good ones, ones at the edges of what it allows, bad ones,
and methods that it does not name. Every run draws the same.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from tests.golden.openapi import published
from tests.service.access.guarded import INLINE, bearer
from tests.service.fake import FakeTagger
from tests.service.live import serving

# Items are checked one by one and fail alone, so that some of what a schema calls bad is answered
# with 200; and what a schema cannot say, such as which labels there are, is answered with 4xx.
ONE_BY_ONE = [
    *("/v1/tag", "/v1/tag/stream", "/", "/models/{name}", "/analyze", "/aws/"),
    *("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"),
]
REFUSED_AT_TIMES = {"expected-statuses": ["2xx", 400, 404, 409, 422]}
# What the web server itself says of a request line of more than 64 KB.
TOO_LONG = "Invalid HTTP request received."
JSON_LIKE = ("application/x-ndjson", "application/x-amz-json-1.1")
# What one request does to the models, the next one meets; a default is always left.
MODELS = ("en", "fr", "zh")


def config(*, examples: int, keys: bool) -> SchemathesisConfig:
    checks: dict[str, Any] = {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503, 504]},
        "positive_data_acceptance": REFUSED_AT_TIMES,
        "ignored_auth": {"enabled": keys},
    }
    lenient = {**checks, "negative_data_rejection": {"enabled": False}}
    # The page is at / too, which the document leaves out.
    page = {
        **lenient,
        "unsupported_method": {"enabled": False},
        "allow_header_conformance": {"enabled": False},
    }
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                "with-security-parameters": not keys,
            },
            "dictionaries": {"models": {"values": [*MODELS, "en@3", "zh@3", "auto"]}},
            "parameters": {"path.name": {"dictionary": "models", "probability": 0.7}},
            # At the edges once is enough.
            "phases": {"coverage": {"enabled": not keys}},
            "checks": checks,
            "operations": [
                {"include-path": "/", "checks": page},
                {"include-path": ONE_BY_ONE[:], "checks": lenient},
            ],
        }
    )


@schemathesis.serializer(*JSON_LIKE)
def serialize(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def last_line(_: Any, response: Any) -> Any:
    return json.loads(response.content.splitlines()[-1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving([FakeTagger(name, language=name) for name in MODELS]) as url:
        yield url


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[str]:
    taggers = [FakeTagger(name, language=name) for name in MODELS]
    with serving(taggers, api_keys=INLINE) as url:
        yield url


DOCUMENT = published()
open_api = schemathesis.openapi.from_dict(DOCUMENT, config=config(examples=8, keys=False))
guarded_api = schemathesis.openapi.from_dict(DOCUMENT, config=config(examples=3, keys=True))


def check(case: Any, url: str, headers: dict[str, str] | None = None) -> None:
    reply = case.call(url, headers=headers)
    if reply.status_code == 400 and reply.text == TOO_LONG:
        return
    case.validate_response(reply, headers=headers, transport_kwargs={"base_url": url})


@open_api.parametrize()
def test_every_operation(case, server):
    check(case, server)


@guarded_api.parametrize()
def test_every_operation_behind_keys(case, guarded_server):
    check(case, guarded_server, {"Authorization": bearer("boss")["authorization"]})

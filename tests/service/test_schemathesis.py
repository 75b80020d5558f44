"""A real server keeps to its document, whatever a client makes of it.

Requests are drawn from the document: good ones, ones at the edges of what it allows, and bad ones.
Every run draws the same.
"""

import json
from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig

from tests.golden.openapi import published
from tests.service.access.doors import INLINE, bearer
from tests.service.fake import FakeTagger
from tests.service.live import serving

MODELS = ("en", "fr", "zh")
EXAMPLES = 6
# Items are checked one by one, and numbers need not be written as whole ones: what the schemas
# call bad may be answered with 200. What they cannot say, such as labels there are, with 422.
LENIENT = ["not_a_server_error", "positive_data_acceptance", "negative_data_rejection"]
CONFIG = {
    "seed": 1,
    "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
    "dictionaries": {"models": {"values": [*MODELS, "en@3", "zh@3", "auto"]}},
    "parameters": {"path.name": {"dictionary": "models", "probability": 0.7}},
    "checks": {
        # The rest of what may go wrong is documented, as 503 and 504.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 503, 504]},
        "ignored_auth": {"enabled": False},
    },
}


@schemathesis.serializer("application/x-ndjson")
def ndjson(_, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    # What one request does to the models, the next one meets; a default is always left.
    models = [FakeTagger(name, language=name) for name in MODELS]
    with serving(models, max_waiting=10_000) as url:
        yield url


schema = schemathesis.openapi.from_dict(
    published(), config=SchemathesisConfig.from_dict(CONFIG)
)


@schema.parametrize()
def test_every_operation(case, server):
    case.call_and_validate(base_url=server)

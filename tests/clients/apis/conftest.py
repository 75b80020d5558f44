import hashlib

import pytest

from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger
from tests.service.live import serving


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TAGBELT_{name.upper()}", raising=False)


@pytest.fixture(scope="module")
def url():
    """The URL of a server with a model for English, the default, and one for Chinese."""
    with serving([FakeTagger("en"), FakeTagger("zh", language="zh")]) as found:
        yield found


KEY = "tb_" + "k" * 43


@pytest.fixture(scope="module")
def guarded():
    """The URL of a server that answers to KEY alone."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with serving(FakeTagger(), api_keys=f"client:tag:{digest}") as found:
        yield found

import pytest

from tagbelt.service.settings import Settings
from tests.service.live import serving
from tests.tagbelt.client.scripted import CLIENTS


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in [*Settings.model_fields, "url", "api_key"]:
        monkeypatch.delenv(f"TAGBELT_{name.upper()}", raising=False)


@pytest.fixture(scope="module")
def url():
    with serving(max_items=8) as url:
        yield url


@pytest.fixture(params=CLIENTS)
def kind(request):
    return request.param


@pytest.fixture
def client(kind, url):
    with CLIENTS[kind](base_url=url) as made:
        yield made

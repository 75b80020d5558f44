"""Real servers on real sockets, and the processes that `run` makes."""

import json
import re
import shlex
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tagbelt.errors import SettingsError
from tagbelt.service.process.launch import run
from tagbelt.service.process.server import share_of_threads
from tagbelt.service.settings import Settings
from tests.service.fake import FakeTagger
from tests.service.live import serving
from tests.service.process.certificates import make_certificate
from tests.service.process.running import running, until


@pytest.fixture
def quiet(monkeypatch):
    """A server that starts in this process must not change the logging of other tests."""
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)


def test_a_request_and_an_error_over_a_socket():
    with serving() as url, httpx.Client(base_url=url) as http:
        assert http.get("/readyz").status_code == 200
        reply = http.post("/v1/tag", json={"text": "李明 met 👩‍🚀Ana"})
        assert [e["start"] for e in reply.json()["results"][0]["entities"]] == [0, 7]
        assert http.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_a_body_too_large_is_refused_over_a_socket():
    with serving() as url, httpx.Client(base_url=url) as http:
        reply = http.post("/v1/tag", json={"text": "a" * (4 << 20)})
        assert reply.status_code == 413
        assert "limit of 1048576 bytes" in reply.json()["detail"]
        assert http.post("/v1/tag", json={"text": "Toyota"}).status_code == 200


def test_many_clients_get_their_own_answers():
    def ask(number: int) -> str:
        texts = ["", f"{number} Toyota", "Nagoya"][: number % 3 + 1]
        reply = httpx.post(f"{url}/v1/tag", json={"texts": texts})
        expected = [[], [len(f"{number} ")], [0]][: number % 3 + 1]
        assert [[e["start"] for e in r["entities"]] for r in reply.json()["results"]] == expected
        return "right"

    with serving() as url, ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(80))) == {"right"}


def test_a_client_that_leaves_does_no_harm():
    tagger = FakeTagger()
    with serving(tagger, max_waiting=4) as url, httpx.Client(base_url=url) as http:
        tagger.gate.clear()
        for _ in range(3):
            with pytest.raises(httpx.ReadTimeout):
                http.post("/v1/tag", json={"text": "a"}, timeout=0.05)
        tagger.gate.set()
        assert http.post("/v1/tag", json={"text": "Toyota"}).status_code == 200


def test_the_process_says_where_it_is_and_ends_in_order(tmp_path):
    with running(tmp_path) as server:
        greeting = server.said.splitlines()
        assert greeting[0] == "Serving en 3 (PER, ORG, LOC)"
        page, api = (re.fullmatch(r"The \w+: +(.*)", line)[1] for line in greeting[1:3])
        assert httpx.get(page).headers["content-type"].startswith("text/html")
        assert httpx.get(api).status_code == 200
        assert len(entities(try_it(server))) == 3
        reply = httpx.post(f"{server.url}/v1/tag", json={"text": "open sesame"})
        assert reply.status_code == 500
        assert server.end() == 0
    assert "Traceback" not in server.log
    assert "an item failed: RuntimeError at " in server.log
    assert "Angela" not in server.log
    assert "sesame" not in server.log


def try_it(server):
    """What the command of the greeting answers."""
    command = shlex.split(server.said.splitlines()[-1].partition("Try:")[2])
    try:
        done = subprocess.run([*command, "--fail-with-body"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no curl here")
    return done.stdout


def entities(answer):
    return httpx.Response(200, content=answer).json()["results"][0]["entities"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unix_socket_is_served_and_removed(tmp_path, workers):
    path = tmp_path / "tagbelt.sock"
    with running(tmp_path, settings={"uds": str(path), "workers": workers}) as server:
        assert f"Listening: {path}\n" in server.said
        assert len(entities(try_it(server))) == 3
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            assert http.get("http://localhost/readyz").status_code == 200
        assert server.end() == 0
        assert not path.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_https_is_served_and_the_certificate_renewed_on_sighup(tmp_path, workers):
    certificate, key = make_certificate(tmp_path)
    settings = {"tls_certificate": str(certificate), "tls_key": str(key), "workers": workers}
    with running(tmp_path, settings=settings) as server:
        assert server.url.startswith("https://127.0.0.1:")
        first = ssl.create_default_context(cafile=certificate)
        reply = httpx.post(f"{server.url}/v1/tag", json={"text": "Toyota"}, verify=first)
        assert [e["label"] for e in reply.json()["results"][0]["entities"]] == ["ORG"]
        make_certificate(tmp_path)
        server.process.send_signal(1)
        until(lambda: server.log.count("read the certificate") == workers, "the renewal")
        second = ssl.create_default_context(cafile=certificate)
        assert httpx.get(f"{server.url}/livez", verify=second).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/livez", verify=first)
        assert server.end() == 0


def test_the_command_of_the_greeting_has_a_place_for_the_key(tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname="a"\nscopes=["tag"]\nsha256="{"0" * 64}"\n', encoding="utf-8")
    keys.chmod(0o600)
    with running(tmp_path, settings={"api_keys_file": str(keys)}) as server:
        assert server.said.rstrip().endswith('-H "authorization: Bearer $KEY"')


def test_threads_are_divided_unless_they_are_given():
    alone = share_of_threads(Settings())
    assert share_of_threads(Settings(workers=alone)) == 1
    assert share_of_threads(Settings(workers=256)) == 1
    assert share_of_threads(Settings(workers=2, threads=5)) == 5


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_certificate_is_told_before_anything_is_loaded(tmp_path, workers):
    missing = tmp_path / "nothing.pem"
    settings = Settings(port=0, workers=workers, tls_certificate=missing, tls_key=missing)
    with pytest.raises(SettingsError, match=r"tls_certificate=.*nothing\.pem: cannot be read"):
        run(settings, tmp_path, say=pytest.fail)


@pytest.mark.usefixtures("quiet")
def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        run(Settings(port=0), tmp_path, say=pytest.fail)


@pytest.mark.parametrize(("proxies", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "192.0.2.7")])
def test_forwarded_addresses_are_believed_of_trusted_proxies_only(tmp_path, proxies, seen):
    with running(tmp_path, settings={"trusted_proxies": proxies}) as server:
        headers = {"x-forwarded-for": "192.0.2.7"}
        httpx.post(f"{server.url}/v1/tag", json={"text": "a"}, headers=headers)
        server.end()
    (line,) = [json.loads(one) for one in server.log.splitlines() if '"/v1/tag"' in one]
    assert line["address"] == seen

"""Presidio's clients: plain HTTP as its documentation shows it, and its remote recognizer."""

import httpx
import pytest

TEXT = "李明 met 👩‍🚀Ana in Nagoya."


def test_plain_http(url):
    assert httpx.get(f"{url}/health").status_code == 200
    assert httpx.get(f"{url}/supportedentities", params={"language": "en"}).json() == [
        "LOCATION", "ORGANIZATION", "PERSON",
    ]  # fmt: skip
    single = httpx.post(f"{url}/analyze", json={"text": TEXT, "language": "en"}).json()
    assert [(one["entity_type"], TEXT[one["start"] : one["end"]]) for one in single] == [
        ("PERSON", "李明"), ("PERSON", "👩‍🚀Ana"), ("LOCATION", "Nagoya"),
    ]  # fmt: skip
    batch = httpx.post(f"{url}/analyze", json={"text": [TEXT, ""], "language": "en"}).json()
    assert batch == [single, []]


def test_a_remote_recognizer(url):
    presidio = pytest.importorskip("presidio_analyzer", reason="Presidio is not installed")

    class Remote(presidio.RemoteRecognizer):
        """Asks another analyzer, as Presidio's documentation suggests."""

        def __init__(self):
            super().__init__([], name="Remote", supported_language="en", version="1")

        def load(self):
            reply = httpx.get(f"{url}/supportedentities", params={"language": "en"})
            self.supported_entities = reply.json()

        def get_supported_entities(self):
            return self.supported_entities

        def analyze(self, text, entities, nlp_artifacts=None):  # noqa: ARG002
            body = {"text": text, "language": "en", "entities": entities}
            found = httpx.post(f"{url}/analyze", json=body).raise_for_status().json()
            return [presidio.RecognizerResult(**one) for one in found]

    recognizer = Remote()
    assert set(recognizer.get_supported_entities()) == {"LOCATION", "ORGANIZATION", "PERSON"}
    found = recognizer.analyze(TEXT, ["PERSON"])
    assert [(one.entity_type, one.start, one.end) for one in found] == [
        ("PERSON", 0, 2), ("PERSON", 7, 13),
    ]  # fmt: skip

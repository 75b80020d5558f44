import pytest

from tests.service.adapters.conftest import found, post
from tests.service.fake import SCORE, FakeTagger

TEXT = "Angela Merkel visited Toyota in Nagoya."


def kinds(client, **body):
    given = {"text": TEXT, "language": "en", **body}
    return [one["entity_type"] for one in found(client, "/analyze", given)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["PERSON", "ORGANIZATION", "LOCATION"]),
        ({"entities": []}, ["PERSON", "ORGANIZATION", "LOCATION"]),
        ({"entities": ["LOCATION", "PERSON"]}, ["PERSON", "LOCATION"]),
        ({"score_threshold": SCORE}, ["PERSON", "ORGANIZATION", "LOCATION"]),
        ({"score_threshold": SCORE + 1e-6}, []),
        ({"allow_list": ["Toyota", "nagoya"]}, ["PERSON", "LOCATION"]),
        ({"allow_list": ["Toyota"], "allow_list_match": "exact", "regex_flags": 26},
         ["PERSON", "LOCATION"]),
        ({"allow_list": [], "allow_list_match": "regex"}, ["PERSON", "ORGANIZATION", "LOCATION"]),
        ({"context": ["visit"], "ad_hoc_recognizers": [], "trace": False, "correlation_id": None},
         ["PERSON", "ORGANIZATION", "LOCATION"]),
    ],
)  # fmt: skip
def test_what_is_found_is_filtered_as_asked(models, body, expected):
    assert kinds(models, **body) == expected


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"text": 5}, "/text: Give a text, or a list of texts"),
        ({"text": [TEXT, None]}, "text/1: this item must be a string"),
        ({"score_threshold": 2}, "/score_threshold: Input should be less than or equal to 1"),
        ({"allow_list_match": "fuzzy"}, "/allow_list_match: Input should be 'exact' or 'regex'"),
        ({"anonymizers": {}}, "/anonymizers: there is no such field, only: text, language, "),
    ],
)
def test_what_cannot_be_done_is_an_error_in_the_apis_shape(models, body, error):
    reply = post(models, "/analyze", {"text": TEXT, "language": "en", **body})
    assert reply.status_code == 422
    assert list(reply.json()) == ["error"]
    assert error in reply.json()["error"]


def test_an_empty_list_has_an_empty_reply(models):
    assert found(models, "/analyze", {"text": [], "language": "en"}) == []


def test_the_language_chooses_the_model(models):
    def digest(language):
        reply = post(models, "/analyze", {"text": TEXT, "language": language})
        return reply.headers["x-model-digest"]

    assert {digest(language) for language in ("en", "en-US")} == {"ab" * 32}
    assert {digest(language) for language in ("zh", "zh-TW", "ZH_tw")} == {"cd" * 32}


def test_of_models_for_one_language_the_first_that_has_an_entity_answers(make_client):
    names = FakeTagger("a", labels=("PER",))
    events = FakeTagger("b", labels=("Event", "GPE"), digest="ef" * 32)
    with make_client([names, events]) as client:
        assert found(client, "/analyze", {"text": "", "language": "en"}) == []
        body = {"text": "", "language": "en", "entities": ["EVENT"]}
        assert post(client, "/analyze", body).headers["x-model-digest"] == "ef" * 32
        supported = client.get("/supportedentities").json()
    assert supported == ["EVENT", "LOCATION", "PERSON"]


@pytest.mark.parametrize("path", ["/supportedentities", "/recognizers"])
def test_a_language_without_a_model_has_no_recognizers(models, path):
    reply = models.get(f"{path}?language=he")
    assert reply.status_code == 404
    assert "No matching recognizers" in reply.json()["error"]


@pytest.mark.parametrize("wanted", [{"language": "he"}, {"entities": ["EMAIL_ADDRESS"]}])
def test_what_no_model_finds_has_no_recognizers(models, wanted):
    reply = post(models, "/analyze", {"text": TEXT, "language": "en", **wanted})
    assert reply.status_code == 404
    assert "No matching recognizers" in reply.json()["error"]


ENTITIES = {"text": TEXT, "language": "en", "entities": ["LOCATION", "EMAIL_ADDRESS"]}


def test_an_entity_that_the_model_does_not_find_is_refused_with_those_it_does(models):
    reply = post(models, "/analyze", ENTITIES)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert "does not find 'EMAIL_ADDRESS', only: LOCATION, ORGANIZATION, PERSON" in error
    assert "TAGBELT_UNKNOWN_LABELS=warn" in error


def test_an_entity_that_the_model_does_not_find_is_warned_of_where_that_is_set(make_client):
    with make_client(FakeTagger(), unknown_labels="warn") as client:
        reply = post(client, "/analyze", ENTITIES)
        assert [one["entity_type"] for one in reply.json()] == ["LOCATION"]
        assert "does not find 'EMAIL_ADDRESS', only" in reply.headers["x-tagbelt-warning"]


def test_the_model_that_finds_most_of_what_is_asked_for_answers(make_client):
    few, more = FakeTagger("a", labels=("PER",)), FakeTagger("b", digest="ef" * 32)
    with make_client([few, more]) as client:
        body = {"text": TEXT, "language": "en", "entities": ["PERSON", "LOCATION"]}
        assert post(client, "/analyze", body).headers["x-model-digest"] == "ef" * 32


def test_the_correlation_id_comes_back_in_a_header(models):
    body = {"text": TEXT, "language": "en", "correlation_id": "12 é\r\n"}
    reply = post(models, "/analyze", body)
    assert reply.headers["x-correlation-id"] == "12 %C3%A9%0D%0A"


def test_health_tells_the_truth(models):
    before = models.get("/health")
    assert (before.status_code, before.text) == (503, "the models are warming up")


def test_health_is_text(warm):
    reply = warm.get("/health")
    assert (reply.status_code, reply.text) == (200, "Tagbelt is up")
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/supportedentities", "/recognizers"])
def test_an_empty_language_is_any(models, path):
    assert models.get(f"{path}?language=").json() == models.get(path).json()

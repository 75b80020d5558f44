"""An input that is bad on its own fails on its own."""

import pytest

from tests.service.fake import FakeTagger


@pytest.mark.parametrize(
    ("item", "slug", "status"),
    [
        (None, "not-text", 422),
        (7, "not-text", 422),
        (["a"], "not-text", 422),
        ({"text": "a"}, "not-text", 422),
        ("x\ud800y", "not-unicode", 422),
        ("\udc00", "not-unicode", 422),
        ("x" * 21, "too-long", 422),
    ],
)
def test_a_bad_text_leaves_the_others_alone(make_client, item, slug, status):
    with make_client(max_characters=20) as client:
        first, bad, last = client.results(texts=["Toyota", item, "x" * 20])
    assert [e["text"] for e in first["entities"]] == ["Toyota"]
    assert last == {"entities": []}
    assert set(bad) == {"error"}
    assert bad["error"]["type"] == f"/docs#{slug}"
    assert bad["error"]["status"] == status
    assert bad["error"]["instance"] == "/v1/tag#/texts/1"


@pytest.mark.parametrize(
    ("item", "detail"),
    [
        ("Toyota", "must be a list of tokens"),
        (["a", 5], "token 1 must be a string"),
        (["a", "b", "\udfff"], "of token 2 is half of a surrogate pair, U+DFFF"),
        (["a"] * 6, "6 tokens and the limit is 5"),
        (["aaaaaa", "bbbbb"], "11 characters and the limit is 10"),
    ],
)
def test_a_bad_token_list_leaves_the_others_alone(make_client, item, detail):
    with make_client(max_tokens=5, max_characters=10) as client:
        bad, good = client.results(tokens=[item, ["Toyota", "", " "]])
    assert detail in bad["error"]["detail"]
    assert bad["error"]["instance"] == "/v1/tag#/tokens/0"
    assert len(good["entities"]) == 1


def test_the_limit_is_stated(make_client):
    with make_client(max_characters=3) as client:
        (result,) = client.results(text="four")
    assert "4 characters and the limit is 3" in result["error"]["detail"]
    assert result["error"]["instance"] == "/v1/tag#/text"


def test_the_limit_counts_code_points(make_client):
    with make_client(max_characters=3) as client:
        assert client.results(text="👩👩👩") == [{"entities": []}]


def test_a_single_text_that_is_bad_is_a_result_too(client):
    (result,) = client.results(text="a\ud800")
    assert "code point 1 is half of a surrogate pair, U+D800" in result["error"]["detail"]


def test_an_astral_character_escaped_as_a_pair_is_whole(client):
    body = rb'{"text": "\ud83d\udc69\u200d\ud83d\ude80Ana"}'
    reply = client.post_json(body)
    assert reply.json()["results"][0]["entities"][0]["end"] == 6


def test_an_item_that_the_model_fails_on_fails_alone(make_client, caplog):
    with make_client(FakeTagger(poison="secret")) as client:
        first, bad, last = client.results(texts=["Toyota", "secret", "Nagoya"])
    assert bad["error"]["status"] == 500
    assert bad["error"]["type"] == "/docs#internal-error"
    assert [r["entities"][0]["label"] for r in (first, last)] == ["ORG", "LOC"]
    assert "RuntimeError at " in caplog.text
    assert "secret" not in caplog.text


def test_a_model_that_fails_on_everything_is_our_fault(make_client, caplog):
    with make_client(FakeTagger(poison="")) as client:
        reply = client.tag(texts=["a secret", "b"])
    assert reply.status_code == 500
    assert reply.json()["type"] == "/docs#internal-error"
    assert "secret" not in reply.text + caplog.text


@pytest.mark.parametrize("short", [0, 1])
def test_a_model_that_loses_items_is_not_believed(make_client, short):
    class Lossy(FakeTagger):
        def annotate_items(self, readings, phases=None, between=lambda: None):
            return super().annotate_items(readings, phases, between)[:short]

    with make_client(Lossy()) as client:
        reply = client.tag(texts=["Nagoya", "Toyota"])
    if short:  # one by one, nothing is lost
        assert [r["entities"][0]["label"] for r in reply.json()["results"]] == ["LOC", "ORG"]
    else:
        assert reply.status_code == 500

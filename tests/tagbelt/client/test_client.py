"""Both clients against a real server."""

import pickle

import pytest

from tagbelt.client import (
    Client,
    DeadlineError,
    Entity,
    FieldProblem,
    InvalidRequestError,
    ItemError,
    NotFoundError,
    PathEntity,
    Problem,
    Report,
    RequestProblem,
    StatusError,
    Token,
    UnauthorizedError,
)
from tests.tagbelt.client.scripted import labels, problem, reply, scripted, tagged

SCORE = 0.876543
PROBLEM = {"type": "", "title": "X", "status": 409, "detail": "so", "instance": "/v1/models"}


def test_a_text(client):
    found = client.tag("李明 met Toyota")
    assert found.entities == (
        Entity("PER", 0, 2, "李明", SCORE),
        Entity("ORG", 7, 13, "Toyota", SCORE),
    )
    assert found.model == "fake@3"
    assert (found.tokens, found.tags, found.alternatives, found.paths) == (None,) * 4


def test_every_option_reaches_the_server(client):
    found = client.tag(
        "👩‍🚀Ana met Toyota",
        model="fake@3",
        labels=iter(["PER"]),
        min_score=0.5,
        offset_unit="utf16",
        include=("tokens", "tags", "alternatives"),
        n_best=2,
        timeout=20,
    )
    assert [(e.label, e.start, e.end) for e in found.entities] == [("PER", 0, 8)]
    assert found.tokens[1:] == (
        Token(text="met", start=9, end=12),
        Token(text="Toyota", start=13, end=19),
    )
    assert found.tags == ("B-PER", "O", "B-ORG")
    assert [a.tag for a in found.alternatives[0]] == ["B-PER", "I-LOC"]
    assert [path.score for path in found.paths] == [0.75, 0.25]
    assert PathEntity(label="PER", start=0, end=8, text="👩‍🚀Ana") in found.paths[1].entities
    assert client.tag("Toyota", min_score=0.9).entities == ()


def test_an_option_that_does_not_exist_is_named(client):
    for method, given in [("tag", "a"), ("tag_many", ["a"]), ("stream", ["a"])]:
        with pytest.raises(TypeError, match=r"no option is named 'label'; there are: include, "):
            getattr(client, method)(given, label="PER")
    with pytest.raises(TypeError, match="no option is named 'model'; there are: timeout"):
        client.models(model="en")


def test_options_that_are_lists_are_not_strings(client):
    with pytest.raises(TypeError, match="labels must be a list of strings, not the string 'PER'"):
        client.tag("a", labels="PER")


def test_many_texts_in_order_over_several_requests(client):
    texts = [f"{number} Toyota" if number % 3 else "" for number in range(50)]
    found = client.tag_many(iter(texts))
    starts = [[e.start for e in outcome.entities] for outcome in found]
    assert starts == [[len(text) - 6] if text else [] for text in texts]
    assert client.tag_many([]) == []


def test_a_text_that_is_bad_on_its_own_fails_alone(client):
    good, bad, also = client.tag_many(["Toyota", "\ud83d", "李明"])
    assert (labels(good), labels(also)) == (["ORG"], ["PER"])
    assert isinstance(bad, ItemError)
    assert (bad.problem.slug, bad.problem.status) == ("not-unicode", 422)
    assert "half of a surrogate pair" in bad.problem.detail
    assert bad.problem.request_id
    with pytest.raises(InvalidRequestError, match="surrogate") as raised:
        client.tag("\ud83d")
    assert raised.value.problem.slug == "not-unicode"


def test_token_lists(client):
    first, empty, third = client.tag_tokens([["a", "Toyota"], [], ("李明",)], include=["tags"])
    assert first.entities == (Entity("ORG", 1, 2, "Toyota", SCORE),)
    assert (first.tags, empty.tags, third.tags) == (("O", "B-ORG"), (), ("B-PER",))


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("tag", b"a"),
        ("tag", ["a"]),
        ("tag_many", "abc"),
        ("tag_many", ["a", None]),
        ("tag_tokens", ["abc"]),
        ("tag_tokens", [["a"], 3]),
        ("stream", [b"a"]),
        ("stream", [3]),
    ],
)
def test_what_is_no_text_is_refused_before_it_is_sent(kind, method, given):
    client, sent, _ = scripted(kind, [])
    with client, pytest.raises(TypeError, match=r" is a | must be a list| is a text, a token list"):
        list(getattr(client, method)(given))
    assert sent == []


def test_a_stream_keeps_items_and_their_order(client):
    items = [
        {"id": 1, "text": "Toyota"},
        "李明",
        {"id": 2, "tokens": ["in", "Nagoya"]},
        ["a"],
        {"id": 3},
        *(f"{number} Toyota" for number in range(20)),
    ]
    pairs = list(client.stream(iter(items)))
    assert [item for item, _ in pairs] == items
    outcomes = [outcome for _, outcome in pairs]
    assert [labels(o) for o in outcomes[:4]] == [["ORG"], ["PER"], ["LOC"], []]
    assert "must be a string" in outcomes[4].problem.detail
    assert [o.entities[0].start for o in outcomes[5:]] == [2] * 10 + [3] * 10


def test_a_blocking_stream_reads_no_further_than_the_request_under_way(url):
    read = []

    def source():
        for number in range(1000):
            read.append(number)
            yield f"{number}"

    with Client(url, max_items=4) as client:
        stream = client.stream(source())
        next(stream)
        assert len(read) == 5  # the fifth did not fit any more
        stream.close()


def test_a_refusal_says_which_field_and_which_request(client):
    with pytest.raises(InvalidRequestError) as raised:
        client.tag("a", n_best=21)
    found = raised.value.problem
    assert (found.slug, found.status) == ("invalid-request", 422)
    assert [error.pointer for error in found.errors] == ["/n_best"]
    assert found.request_id
    assert str(raised.value).startswith("422 Invalid request: /n_best: ")
    assert str(raised.value).endswith(f"(request {found.request_id})")
    with pytest.raises(NotFoundError, match="no model"):
        client.tag_many(["a"], model="nobody")


def test_models(client):
    listed = client.models()
    assert listed.default.startswith("fake")
    [card] = listed.models
    assert (card.full_name, card.labels, card.language) == ("fake@3", ["PER", "ORG", "LOC"], "en")
    assert client.model("fake").digest == card.digest == "ab" * 32
    with pytest.raises(NotFoundError):
        client.model("no/body")


def test_readiness(client):
    assert client.ready() is True


def test_admin_calls_and_their_report(kind):
    report = {
        "ok": False,
        "default": "en@2",
        "seconds": 0.3,
        "changes": [
            {
                "action": "reload",
                "model": "en@2",
                "digest": "5f",
                "previous_digest": None,
                "seconds": 0.3,
                "problem": {**PROBLEM, "type": "/docs#x", "added": 1},
            }
        ],
        "workers": [{"process": 12, "problem": {**PROBLEM, "type": "/docs#y"}}],
        "added": "by a newer server",
    }
    client, sent, _ = scripted(kind, [reply(200, json=report)] * 5, api_key="tb_secret")
    with client:
        found = client.load("en", "2")
        client.reload("a b/c@2")
        client.unload("en", version="1")
        client.set_default("en")
        assert client.rescan() == found
    assert isinstance(found, Report)
    assert found.changes[0].problem == Problem(**{**PROBLEM, "type": "/docs#x"})
    assert found.workers[0].problem.slug == "y"
    assert [(request.url.raw_path, request.content) for request in sent] == [
        (b"/v1/models/en/load", b'{"version": "2"}'),
        (b"/v1/models/a%20b%2Fc@2/reload", b"{}"),
        (b"/v1/models/en/unload", b'{"version": "1"}'),
        (b"/v1/models/en/default", b"{}"),
        (b"/v1/reload", b""),
    ]
    assert {request.headers["authorization"] for request in sent} == {"Bearer tb_secret"}


def test_where_the_server_is_and_the_key_may_stand_in_the_environment(kind, monkeypatch):
    monkeypatch.setenv("TAGBELT_URL", "http://tags.example:99/below/")
    monkeypatch.setenv("TAGBELT_API_KEY", "tb_secret")
    client, sent, _ = scripted(kind, [tagged()] * 2)
    with client:
        client.tag("a")
    assert str(sent[0].url) == "http://tags.example:99/below/v1/tag"
    assert sent[0].headers["authorization"] == "Bearer tb_secret"
    client, sent, _ = scripted(kind, [tagged()], base_url="http://other.example", api_key="mine")
    with client:
        client.tag("a")
    assert str(sent[0].url) == "http://other.example/v1/tag"
    assert sent[0].headers["authorization"] == "Bearer mine"


def test_without_a_key_none_is_sent(kind):
    client, sent, _ = scripted(kind, [tagged()])
    with client:
        client.tag("a")
    assert "authorization" not in sent[0].headers
    assert str(sent[0].url) == "http://127.0.0.1:8000/v1/tag"


def test_errors_never_hold_the_key_and_can_be_sent_between_processes(kind):
    client, _, _ = scripted(kind, [problem(401, "unauthorized")], api_key="tb_secret")
    with client, pytest.raises(UnauthorizedError) as raised:
        client.tag("a")
    assert "tb_secret" not in repr(raised.value) + str(raised.value)
    copies = pickle.loads(pickle.dumps([raised.value, DeadlineError("late")]))
    assert copies[0].problem == raised.value.problem
    assert str(copies[1]) == "late"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            reply(418, text="teapot"),
            {"type": "about:blank", "title": "I'm a Teapot", "status": 418, "detail": "teapot"},
        ),
        (
            reply(499, json=[]),
            {"type": "about:blank", "title": "Error", "status": 499, "detail": "[]"},
        ),
        (
            problem(400, errors=[{"pointer": "/a", "detail": "b", "more": 1}]),
            {
                "type": "/docs#a-problem",
                "title": "A problem",
                "status": 400,
                "detail": "it is so",
                "instance": "/v1/tag",
                "errors": [FieldProblem(pointer="/a", detail="b")],
            },
        ),
    ],
    ids=["text", "unknown status", "fields"],
)
def test_an_error_of_any_shape_becomes_a_problem(kind, answer, expected):
    client, sent, _ = scripted(kind, [answer])
    with client, pytest.raises(StatusError) as raised:
        client.tag("a")
    request_id = sent[0].headers["x-request-id"]
    whole = {"instance": "", "errors": [], **expected, "request_id": request_id}
    assert raised.value.problem == RequestProblem(**whole)

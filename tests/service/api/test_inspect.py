"""POST /v1/inspect: the same as Tagger.inspect, within the limits of tagging."""

import json
import shutil
from pathlib import Path

import jsonschema_rs
import pytest

from tagbelt.data.checkpoint.artifact import WEIGHTS, verify_sums
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.service.models.small import FOLDER, small_models

CHECKPOINT = Path(__file__).parents[2] / "golden" / "checkpoint"
TEXT = "Anna went to Tokyo in 2024 ."


@pytest.fixture(scope="module")
def tagger():
    return Tagger.load(CHECKPOINT, threads=1)


def ask(client, **body):
    headers = {"content-type": "application/json"}
    return client.request("POST", "/v1/inspect", content=json.dumps(body), headers=headers)


def problem(reply):
    value = reply.json()
    return reply.status_code, value["type"].partition("#")[2], value["detail"]


@pytest.mark.parametrize("occlude", [False, True])
@pytest.mark.parametrize("vectors", [False, True])
def test_the_reply_is_that_of_the_tagger_and_fits_its_schema(make_client, tagger, occlude, vectors):
    with make_client(tagger) as client:
        reply = ask(client, text=TEXT, occlude=occlude, vectors=vectors)
        document = client.app.openapi()
    assert reply.status_code == 200
    value = reply.json()
    info = tagger.info
    model = {"name": info.name, "version": info.version, "digest": info.digest}
    assert value.pop("model") == model
    assert reply.headers["x-model-digest"] == info.digest
    inspection = tagger.inspect(TEXT, occlude="all" if occlude else ())
    expected = json.loads(json.dumps(inspection.to_json(vectors=vectors)))
    del expected["model"]
    assert value == expected
    schema = {"$ref": "#/components/schemas/InspectReply", "components": document["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate({**value, "model": model})


def test_it_is_the_same_text_that_is_tagged(make_client, tagger):
    with make_client(tagger) as client:
        (sentence,) = ask(client, text=TEXT).json()["sentences"]
        (tagged,) = client.results(text=TEXT)
    names = ("label", "start", "end", "text")
    assert [[e[n] for n in names] for e in sentence["entities"]] == [
        [e[n] for n in names] for e in tagged["entities"]
    ]


def test_a_blank_text_has_no_sentences(make_client, tagger):
    with make_client(tagger) as client:
        assert ask(client, text=" ", occlude=True).json()["sentences"] == []


def test_more_tokens_than_the_setting_allows_are_refused_and_0_turns_it_off(make_client, tagger):
    with make_client(tagger, inspect_tokens=5) as client:
        assert ask(client, text="a b c d e").status_code == 200
        status, slug, detail = problem(ask(client, text="a b c d e f"))
        assert (status, slug) == (422, "too-long")
        assert "6 tokens and the limit is 5" in detail
        assert problem(ask(client, text="a" * 4097))[:2] == (422, "too-long")
    with make_client(tagger, inspect_tokens=0) as client:
        status, slug, detail = problem(ask(client, text="a"))
        assert (status, slug) == (404, "not-found")
        assert "TAGBELT_INSPECT_TOKENS is 0" in detail
        assert client.tag(text="a").status_code == 200


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({}, "invalid-request"),
        ({"text": 5}, "invalid-request"),
        ({"text": "a", "n_best": 2}, "invalid-request"),
        ({"text": "x\ud800"}, "not-unicode"),
        ({"text": "a", "model": "none"}, "unknown-model"),
    ],
)
def test_bad_requests_are_told_as_for_tagging(make_client, tagger, body, slug):
    with make_client(tagger) as client:
        assert problem(ask(client, **body))[1] == slug


def test_limits_of_characters_hold_here_too(make_client, tagger):
    with make_client(tagger, max_characters=10) as client:
        assert problem(ask(client, text="x" * 11))[:2] == (422, "too-long")


def test_it_waits_in_the_queue_of_tagging_and_counts_as_what_it_costs(make_client, tagger):
    with make_client(tagger) as client:
        engine = client.app.state.engine
        jobs = []
        run = engine.run

        async def watched(job, gone=None):
            jobs.append(job)
            return await run(job, gone)

        engine.run = watched
        ask(client, text=TEXT)
        ask(client, text=TEXT, occlude=True)
        client.tag(text=TEXT)
    plain, occluded, tagged = (job.price_of_token for job in jobs)
    assert occluded > plain > 100 * tagged


def test_a_model_without_weights_beside_its_graphs_is_told(make_client, tmp_path):
    copy = Path(shutil.copytree(CHECKPOINT, tmp_path / "copy"))
    (copy / WEIGHTS).unlink()
    with make_client(Tagger.load(copy, threads=1)) as client:
        status, slug, detail = problem(ask(client, text="a"))
        assert (status, slug) == (409, "model-not-usable")
        assert f"{WEIGHTS} is missing" in detail


def test_what_fails_at_work_is_an_error_of_the_server(make_client, tagger, monkeypatch):
    def broken(*_: object) -> None:
        raise CheckpointError("gone")

    monkeypatch.setattr(tagger._inspector, "inspect", broken)
    with make_client(tagger) as client:
        assert problem(ask(client, text="a"))[:2] == (500, "internal-error")
        assert client.tag(text="a").status_code == 200


def offered(client):
    reply = client.get("/v1/inspect")
    assert reply.status_code == 200
    return reply.json()


def test_small_models_are_offered_and_looked_into_and_nowhere_else(make_client, tagger):
    with make_client(tagger, inspect_tokens=9) as client:
        offer = offered(client)
        assert offer["tokens"] == 9
        names = {(one["name"], one["language"], one["cell"]) for one in offer["small_models"]}
        assert {("small-rnn", "en", "rnn"), ("small-zh-gru", "zh", "gru")} <= names
        value = ask(client, text="Anna went", model="small-gru").json()
        assert (value["model"]["name"], value["cell"]) == ("small-gru", "gru")
        assert ask(client, text="王芳", model="auto").json()["model"]["name"] == tagger.info.name
        status, slug, _ = problem(client.tag(text="Anna", model="small-gru"))
        assert (status, slug) == (404, "unknown-model")
        listed = client.get("/v1/models").json()
        assert [model["name"] for model in listed["models"]] == [tagger.info.name]
    with make_client(tagger, inspect_tokens=0) as client:
        reply = client.get("/v1/inspect")
        assert problem(reply)[:2] == (404, "not-found")
        assert problem(ask(client, text="a", model="small-gru"))[:2] == (404, "not-found")


def test_small_models_are_small_have_cards_and_differ_in_their_cell_alone():
    made = {}
    for name, header in small_models().items():
        folder = FOLDER / name
        assert sum(file.stat().st_size for file in folder.iterdir()) < 1_000_000
        assert verify_sums(folder)
        assert f"| Licence | {header.licence} |" in (folder / "README.md").read_text("utf-8")
        assert header.licence == "CC BY-SA 4.0"
        encoder = dict(header.model["encoder"])
        cell = encoder.pop("cell")
        made.setdefault(header.language, {})[cell] = {**header.model, "encoder": encoder}
    assert made.keys() == {"en", "zh"}
    for alike in made.values():
        assert alike.keys() == {"rnn", "lstm", "gru"}
        assert alike["rnn"] == alike["lstm"] == alike["gru"]

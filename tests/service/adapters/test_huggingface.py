import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.adapters.conftest import found, post

TEXT = "李明 met 👩‍🚀Ana in Nagoya."
PIECES = st.sampled_from(["Toyota", "李明", "👩‍🚀Ana", " ", "é", "\u0301", "\r\n", "محمد", "a "])


@pytest.mark.parametrize("strategy", ["first", "average", "max", None])
def test_the_strategies_that_group_do_it_alike(models, strategy):
    parameters = {"aggregation_strategy": strategy}
    plain = found(models, "/models/en", {"inputs": TEXT})
    assert [one["entity_group"] for one in plain] == ["PER", "PER", "LOC"]
    assert found(models, "/models/en", {"inputs": TEXT, "parameters": parameters}) == plain


def test_labels_are_ignored_by_type_and_tags_by_tag(models):
    def ask(**parameters):
        return found(models, "/models/en", {"inputs": TEXT, "parameters": parameters})

    assert [one["entity_group"] for one in ask(ignore_labels=["PER", "O"])] == ["LOC"]
    tokens = ask(aggregation_strategy="none", ignore_labels=["PER", "B-LOC", "O"])
    assert [one["entity"] for one in tokens] == ["B-PER", "B-PER"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(PIECES, max_size=12).map("".join), strategy=st.sampled_from(["simple", "none"])
)
def test_entries_are_in_order_and_slice_the_text(models, text, strategy):
    parameters = {"aggregation_strategy": strategy, "ignore_labels": []}
    entries = found(models, "/models/en", {"inputs": text, "parameters": parameters})
    assert all(text[one["start"] : one["end"]] == one["word"] for one in entries)
    ends = [0, *(one["end"] for one in entries)]
    assert all(end <= one["start"] for end, one in zip(ends, entries, strict=False))
    # Nothing but space lies between: with nothing ignored, every token is in an entry.
    bounds = [*zip(ends, [one["start"] for one in entries] + [len(text)], strict=True)]
    assert "".join(text[start:end] for start, end in bounds).strip() == ""


def test_an_empty_list_has_an_empty_reply(models):
    assert found(models, "/", {"inputs": []}) == []


def test_the_model_may_be_named_with_its_version_or_chosen_by_script(models):
    assert post(models, "/models/zh@3", {"inputs": "a"}).headers["x-model-digest"] == "cd" * 32
    both = post(models, "/models/auto", {"inputs": ["Toyota", "李明"]})
    assert both.headers["x-model-digest"] == f"{'ab' * 32}, {'cd' * 32}"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"input": "a"}, "/inputs: Field required"),
        ({"inputs": None}, "/inputs: Give a text, or a list of texts"),
        (
            {"inputs": "a", "model": "en"},
            "/model: there is no such field, only: inputs, parameters, options",
        ),
        ({"inputs": "a", "parameters": {"top_k": 1}}, "/parameters/top_k: there is no such field"),
        ({"inputs": "a", "parameters": {"aggregation_strategy": "mean"}}, "'none', 'simple'"),
        ({"inputs": "a\ud800"}, "inputs: code point 1 is half of a surrogate pair"),
    ],
)
def test_what_cannot_be_answered_is_an_error_in_the_apis_shape(models, body, error):
    reply = post(models, "/models/en", body)
    assert reply.status_code == 422
    assert list(reply.json()) == ["error"]
    assert error in reply.json()["error"]


def test_a_body_without_a_content_type_is_json(models):
    content = b'{"inputs":"Toyota"}'
    for path in ("/models/en", "/"):
        reply = models.request("POST", path, content=content)
        assert (reply.status_code, reply.json()[0]["word"]) == (200, "Toyota")
        stated = models.request(
            "POST", path, content=content, headers={"content-type": "text/plain"}
        )
        assert stated.status_code == 415
        packed = models.request("POST", path, content=content, headers={"content-encoding": "gzip"})
        assert packed.status_code == 415

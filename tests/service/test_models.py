import pytest

from service.models.registry import Registry
from service.models.served import Served
from service.taggers import find_checkpoints
from tests.service.fake import FakeTagger

CARD = {
    "name": "fake",
    "version": "3",
    "digest": "ab" * 32,
    "labels": ["PER", "ORG", "LOC"],
    "scheme": "IOB2",
    "unit": "word",
    "language": "en",
    "description": "A tagger for tests.",
    "metrics": {"f1": 0.5},
}


def test_the_list_and_the_card(client):
    assert client.get("/v1/models").json() == {"default": "fake", "models": [CARD]}
    assert client.get("/v1/models/fake").json() == CARD


def test_an_unknown_card_names_what_is_served(two_models):
    reply = two_models.get("/v1/models/fr")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["detail"] == "no model is named 'fr'; served: en, zh"


@pytest.mark.parametrize(("asked", "answered"), [({}, "en"), ({"model": "zh"}, "zh")])
def test_a_request_chooses_its_model(two_models, asked, answered):
    assert two_models.tag(text="a", **asked).json()["model"]["name"] == answered


def test_labels_are_those_of_the_model_chosen(two_models):
    assert two_models.tag(text="a", labels=["ORG"]).status_code == 200
    assert two_models.tag(text="a", labels=["ORG"], model="zh").status_code == 422


def registry(*names, **options):
    return Registry([Served(FakeTagger(name)) for name in names], **options)


def test_a_registry_refuses_what_it_cannot_serve():
    with pytest.raises(ValueError, match="two models are named 'en'"):
        registry("en", "en")
    with pytest.raises(ValueError, match="no model to serve"):
        registry()
    with pytest.raises(ValueError, match="default_model='fr' is not among: en"):
        registry("en", default="fr")


def test_the_default_model_is_the_first_by_name_unless_set():
    assert registry("zh", "en").default == "en"
    assert registry("zh", "en", default="zh").default == "zh"


def test_checkpoints_are_found_in_a_folder_or_by_themselves(tmp_path):
    for name in ("zh", "en", "notes"):
        (tmp_path / name).mkdir()
    for name in ("zh", "en"):
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    assert find_checkpoints(tmp_path) == [tmp_path / "en", tmp_path / "zh"]
    assert find_checkpoints(tmp_path / "zh") == [tmp_path / "zh"]
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*notes.*config\.json"):
        find_checkpoints(tmp_path / "notes")

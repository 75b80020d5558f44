"""Real checkpoints: what is loaded, and what is refused before anybody is served by it."""

import dataclasses
import json
import threading

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tagbelt.data.checkpoint.artifact import CRF, EMBEDDINGS, SUMS, write_sums
from tagbelt.data.types import Entity
from tagbelt.errors import CheckpointError
from tagbelt.inference import Tagger
from tagbelt.service.models import loading
from tagbelt.service.models.loading import (
    SMOKE_TEXT,
    SMOKE_TEXT_CHINESE,
    checkpoint_loader,
    prepare,
    smoke,
    warm,
)
from tagbelt.service.models.served import Served
from tagbelt.service.models.store import Place, Store
from tests.service.fake import FakeTagger
from tests.service.models.folders import real, write_header

load = checkpoint_loader(1)


def place_of(root):
    (place,) = Store(root).scan().places
    return place


def test_a_checkpoint_goes_by_the_names_of_its_folders(tmp_path):
    real(tmp_path / "en" / "2", language="en")
    place = place_of(tmp_path)
    one = prepare(place, load)
    assert one.served.full_name == "en@2"
    assert one.served.digest == place.digest()
    assert one.served.info.language == "en"
    assert one.path == tmp_path / "en" / "2"
    assert prepare(place, load).stamp != one.stamp
    assert prepare(place, load, stamp="").stamp == ""


def test_what_is_loaded_has_met_the_words_of_the_test(tmp_path):
    real(tmp_path / "en")
    served = prepare(place_of(tmp_path), load).served
    use = served.tagger.vector_cache_use()
    assert use.misses > 0
    served.tagger.annotate_items([served.tagger.tokenize(SMOKE_TEXT)])
    assert served.tagger.vector_cache_use().misses == use.misses


@pytest.mark.parametrize("encode_forms", [False, True])
def test_new_words_are_read_by_a_transformer_where_that_is_asked_for(
    tmp_path, monkeypatch, encode_forms
):
    real(tmp_path / "en")
    options, plain = {}, Tagger.load

    def seen(path, **given):
        options.update(given)
        return plain(path, **given)

    monkeypatch.setattr(Tagger, "load", seen)
    place = place_of(tmp_path)
    assert prepare(place, checkpoint_loader(1, encode_forms=encode_forms)).served
    assert options == {"threads": 1, "encode_forms": encode_forms}


def flip(path):
    data = bytearray((path / EMBEDDINGS).read_bytes())
    data[-1] ^= 1
    (path / EMBEDDINGS).write_bytes(data)


def infect(path):
    arrays = {name: array.copy() for name, array in load_file(path / CRF).items()}
    arrays["transitions"][0, 0] = np.nan
    save_file(arrays, path / CRF)
    write_sums(path)


def lose_sums(path):
    (path / SUMS).unlink()


def another_format(path):
    write_header(path, format_version=99)


def other_tags(path):
    header = json.loads((path / "config.json").read_text(encoding="utf-8"))
    write_header(path, tags=header["tags"][:3], labels=["PER"])


DAMAGES = [
    (flip, "embeddings.safetensors: damaged: its SHA-256 is not the one in SHA256SUMS"),
    (infect, "'transitions' holds values that are not finite"),
    (lose_sums, "SHA256SUMS is missing"),
    (another_format, "format_version is 99, this Tagbelt reads 1"),
    (other_tags, "the scores of a token have the shape"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_checkpoint_is_refused_with_its_path(tmp_path, damage, message):
    path = real(tmp_path / "en" / "2")
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        prepare(Place("en", "2", path), load)
    assert str(path) in str(caught.value)


def test_one_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = real(tmp_path / "en" / "2")
    read = loading.tagbelt.inference.Tagger.load

    def slow_load(*args, **options):
        tagger = read(*args, **options)
        write_header(path, description="newer")
        return tagger

    monkeypatch.setattr(loading.tagbelt.inference.Tagger, "load", slow_load)
    with pytest.raises(CheckpointError, match="was changed while it was read; try again"):
        prepare(place_of(tmp_path), load)
    monkeypatch.undo()
    assert prepare(place_of(tmp_path), load).served.info.description == "newer"


@pytest.mark.parametrize(
    ("language", "text"), [("en", SMOKE_TEXT), ("", SMOKE_TEXT), ("zh-Hant", SMOKE_TEXT_CHINESE)]
)
def test_the_test_sentence_is_in_the_model_s_language(language, text):
    tagger = FakeTagger(language=language)
    smoke(Served(tagger))
    assert tagger.calls == [[text]]


def test_the_warm_up_asks_for_several_lengths_alone_and_together():
    tagger = FakeTagger()
    warm(Served(tagger))
    alone = [call[0] for call in tagger.calls if len(call) == 1]
    assert len(set(map(len, alone))) == len(alone) > 3
    assert tagger.calls[-1] == alone
    assert tagger.threads == {threading.current_thread().name}


class Wrong(FakeTagger):
    """Answers what `change` makes of the right answer."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def annotate_items(self, readings, phases=None, between=lambda: None):
        return self.change(super().annotate_items(readings, phases, between))


def altered(**members):
    return lambda annotations: [dataclasses.replace(one, **members) for one in annotations]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "0 answers to one test sentence"),
        (lambda annotations: annotations * 2, "2 answers to one test sentence"),
        (altered(tokens=(), starts=(), tags=(), entities=()), "has no tokens"),
        (altered(tags=("O",)), "has not one tag a token"),
        (altered(starts=tuple(range(100, 109))), "has not one tag a token|tokens that are not in"),
        (altered(entities=(Entity("PER", 0, 3, "Eda", 0.5),)), "entities that are not in it"),
        (altered(entities=(Entity("X", 0, 3, "Ada", 0.5),)), "label 'X', which the model does not"),
        (altered(entities=(Entity("PER", 0, 3, "Ada", 1.5),)), r"score 1\.5, which is no prob"),
        (altered(entities=(Entity("PER", 0, 3, "Ada", float("nan")),)), "score nan"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        prepare(Place("en", "2", tmp_path), lambda _: Wrong(change))
    assert str(caught.value).startswith(f"{tmp_path}: cannot be served: ")


def test_a_model_that_fails_on_the_test_sentence_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be served: poisoned by"):
        prepare(Place("en", "2", tmp_path), lambda _: FakeTagger(poison="Lovelace"))


def test_whatever_fails_is_told_with_the_path(tmp_path):
    def fail(_):
        raise MemoryError("no room")

    with pytest.raises(CheckpointError, match="cannot be served: MemoryError: no room"):
        prepare(Place("en", "2", tmp_path), fail)

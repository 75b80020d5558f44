"""The component on the disk, in bytes, in other processes."""

import os
import pickle
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.clients.conftest import ROOT

spacy = pytest.importorskip("spacy")

from spacy.tokens import DocBin  # noqa: E402

from tests.clients.pipelines import PEOPLE, TEXT, pipeline, places, texts  # noqa: E402


def test_documents_keep_their_scores(nlp):
    doc = nlp(TEXT)
    scores = [span._.tagbelt_score for span in doc.ents]
    (stored,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
    assert [span._.tagbelt_score for span in stored.ents] == scores
    (stored,) = DocBin(docs=[doc]).get_docs(nlp.vocab)
    assert stored.spans["tagbelt"].attrs["scores"] == scores


def test_a_pipeline_comes_back_from_the_disk(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert places(again(TEXT).ents) == places(nlp(TEXT).ents)
    assert not (tmp_path / "pipeline" / "tagbelt" / "checkpoint").exists()


def test_a_pipeline_comes_back_from_bytes(nlp, english, characters):
    stored = nlp.to_bytes()
    again = pipeline(english).from_bytes(stored)
    assert places(again(TEXT).ents) == places(nlp(TEXT).ents)
    with pytest.raises(ValueError, match="was saved with a checkpoint of digest"):
        pipeline(characters).from_bytes(stored)


def test_another_checkpoint_in_its_place_is_refused(english, characters, tmp_path):
    place = tmp_path / "model"
    shutil.copytree(english, place)
    pipeline(str(place)).to_disk(tmp_path / "pipeline")
    shutil.rmtree(place)
    shutil.copytree(characters, place)
    with pytest.raises(ValueError, match=r"put that checkpoint back, name the place"):
        spacy.load(tmp_path / "pipeline")
    moved = {"components": {"tagbelt": {"checkpoint": english}}}
    assert texts(spacy.load(tmp_path / "pipeline", config=moved)(TEXT).ents, "PER") == PEOPLE


def test_a_pipeline_may_take_its_checkpoint_along(english, characters, tmp_path):
    place = tmp_path / "model"
    shutil.copytree(english, place)
    pipeline(str(place), copy_checkpoint=True).to_disk(tmp_path / "first")
    shutil.rmtree(place)
    (tmp_path / "first").rename(tmp_path / "moved")
    again = spacy.load(tmp_path / "moved")
    assert texts(again(TEXT).ents, "PER") == PEOPLE
    again.to_disk(tmp_path / "moved")  # where it was read from
    again.to_disk(tmp_path / "third")
    shutil.copytree(characters, place)  # another one where the first was
    third = spacy.load(tmp_path / "third")
    assert texts(third(TEXT).ents, "PER") == PEOPLE
    copied = pickle.loads(pickle.dumps(third.get_pipe("tagbelt")))
    assert texts(copied(third.make_doc(TEXT)).ents, "PER") == PEOPLE


def test_a_component_can_be_sent_to_another_process(nlp):
    component = nlp.get_pipe("tagbelt")
    copied = pickle.loads(pickle.dumps(component))
    assert copied.digest == component.digest
    assert places(copied(nlp.make_doc(TEXT)).ents) == places(nlp(TEXT).ents)


def test_spacy_finds_it_by_its_entry_point(english, tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, place)] = project["entry-points"]["spacy_factories"].items()
    # As an installer would have it, whatever is installed here.
    installed = tmp_path / "installed-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: installed\nVersion: 1\n", encoding="utf-8")
    entry = f"[spacy_factories]\n{name} = {place}\n"
    (installed / "entry_points.txt").write_text(entry, encoding="utf-8")
    program = (
        "import spacy, sys\n"
        "nlp = spacy.blank('en')\n"
        "nlp.add_pipe('tagbelt', config={'checkpoint': sys.argv[1], 'threads': 1})\n"
        "sys.stdout.write(str(nlp('Angela Merkel visited Nagoya.').ents))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, english],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
    )
    assert done.stdout == "(Angela Merkel, Nagoya)", done.stderr

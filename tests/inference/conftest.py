"""A network that needs no weights: emissions are a hash of the token and its neighbours."""

from hashlib import blake2b

import numpy as np
import pytest

from tagbelt.data.conll.schemes import Scheme, allowed_transitions, tag_set
from tagbelt.inference import ModelInfo, Tagger
from tagbelt.inference.crf import algorithms
from tagbelt.inference.crf.parameters import CrfParameters

LABELS = ("PER", "LOC-X")


class HashScorer:
    def __init__(self, tags, shapes):
        self.tags = tags
        self.shapes = shapes  # [T, B] of every call
        self.prepared = []  # how many forms came at once

    def prepare(self, forms, lengths):
        assert type(forms) is list
        assert sum(lengths) == len(forms)
        self.prepared.append(len(forms))
        return HashedForms(self, forms)


class HashedForms:
    def __init__(self, scorer, forms):
        self.tags = scorer.tags
        self.shapes = scorer.shapes
        self.forms = forms

    def emissions(self, index, lengths):
        assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
        assert lengths[-1] > 0
        assert index.shape == (lengths[0], len(lengths))
        assert ((index < 0) == (np.arange(lengths[0])[:, None] >= lengths)).all()
        self.shapes.append(index.shape)
        sentences = [[self.forms[i] for i in column if i >= 0] for column in index.T.tolist()]
        # NaN after a sentence's end shows whether anything reads it.
        result = np.full((*index.shape, self.tags), np.nan, np.float32)
        for row, sentence in enumerate(sentences):
            padded = ["", *sentence, ""]
            for step in range(len(sentence)):
                seen = "\0".join(padded[step : step + 3]).encode("utf-8")
                digest = blake2b(seen, digest_size=2 * self.tags).digest()
                result[step, row] = np.frombuffer(digest, "<u2") / 2**13 - 4.0
        return result


def make_tagger(scheme=Scheme.BIOES, unit="word", shapes=None, **options):
    tags = tag_set(LABELS, scheme)
    rng = np.random.default_rng(5)
    draws = [rng.normal(size=shape) for shape in (len(tags), (len(tags), len(tags)), len(tags))]
    info = ModelInfo("fake", "1", LABELS, tags, scheme, unit, digest="0" * 64)
    crf = CrfParameters.constrained(*draws, allowed_transitions(tags, scheme))
    scorer = HashScorer(len(tags), [] if shapes is None else shapes)
    return Tagger(scorer, crf, info, **options)


@pytest.fixture(scope="session")
def tagger_with():
    return make_tagger


@pytest.fixture(scope="session")
def tagger():
    return make_tagger()


@pytest.fixture(scope="module")
def native():
    """The CRF's functions in C."""
    found = algorithms.crf_kernels()
    if found is None:
        pytest.skip("the native kernels are not built")
    return found


@pytest.fixture(scope="module", params=["native", "numpy"])
def implementation(request):
    """Runs a module's tests twice: with the CRF's functions in C, and without."""
    if request.param == "native":
        request.getfixturevalue("native")
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algorithms, "crf_kernels", lambda: None)
        yield

"""The compiled look-ups and rows of a context, against numpy, which does the same to the bit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.bigrams import build_bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.gazetteer import Gazetteer, Term
from tagbelt.data.lexicon.soft_lexicon import SoftLexicon
from tagbelt.inference.native import context as native
from tagbelt.inference.native.quantised import LIMIT, QuantisedNetwork
from tagbelt.inference.scoring.context import context_of
from tagbelt.inference.scoring.vector_cache import VectorCache, vector_row

pytestmark = pytest.mark.skipif(native.kernels() is None, reason="the kernels are not built here")

TOKENS = st.sampled_from(["a", "b", "ab", "A", "", "𝄞", "c"])
SENTENCES = st.lists(st.lists(TOKENS, max_size=12), max_size=5)
TERMS = st.lists(
    st.builds(
        Term,
        st.sampled_from(["", "x", "y"]),
        st.lists(TOKENS.filter(bool), min_size=1, max_size=6).map(tuple),
        st.sampled_from([0.0, 1.0, 2.0, 2.0, 7.5]),
    ),
    max_size=12,
)
WORDS = st.lists(st.text("abcA𝄞", min_size=1, max_size=6), max_size=9, unique=True)


def text_of(source, sentences):
    """What a source knows of the tokens of sentences, and the sentences' lengths."""
    codes = source.encode(token for sentence in sentences for token in sentence)
    return codes, np.array(list(map(len, sentences)), np.int64)


@given(SENTENCES, SENTENCES)
def test_pairs(known, sentences):
    bigrams = build_bigrams(known)
    text = text_of(bigrams, sentences)
    found = native.CompiledBigrams(native.kernels(), bigrams).ids_of(*text)
    assert found.tolist() == bigrams.ids_of(*text).tolist()


def marked(one, size, text):
    flags = np.zeros((len(text[0]), size), np.uint8)
    one.mark(*text, flags)
    return flags


@given(TERMS, SENTENCES, st.booleans())
def test_flags_and_words_of_the_segmentation(terms, sentences, lowercase):
    gazetteer = Gazetteer(terms, lowercase=lowercase)
    text = text_of(gazetteer, sentences)
    found = marked(native.CompiledGazetteer(native.kernels(), gazetteer), gazetteer.size, text)
    assert np.array_equal(found, marked(gazetteer, gazetteer.size, text))


@given(WORDS, SENTENCES)
def test_covers(words, sentences):
    lexicon = SoftLexicon(words, [3 * k + 1 for k in range(len(words))])
    text = text_of(lexicon, sentences)
    found = native.CompiledLexicon(native.kernels(), lexicon).covers_of(*text)
    expected = lexicon.covers_of(*text)
    for name in ("words", "weights", "starts"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), name


def test_more_matches_than_there_was_room_for():
    lexicon = SoftLexicon(["a" * k for k in range(1, 20)], range(1, 20))
    text = text_of(lexicon, ["a" * 50, "a" * 3])
    found = native.CompiledLexicon(native.kernels(), lexicon).covers_of(*text)
    expected = lexicon.covers_of(*text)
    assert len(expected.words) > 4 * 53
    assert np.array_equal(found.words, expected.words)
    assert np.array_equal(found.weights, expected.weights)


def lookup(sources, seed):
    """A context with tables of odd numbers, some of them beyond what bytes hold."""
    vocabulary = replace(Vocabulary(("",), "", 1), **sources)
    drawn = np.random.default_rng(seed)
    tables = {}
    if vocabulary.bigrams is not None:
        tables["bigrams"] = drawn.normal(0, 1, (vocabulary.bigrams.count, 3)).astype(np.float16)
    if vocabulary.lexicon is not None:
        tables["lexicon"] = drawn.normal(0, 1, (len(vocabulary.lexicon.words), 7))
        tables["lexicon"] = tables["lexicon"].astype(np.float16)
    return context_of(vocabulary, tables)


def row_bytes(scale, vectors):
    """As the network writes them."""
    network = QuantisedNetwork.__new__(QuantisedNetwork)
    network.scale = scale
    return network.row_bytes(vectors)


@given(
    TERMS,
    WORDS,
    SENTENCES,
    st.sets(st.sampled_from(["bigrams", "gazetteer", "lexicon"]), min_size=1),
    st.data(),
)
def test_rows(terms, words, sentences, chosen, data):
    sources = {
        "bigrams": build_bigrams(sentences[::2]),
        "gazetteer": Gazetteer(terms),
        "lexicon": SoftLexicon(words, [2 * k + 1 for k in range(len(words))]),
    }
    scale = LIMIT / data.draw(st.sampled_from([0.7, 1.0, 3.3]))
    write = partial(row_bytes, scale)
    compiled = lookup({name: sources[name] for name in sorted(chosen)}, len(words))
    compiled = compiled.written(write, scale)
    plain = replace(
        compiled, finders=(compiled.bigrams, compiled.gazetteer, compiled.lexicon), scale=None
    )

    def compute(forms):
        vectors = np.array([[len(form), *map(ord, (form * 2 + "xy")[:2])] for form in forms])
        return compiled.form_rows((vectors % 256).astype(np.uint8), forms)

    cache = VectorCache(compute, compiled.form_row(vector_row(np.uint8, 3)))
    forms = [token for sentence in sentences for token in sentence]
    found, lengths = cache.find(forms), np.array(list(map(len, sentences)), np.intp)
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    places = st.integers(-1, len(forms) - 1)
    index = data.draw(st.lists(places, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    index = np.array(index, np.intp).reshape(shape)
    rows, expected = compiled.of(found, lengths), plain.of(found, lengths)
    assert rows.writer is not None
    assert expected.writer is None
    assert np.array_equal(rows.gather(index), expected.gather(index))
    assert np.array_equal(rows.gather(index[0]), expected.gather(index[0]))
    table, located = rows.locate(index)
    assert np.array_equal(table[located], expected.gather(index))
    if not rows.flags.shape[1] and rows.covers is None:  # a form and its pair have one row
        keys = zip(found.rows[index].flat, rows.pairs[index].flat, strict=True)
        assert len(table) == len(set(keys))


@pytest.mark.parametrize(
    ("codes", "lengths"), [([9], [1]), ([-1], [1]), ([1, 1], [1]), ([1], [2, -1])]
)
def test_what_is_no_text_is_refused(codes, lengths):
    text = np.array(codes, np.int64), np.array(lengths, np.int64)
    for made, source in (
        (native.CompiledBigrams, build_bigrams([["a", "b"]])),
        (native.CompiledLexicon, SoftLexicon(["ab"], [1])),
    ):
        compiled = made(native.kernels(), source)
        find = getattr(compiled, "ids_of", None) or compiled.covers_of
        with pytest.raises(ValueError, match=r"outside an alphabet|tokens in sentences of"):
            find(*text)


def test_flags_of_another_shape_are_refused():
    gazetteer = Gazetteer([Term("x", ("a",))])
    compiled = native.CompiledGazetteer(native.kernels(), gazetteer)
    with pytest.raises(ValueError, match=r"flags \[1, 4\] of 2 tokens"):
        compiled.mark(*text_of(gazetteer, [["a", "b"]]), np.zeros((1, 4), np.uint8))

"""Which flags a gazetteer gives, against comparing every stretch of tokens with every term."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon import gazetteer as gazetteer_module
from tagbelt.data.lexicon.gazetteer import POSITIONS, Gazetteer, Term

PLACES = [
    Term("place", ("New", "York")),
    Term("place", ("New", "York", "City", "Hall")),
    Term("city", ("New", "York")),
    Term("city", ("York",)),
]
# With an empty token, a space, tokens of which one is the beginning of another, and 2 planes.
TOKENS = st.sampled_from(["a", "b", "ab", "A", "", " ", "\0", "\t", "𝄞", "\ud800"])
TERM_TOKENS = st.sampled_from(["a", "b", "ab", "A", " ", "\0", "𝄞"])
SENTENCES = st.lists(st.lists(TOKENS, max_size=8), max_size=4)
TERMS = st.lists(
    st.builds(
        Term,
        type=st.sampled_from(["x", "y", "z"]),
        tokens=st.lists(TERM_TOKENS, min_size=1, max_size=5).map(tuple),
        weight=st.just(0.0),
    ),
    max_size=8,
)


def slow_flags(terms, sentences, lowercase):
    """Every stretch against every term, written as [tokens, types, 4]."""

    def form(tokens):
        return [token.lower() if lowercase else token for token in tokens]

    types = sorted({term.type for term in terms})
    blocks = []
    for sentence in sentences:
        block = np.zeros((len(sentence), len(types), 4), np.uint8)
        for term in terms:
            size = len(term.tokens)
            kind = types.index(term.type)
            for start in range(len(sentence) - size + 1):
                if form(sentence[start : start + size]) != form(term.tokens):
                    continue
                letters = "S" if size == 1 else "B" + "M" * (size - 2) + "E"
                for offset, letter in enumerate(letters):
                    block[start + offset, kind, POSITIONS.index(letter)] = 1
        blocks.append(block.reshape(len(sentence), 4 * len(types)))
    return np.concatenate([np.zeros((0, 4 * len(types)), np.uint8), *blocks])


def shown(gazetteer, sentence):
    """Each token's flags as text, such as `city:B place:BM`."""
    rows = gazetteer.flags([sentence]).reshape(len(sentence), gazetteer.size // 4, 4)
    names = (*gazetteer.types, *(f"{name}*" for name in gazetteer.types))
    return [
        " ".join(
            f"{name}:{''.join(p for p, flag in zip(POSITIONS, flags, strict=True) if flag)}"
            for name, flags in zip(names, row, strict=False)
            if flags.any()
        )
        for row in rows
    ]


@given(TERMS, SENTENCES, st.booleans())
def test_flags_are_those_of_every_term_at_every_place(terms, sentences, lowercase):
    flags = Gazetteer(terms, lowercase=lowercase).flags(sentences)
    assert flags.dtype == np.uint8
    np.testing.assert_array_equal(flags, slow_flags(terms, sentences, lowercase))


@given(SENTENCES)
def test_sentences_do_not_depend_on_each_other(sentences):
    weights = {
        ("a", "b"): 2.0,
        ("b", "a"): 2.0,
        ("a",): 4.0,
        ("a", "a"): 3.0,
        ("b", "ab", "a"): 1.0,
    }
    gazetteer = Gazetteer(Term("x", tokens, weight) for tokens, weight in weights.items())
    alone = [gazetteer.flags([sentence]) for sentence in sentences]
    together = gazetteer.flags(sentences)
    np.testing.assert_array_equal(together, np.concatenate([together[:0], *alone]))


def test_long_texts_are_done_in_parts(monkeypatch):
    gazetteer = Gazetteer(PLACES)
    sentences = [["New", "York"], [], ["in", "New", "York", "City", "Hall"], ["York"]] * 3
    whole = gazetteer.flags(sentences)
    monkeypatch.setattr(gazetteer_module, "_CHUNK", 3)
    np.testing.assert_array_equal(gazetteer.flags(sentences), whole)


def test_matches_overlap_and_one_term_may_have_several_types():
    gazetteer = Gazetteer(PLACES)
    assert gazetteer.types == ("city", "place")
    assert gazetteer.size == 8
    assert shown(gazetteer, ["New", "York", "City", "Hall", "York"]) == [
        "city:B place:B",
        "city:ES place:ME",
        "place:M",
        "place:E",
        "city:S",
    ]


def test_frequencies_give_a_second_set_of_flags_for_the_most_probable_words():
    # The classic: 南京市/长江大桥 (Nanjing's Yangtze bridge), not 南京/市长/江/大桥.
    weights = {"南京": 50, "南京市": 30, "市长": 80, "长江": 40, "大桥": 20, "长江大桥": 10}
    terms = [Term("n", tuple(word), float(weight)) for word, weight in weights.items()]
    gazetteer = Gazetteer([*terms, Term("", ("市",), 90.0), Term("", ("江",), 5.0)])
    assert gazetteer.types == ("n",)
    assert gazetteer.size == 8
    assert shown(gazetteer, "南京市长江大桥") == [
        "n:B n*:B",
        "n:ME n*:M",
        "n:BE n*:E",
        "n:BE n*:B",
        "n:ME n*:M",
        "n:BM n*:M",
        "n:E n*:E",
    ]


def test_a_single_token_is_a_word_where_no_longer_word_covers_it():
    gazetteer = Gazetteer([Term("x", ("a",), 1.0), Term("x", ("a", "b"), 5.0), Term("x", ("c",))])
    assert shown(gazetteer, ["a", "b", "a", "c"]) == ["x:BS x*:B", "x:E x*:E", "x:S x*:S", "x:S"]


def test_a_word_of_several_types_counts_with_the_highest_of_their_frequencies():
    rest = [Term("x", ("a",), 60.0), Term("x", ("b",), 100.0)]
    often, rarely = Term("x", ("a", "b"), 60.0), Term("y", ("a", "b"), 1.0)
    gazetteer = Gazetteer([*rest, often, rarely])
    assert shown(gazetteer, ["a", "b"]) == ["x:BS y:B x*:B y*:B", "x:ES y:E x*:E y*:E"]


def test_there_may_be_more_tokens_than_code_points_before_the_surrogates():
    numbers = [str(number) for number in range(60_000)]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    gazetteer = Gazetteer(Term("x", pair) for pair in pairs)
    flags = gazetteer.flags([numbers])
    np.testing.assert_array_equal(flags, [[1, 0, 0, 0], [0, 0, 1, 0]] * 30_000)


def test_a_gazetteer_without_terms_has_no_flags():
    assert Gazetteer([]).flags([["a"], ["b", "c"]]).shape == (3, 0)
    assert Gazetteer(PLACES).flags([]).shape == (0, 8)


@given(TERMS, st.booleans())
def test_what_is_saved_is_loaded(tmp_path_factory, terms, lowercase):
    path = tmp_path_factory.mktemp("gazetteer") / gazetteer_module.FILE
    gazetteer = Gazetteer(terms, lowercase=lowercase)
    gazetteer.save(path)
    loaded = Gazetteer.load(path)
    assert list(loaded.terms()) == list(gazetteer.terms())
    assert (loaded.types, loaded.size, loaded.lowercase) == (
        gazetteer.types,
        gazetteer.size,
        lowercase,
    )
    sentence = ["a", "A", "ab", "b", "𝄞"]
    np.testing.assert_array_equal(loaded.flags([sentence]), gazetteer.flags([sentence]))


def test_a_loaded_gazetteer_saves_the_same_bytes(tmp_path):
    Gazetteer(PLACES).save(tmp_path / "one")
    Gazetteer(reversed(PLACES)).save(tmp_path / "two")
    Gazetteer.load(tmp_path / "one").save(tmp_path / "three")
    one, two, three = (Path(tmp_path / n).read_bytes() for n in ("one", "two", "three"))
    assert one == two == three


def test_a_missing_file_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        Gazetteer.load(tmp_path / "none")

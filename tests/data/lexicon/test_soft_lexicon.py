"""Which words cover each character, against comparing every stretch of tokens with every word."""

import gzip
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon import soft_lexicon
from tagbelt.data.lexicon.covering import SETS
from tagbelt.data.lexicon.soft_lexicon import SoftLexicon

WORDS = ["中国", "国语", "语言", "语言学", "学", "中国语言学", "𝄞"]
CHARACTERS = st.sampled_from(["a", "b", "A", "𝄞", "", " ", "ab", "\0", "\t"])
SENTENCES = st.lists(st.lists(CHARACTERS, max_size=9), max_size=4)
LEXICONS = st.lists(st.text("abA𝄞\0", min_size=1, max_size=4), max_size=7, unique=True)


def occurrences(words, sentence):
    """Every stretch of single characters that is a word, as (start, end, number)."""
    for start in range(len(sentence)):
        for end in range(start + 1, len(sentence) + 1):
            part = sentence[start:end]
            if "".join(part) in words and all(len(token) == 1 for token in part):
                yield start, end, words.index("".join(part))


def slow_counts(words, sentences):
    counts = Counter(range(len(words)))  # one of each
    for sentence in sentences:
        found = list(occurrences(words, sentence))
        for start, end, number in found:
            counts[number] += not any(
                other_start <= start
                and end <= other_end
                and (start, end) != (other_start, other_end)
                for other_start, other_end, _ in found
            )
    return [counts[number] for number in range(len(words))]


def slow_covers(words, counts, sentences):
    """For each token and set, the weights by word, of all its occurrences together."""
    result = []
    for sentence in sentences:
        sets = [[Counter() for _ in SETS] for _ in sentence]
        for start, end, number in occurrences(words, sentence):
            letters = "S" if end - start == 1 else "B" + "M" * (end - start - 2) + "E"
            for offset, letter in enumerate(letters):
                sets[start + offset][SETS.index(letter)][number] += counts[number]
        for token in sets:
            total = sum(sum(found.values()) for found in token)
            result += [{k: 4 * v / total for k, v in found.items()} for found in token]
    return result


def as_sets(covers):
    found = [Counter() for _ in covers.starts[1:]]
    for one, start, end in zip(found, covers.starts, covers.starts[1:], strict=False):
        for place in range(start, end):  # in "哈哈哈哈哈" the middle one is twice within "哈哈哈哈"
            one[int(covers.words[place])] += float(covers.weights[place])
    return found


def assert_close(found, expected):
    assert [list(one) for one in found] == [list(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


def ordered(sets):
    return [dict(sorted(one.items())) for one in sets]


def test_a_character_has_all_words_that_it_is_part_of():
    lexicon = SoftLexicon(WORDS, [6, 1, 2, 1, 4, 1, 1])
    found = as_sets(lexicon.covers([list("中国语言学")]))
    named = [{WORDS[number]: weight for number, weight in one.items()} for one in found]
    third = [{"语言": 1.6, "语言学": 0.8}, {"中国语言学": 0.8}, {"国语": 0.8}, {}]
    assert named[8:12] == [pytest.approx(one) for one in third]
    assert [sorted(one) for one in named[16:]] == [[], [], ["中国语言学", "语言学"], ["学"]]


def test_an_occurrence_within_a_longer_word_does_not_count():
    lexicon = SoftLexicon.counted(WORDS, [list("中国语言学"), list("国语言"), list("学学")])
    assert lexicon.counts.tolist() == [1, 2, 2, 1, 3, 2, 1]


@given(LEXICONS, SENTENCES)
def test_counts_and_covers_are_those_of_the_slow_way(words, sentences):
    lexicon = SoftLexicon.counted(words, sentences)
    counts = slow_counts(words, sentences)
    assert lexicon.counts.tolist() == counts
    covers = lexicon.covers(sentences)
    assert_close(ordered(as_sets(covers)), ordered(slow_covers(words, counts, sentences)))


@given(LEXICONS, SENTENCES, st.integers(1, 6))
def test_neither_other_sentences_nor_chunks_change_anything(words, sentences, size):
    lexicon = SoftLexicon(words, range(1, len(words) + 1))
    alone = [one for sentence in sentences for one in as_sets(lexicon.covers([sentence]))]
    together = as_sets(lexicon.covers(sentences))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soft_lexicon, "_CHUNK", size)
        in_chunks = as_sets(lexicon.covers(sentences))
    assert alone == together == in_chunks


@given(LEXICONS, SENTENCES, st.data())
def test_sums_of_chosen_tokens(words, sentences, chosen):
    lexicon = SoftLexicon(words, range(1, len(words) + 1))
    tokens = sum(map(len, sentences))
    index = np.array(chosen.draw(st.lists(st.integers(-1, tokens - 1), max_size=6)), np.int64)
    vectors = np.random.default_rng(1).normal(size=(len(words), 3)).astype(np.float32)
    covers = lexicon.covers(sentences)
    found = covers.at(index).sums(vectors)
    assert found.dtype == np.float32
    sets = as_sets(covers)
    for row, token in zip(found.reshape(-1, len(SETS), 3), index.tolist(), strict=True):
        for place, total in enumerate(row):
            weights = sets[len(SETS) * token + place] if token >= 0 else {}
            expected = sum((w * vectors[word] for word, w in weights.items()), np.zeros(3))
            np.testing.assert_allclose(total, expected, atol=1e-5)


def test_what_was_saved_is_what_is_read(tmp_path):
    lexicon = SoftLexicon.counted(WORDS, [list("国语言")])
    for name in ("one", "two"):
        lexicon.save(tmp_path / name)
    again = SoftLexicon.load(tmp_path / "one")
    assert again.words == tuple(WORDS)
    assert again.counts.tolist() == lexicon.counts.tolist()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("lexicon 1", "lexicon 2"),
        lambda text: text.replace("\t7\n", "\t8\n"),
        lambda text: text.replace("1\t学", "x\t学"),
        lambda text: text.replace("1\t学", "0\t学"),
        lambda text: text.replace("1\t学", "1\t国语"),
        lambda text: text.replace("1\t学", "学"),
        lambda text: text.replace("学", ""),
        lambda text: text[:-1],
        lambda text: text[:0],
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "lexicon.txt.gz"
    SoftLexicon(WORDS, [1] * len(WORDS)).save(path)
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    assert damage(text) != text
    for content in (gzip.compress(damage(text).encode("utf-8")), path.read_bytes()[:-9], b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path}: no lexicon, or a damaged one"):
            SoftLexicon.load(path)
        path.write_bytes(gzip.compress(text.encode("utf-8")))


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["a", "a"], [1, 1]),
        (["a", ""], [1, 1]),
        (["a\tb"], [1]),
        (["a\n"], [1]),
        (["a"], [0]),
        (["a"], []),
        (["a" * 1001], [1]),
    ],
)
def test_words_that_can_not_be(words, counts):
    with pytest.raises(
        ValueError, match=r"a lexicon needs distinct words|a word has no tab|at most"
    ):
        SoftLexicon(words, counts)

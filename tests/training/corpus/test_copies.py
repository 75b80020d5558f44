"""Copies of training sentences: what they change and what they keep."""

import pytest

from tagbelt.data.types import Sentence, Span
from tagbelt.training.corpus.copies import copies
from tagbelt.training.corpus.corpus import load_run_data
from tagbelt.training.data_config import CopiesConfig
from tests.training.tiny import tiny_config

SENTENCE = Sentence(
    ("Ada", "met", "the", "Bank", "of", "Rome"),
    (Span(0, 1, "PER"), Span(3, 6, "ORG")),
    annotates=frozenset({"PER", "ORG"}),
)
NAMES = {"PER": [("Bo", "Quill")]}


def one(**shares):
    (copy,) = copies([SENTENCE], CopiesConfig(**shares), NAMES, seed=1)
    return copy


@pytest.mark.parametrize(
    ("kind", "text"),
    [("lower", "ada met the bank of rome"), ("upper", "ADA MET THE BANK OF ROME")],
)
def test_a_copy_in_another_case_keeps_its_entities(kind, text):
    copy = one(**{kind: 1.0})
    assert " ".join(copy.tokens) == text
    assert (copy.spans, copy.annotates) == (SENTENCE.spans, SENTENCE.annotates)


def test_title_case_leaves_small_words_small_in_about_half_of_the_copies():
    made = copies([SENTENCE] * 200, CopiesConfig(title=1.0), {}, seed=1)
    written = [" ".join(copy.tokens) for copy in made]
    assert set(written) == {"Ada Met the Bank of Rome", "Ada Met The Bank Of Rome"}
    assert 60 < written.count("Ada Met the Bank of Rome") < 140


def test_names_are_replaced_by_others_of_their_type_and_stay_where_there_are_none():
    copy = one(names=1.0)
    assert " ".join(copy.tokens) == "Bo Quill met the Bank of Rome"
    assert copy.spans == (Span(0, 2, "PER"), Span(4, 7, "ORG"))
    assert copy.annotates == SENTENCE.annotates


def test_what_would_not_differ_is_not_copied():
    small = Sentence(("no", "name"), ())
    assert copies([small], CopiesConfig(lower=1.0, names=1.0), NAMES, seed=1) == ()


def test_a_share_of_the_sentences_is_copied_the_same_again_with_a_seed():
    config = CopiesConfig(lower=0.3)
    made = copies([SENTENCE] * 1000, config, {}, seed=1)
    assert 230 < len(made) < 370
    assert len(copies([SENTENCE] * 1000, config, {}, seed=2)) != len(made)
    assert copies([SENTENCE] * 1000, config, {}, seed=1) == made


def test_a_run_trains_on_them_too():
    plain = load_run_data(tiny_config()).train
    more = load_run_data(tiny_config({"data.copies": {"upper": 1.0}})).train
    assert more[: len(plain)] == plain
    assert len(more) > len(plain)
    assert all(token == token.upper() for s in more[len(plain) :] for token in s.tokens)


@pytest.mark.parametrize("templates", [True, False])
def test_what_templates_made_is_copied_unless_the_config_says_otherwise(tmp_path, templates):
    path = tmp_path / "templates.txt"
    path.write_text("@PER = Zyphra\nquendle greets {PER}\n", encoding="utf-8")
    made = {"data.synthesis": {"templates": str(path), "sentences": 3}}
    settings = {"data.copies": {"upper": 1.0, "templates": templates}}
    train = load_run_data(tiny_config({**made, **settings})).train
    assert sum("quendle" in s.tokens for s in train) == 3
    assert sum("QUENDLE" in s.tokens for s in train) == 3 * templates

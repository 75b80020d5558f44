import os
from functools import cache
from pathlib import Path

import pytest

from benchmarks.accuracy.corpora import SOURCES
from benchmarks.accuracy.everyday import FOLDER, read_marked, scored
from benchmarks.accuracy.outside import everyday
from benchmarks.accuracy.silver import TEXT, read_text
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import SEPARATORS, Sentence
from tagbelt.training.config import load_config
from tagbelt.training.corpus.synthesis import synthesise
from tagbelt.training.data_config import SynthesisConfig

LANGUAGES = ["en", "zh"]
UNITS = {"en": "word", "zh": "character"}
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_150_sentences_and_none_twice(language):
    texts = [sentence.text for sentence in read_marked(FOLDER / f"{language}.txt")]
    assert len(texts) == len(set(texts)) == 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_mark_is_left_in_a_text_and_each_span_is_trimmed(language):
    for sentence in read_marked(FOLDER / f"{language}.txt"):
        assert not set("{}") & set(sentence.text)
        for span in sentence.spans:
            entity = sentence.text[span.start : span.end]
            assert entity == entity.strip() != ""
            assert span.label in ("PER", "LOC", "ORG", "MISC")


def test_offsets_count_the_text_without_its_marks(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("# A\n{PER Ada} met {PER Bo} in {LOC Rome}.\n", encoding="utf-8")
    (sentence,) = read_marked(path)
    assert (sentence.group, sentence.text) == ("A", "Ada met Bo in Rome.")
    found = [(s.label, sentence.text[s.start : s.end]) for s in sentence.spans]
    assert found == [("PER", "Ada"), ("PER", "Bo"), ("LOC", "Rome")]


def test_types_that_a_checkpoint_lacks_do_not_count_against_it(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("# A\nIn {LOC London} they speak {MISC English}.\n", encoding="utf-8")
    total, group = scored(FOLDER.parents[1] / "checkpoints" / "zh", list(read_marked(path)))
    assert (total["group"], group["group"]) == ("all", "A")
    assert total["support"] == 1


@cache
def made_of_templates(language: str) -> tuple[Sentence, ...]:
    templates = str(CONFIGS / f"{language}.templates.txt")
    config = SynthesisConfig(templates=templates, sentences=20_000, own_names=1.0)
    return synthesise(config, {}, seed=1, unit=UNITS[language])


def names_in(sentences) -> set[str]:
    return {
        " ".join(s.tokens[span.start : span.end]).lower() for s in sentences for span in s.spans
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_templates_and_their_lists_hold_at_most_a_tenth_of_the_names(language):
    names = names_in(everyday(language, UNITS[language]))
    known = names & names_in(made_of_templates(language))
    assert len(names) > 200
    assert len(known) <= len(names) / 10, sorted(known)


@pytest.mark.parametrize("language", LANGUAGES)
def test_templates_make_none_of_the_sentences(language):
    made = {sentence.tokens for sentence in made_of_templates(language)}
    assert not made & {sentence.tokens for sentence in everyday(language, UNITS[language])}


@pytest.mark.skipif("TAGBELT_DATA" not in os.environ, reason="the data sets are not included")
@pytest.mark.parametrize("language", LANGUAGES)
def test_none_of_the_sentences_stands_in_a_corpus_that_is_trained_on(language):
    data = Path(os.environ["TAGBELT_DATA"])
    if language == "en":
        files = [(data / source.file, source) for source in SOURCES]
    else:
        files = load_config(CONFIGS / "zh.toml").data.sources("train")
    texts = {
        "".join(sentence.tokens)
        for path, source in files
        for sentence in read_conll(
            path, columns=source.columns, separator=SEPARATORS[source.separator]
        ).sentences
    }
    if language == "en":
        texts |= set(map("".join, read_text(data / TEXT)))
    assert len(texts) > 3000
    assert not texts & {"".join(s.tokens) for s in everyday(language, UNITS[language])}

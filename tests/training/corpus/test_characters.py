"""Training of characters: words that are cut, and variants that are folded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon.packages import folded_characters
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import ConfigError
from tagbelt.model.batch import encode
from tagbelt.training.corpus.corpus import load_run_data
from tagbelt.training.corpus.synthesis import names_of, synthesise
from tagbelt.training.data_config import SynthesisConfig, into_characters
from tagbelt.training.run.prepare import prepare
from tests.training.tiny import CHINESE, tiny_config

WORDS = st.lists(st.text("天地iP3 é́", min_size=1, max_size=4).filter(str.strip), min_size=1)


@given(WORDS, st.data())
def test_words_are_cut_into_characters_and_entities_keep_their_text(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    cut = into_characters(Sentence(tuple(words), (Span(start, end, "PER"),)))
    (span,) = cut.spans
    text = "".join("".join(words).split())
    assert "".join("".join(cut.tokens).split()) == text
    entity = "".join(cut.tokens[span.start : span.end])
    assert "".join(entity.split()) == "".join("".join(words[start:end]).split())


def test_a_file_of_words_trains_a_tagger_of_characters(tmp_path):
    (tmp_path / "w").write_text("林小舟\tB-PER\n住\tO\niOS\tO\n", encoding="utf-8")
    files = [{"path": str(tmp_path / "w"), "split_words": True}]
    changes = {"data.train": files, "data.dev": files, "data.test": []}
    data = load_run_data(tiny_config(changes, base=CHINESE))
    assert data.train[0].tokens == tuple("林小舟住iOS")
    assert data.dev[0].spans == (Span(0, 3, "PER"),)


def test_words_are_not_cut_where_they_are_the_unit():
    with pytest.raises(ConfigError, match='split_words: say unit = "character" too'):
        tiny_config({"data.train": [{"path": "a", "split_words": True}]})


def test_templates_of_characters_are_plain_text(tmp_path):
    path = tmp_path / "t"
    text = "@PER = 王{given}\n@given = 平\n@club = 青河队\n{PER}加入{ORG:club}，好。\n"
    path.write_text(text, encoding="utf-8")
    config = SynthesisConfig(templates=str(path), sentences=20, own_names=0.5)
    names = names_of([Sentence(tuple("找李雷·布"), (Span(1, 5, "PER"),))], "character")
    made = {
        ("".join(s.tokens), s.spans) for s in synthesise(config, names, seed=1, unit="character")
    }
    assert made == {
        ("王平加入青河队，好。", (Span(0, 2, "PER"), Span(4, 7, "ORG"))),
        ("李雷·布加入青河队，好。", (Span(0, 4, "PER"), Span(6, 9, "ORG"))),
    }


@pytest.fixture
def opencc(tmp_path, monkeypatch):
    """A table such as OpenCC has, without the package."""
    (tmp_path / "dictionary").mkdir()
    table = tmp_path / "dictionary" / "TSCharacters.txt"
    table.write_text("馬\t马\n麼\t么 麽\n舊\t旧\n同\t同\n", encoding="utf-8")
    monkeypatch.setattr("tagbelt.data.lexicon.packages._folder", lambda _: tmp_path)


@pytest.mark.usefixtures("opencc")
def test_a_table_folds_traditional_characters_and_full_width_letters():
    folded = folded_characters()
    assert (folded["馬"], folded["麼"], folded["Ａ"], folded["７"]) == ("马", "么", "A", "7")
    assert not {"同", "，", "马"} & folded.keys()
    assert not set(folded.values()) & folded.keys(), "folding twice is folding once"


@pytest.mark.usefixtures("opencc")
def test_both_scripts_are_one_to_a_network_that_folds(tmp_path):
    changes = {"model.words.fold": "traditional", "model.bigrams": {"size": 4, "min_count": 1}}
    run = prepare(tiny_config(changes, base=CHINESE), tmp_path)
    vocabulary = run.data.vocabulary
    assert type(vocabulary).from_json(vocabulary.to_json()) == vocabulary
    one, other = (encode([list(text)], vocabulary).batch([0]) for text in ("旧马A", "舊馬Ａ"))
    for name in ("form_words", "form_shapes", "row_bigrams"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name

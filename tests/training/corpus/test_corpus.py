import pytest

from tagbelt.data.types import Span
from tagbelt.errors import ConfigError, ConllError
from tagbelt.training.corpus.corpus import encode_split, load_run_data, read_split
from tests.training.tiny import CHINESE, tiny_config


@pytest.fixture
def files(tmp_path):
    """Write files and return the config that reads them."""

    def write(changes=None, **texts):
        given = {"train": "Ada B-PER\n", "dev": "Ada B-PER\n", **texts}
        for name, text in given.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        splits = {"data.train": "train", "data.dev": "dev", "data.test": []}
        return tiny_config({"data.root": str(tmp_path), **splits, **(changes or {})})

    return write


def test_our_own_corpora_are_read_whole():
    english, chinese = load_run_data(tiny_config()), load_run_data(tiny_config(base=CHINESE))
    assert (len(english.train), len(english.dev)) == (40, 10)
    assert english.labels == chinese.labels == ("LOC", "ORG", "PER")
    assert english.tags[:5] == ("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC")
    assert chinese.tags == ("O", *(f"{p}-{t}" for t in chinese.labels for p in "BI"))
    assert chinese.train[0].tokens == tuple("林小舟住在青河镇。")
    assert "" not in english.vocabulary.words[1:]
    assert english.vocabulary.word_id("ELLISON") > 0
    assert english.vocabulary.word_id("Holm") == 0, "of the dev file only"
    assert english.repairs == ()


def test_labels_are_renamed_and_left_out(files):
    config = files(
        {"data.labels": {"person": "PER", "thing": ""}},
        train="Ada B-person\nmet O\nBob B-thing\nin O\nRome B-LOC\n",
        dev="Ada B-person\n",
    )
    data = load_run_data(config)
    assert data.labels == ("LOC", "PER")
    assert data.train[0].spans == (Span(0, 1, "PER"), Span(4, 5, "LOC"))
    assert len(data.train[0].tokens) == 5


def test_labels_of_one_file_are_renamed_there_only(files):
    changes = {"data.train": [{"path": "train", "labels": {"PER": "P"}}, "more"]}
    sentences, _ = read_split(files(changes, more="Ada B-PER\n"), "train")
    assert [s.spans[0].label for s in sentences] == ["P", "PER"]


def test_files_of_several_tag_styles_train_together(files):
    changes = {"data.train": [{"path": "train", "tag_style": "underscore"}, "more"]}
    config = files(changes, train="Ada B_PER\nKent I_PER\n", more="Bob B-PER\n")
    assert [s.spans for s in load_run_data(config).train] == [
        (Span(0, 2, "PER"),),
        (Span(0, 1, "PER"),),
    ]


def test_a_file_is_read_as_often_as_is_said(files):
    config = files({"data.train": [{"path": "train", "repeat": 3}, "more"]}, more="Bob B-PER\n")
    assert [s.tokens[0] for s in load_run_data(config).train] == ["Ada", "Ada", "Ada", "Bob"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"train": "Ada O\n"}, r"data\.train: no entity in \['train'\]"),
        ({"train": ""}, r"data\.train: no entity in \['train'\]"),
        ({"dev": "Ada O\n"}, r"data\.dev: no entity in \['dev'\]: nothing to choose"),
        (
            {"dev": "Ada B-ORG\nx O\ny B-MISC\n"},
            r"data\.dev: labels that training never shows: MISC, ORG; rename them with data\.lab",
        ),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused(files, texts, message):
    with pytest.raises(ConfigError, match=message):
        load_run_data(files(**texts))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_file_that_is_not_there_is_named_before_anything_is_read(files, split, tmp_path):
    config = files({f"data.{split}": ["dev", "gone.conll"]}, train="not a corpus\n")
    with pytest.raises(ConfigError) as caught:
        load_run_data(config)
    assert str(caught.value) == f"data.{split}: no such file: {tmp_path / 'gone.conll'}"


BROKEN = "Ada I-PER\nmet O\nBob B-PER\nin I-LOC\n\nAda B-PER\nmet O\nAda B-PER\nLee I-PER\n"


def test_tags_that_are_not_valid_are_an_error_or_told(files, tmp_path):
    stated = {"data.scheme": "IOB2"}
    with pytest.raises(ConllError, match=r"train:1: .*I-PER"):
        load_run_data(files(stated, train=BROKEN))
    data = load_run_data(files({**stated, "data.on_invalid": "repair"}, train=BROKEN))
    assert [line.split(": ")[0] for line in data.repairs] == [
        f"{tmp_path / 'train'}:1",
        f"{tmp_path / 'train'}:4",
    ]
    assert data.train[0].spans == (Span(0, 1, "PER"), Span(2, 3, "PER"), Span(3, 4, "LOC"))
    dropped = load_run_data(files({**stated, "data.on_invalid": "drop"}, train=BROKEN))
    assert len(dropped.repairs) == 2
    assert dropped.train[0].spans == (Span(2, 3, "PER"),)


def test_gold_tags_become_ids_of_the_scheme_that_is_trained(files):
    config = files(train="Ada B-PER\nLee I-PER\nmet O\nBob B-PER\n")
    data = load_run_data(config)
    [ids] = encode_split(data.train, data.vocabulary, data.tags, config).tags
    assert [data.tags[i] for i in ids.tolist()] == ["B-PER", "E-PER", "O", "S-PER"]


def test_words_are_no_characters(files):
    with pytest.raises(ConfigError, match=r"data\.unit: 'character', but .* words, as 'Ada'"):
        load_run_data(files({"data.unit": "character", "model.characters.kind": "none"}))


def test_a_label_to_rename_must_stand_in_some_file(files):
    changes = {"data.labels": {"PER": "PERSON", "ORG": "", "LCO": "LOC"}}
    with pytest.raises(ConfigError, match="nothing is labelled LCO, ORG; the files have PER"):
        load_run_data(files(changes))
    in_test = {**changes, "data.labels": {"PER": "PERSON", "ORG": ""}, "data.test": "test"}
    assert load_run_data(files(in_test, test="x B-ORG\n")).labels == ("PERSON",)
    own = {"data.train": [{"path": "train", "labels": {"PRE": "P"}}], "data.labels": {"PER": "P"}}
    with pytest.raises(ConfigError, match="nothing is labelled PRE"):
        load_run_data(files(own))

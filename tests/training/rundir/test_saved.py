"""A config that a run has written means what it meant."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.checkpoint.artifact import write_json
from tagbelt.errors import ConfigError
from tagbelt.training.corpus.corpus import load_run_data
from tagbelt.training.run.checkpoint import check_same
from tagbelt.training.rundir import parse_saved, read_saved
from tests.training.tiny import CHINESE, ENGLISH, EXAMPLES, tiny_config

LAYOUTS = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.sampled_from([["token", "tag"], ["token", "pos", "tag"]]),
        "separator": st.sampled_from(["whitespace", "tab", "space"]),
        "scheme": st.sampled_from(["IOB1", "IOB2", "BIOES"]),
        "on_invalid": st.sampled_from(["error", "repair", "drop"]),
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from(["A", ""])),
    },
)
OWN = st.fixed_dictionaries(
    {}, optional={"repeat": st.integers(1, 3), "names": st.booleans(), "sentences": st.just([2, 5])}
)
ENTRIES = st.builds(lambda layout, own: {"path": "a", **layout, **own}, LAYOUTS, OWN)


def again(config):
    return parse_saved(json.loads(json.dumps(config.model_dump(mode="json"))), place="again")


@given(LAYOUTS, st.lists(ENTRIES, min_size=1, max_size=3))
def test_every_setting_of_a_file_means_the_same_read_back(shared, entries):
    data = {f"data.{name}": value for name, value in shared.items()}
    config = tiny_config({**data, "data.train": entries, "data.dev": ["b"]})
    read = again(config)
    assert read == config
    assert read.model_dump() == config.model_dump()
    for split in ("train", "dev", "test"):
        assert read.data.sources(split) == config.data.sources(split)


def test_broken_entities_are_dropped_again(tmp_path):
    """The settings of all files once gave way to the defaults written for each file."""
    for name in ("train", "dev", "test"):
        shutil.copy(EXAMPLES / "zh" / f"{name}.bmes", tmp_path)
    with (tmp_path / "train.bmes").open("a", encoding="utf-8") as stream:
        stream.write("\n中 B-ORG\n国 O\n")
    config = tiny_config({"data.root": str(tmp_path), "data.on_invalid": "drop"}, CHINESE)
    write_json(tmp_path / "config.json", config.model_dump(mode="json"))
    data = load_run_data(read_saved(tmp_path))
    assert data.repairs == load_run_data(config).repairs != ()
    assert data.train == load_run_data(config).train


OLD_ENTRY = {
    "columns": None,
    "separator": "whitespace",
    "scheme": None,
    "on_invalid": "error",
    "labels": {},
    "path": "train.conll",
    "sentences": None,
    "repeat": 1,
    "names": True,
}


def test_defaults_that_older_runs_wrote_for_each_file_do_not_count():
    config = tiny_config({"data.on_invalid": "drop", "data.labels": {"PER": "P"}})
    value = config.model_dump(mode="json")
    value["data"]["train"] = [{**OLD_ENTRY, "separator": "tab"}]
    [(_, source)] = parse_saved(value, place="old").data.sources("train")
    assert (source.on_invalid, source.labels, source.separator) == ("drop", {"PER": "P"}, "tab")
    check_same({**value, "data": {**value["data"], "train": [OLD_ENTRY]}}, config, place="old")


def test_a_setting_that_is_new_since_does_not_keep_a_run_from_going_on():
    value = tiny_config().model_dump(mode="json")
    del value["model"]["words"]["shape_size"]
    check_same(value, tiny_config(), place="old")
    with pytest.raises(ConfigError, match="shape_size"):
        check_same(value, tiny_config({"model.words": {"size": 12, "shape_size": 3}}), place="old")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "{path}: no run here (config.json is missing)"),
        ("{", "{path}/config.json: not JSON: "),
        ("[]", "{path}/config.json: "),
        ('{"name": "x", "data": {"train": 5, "dev": []}}', "{path}/config.json: data.train: "),
        (json.dumps({**ENGLISH, "was": 1}), "{path}/config.json: was: unknown key"),
    ],
)
def test_what_is_no_run_is_told(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_saved(tmp_path)
    assert str(caught.value).startswith(message.format(path=tmp_path))

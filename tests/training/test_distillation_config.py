import pytest

from tagbelt.errors import ConfigError
from tagbelt.training.config import parse_config
from tagbelt.training.rundir import parse_saved
from tests.training.tiny import tiny_config

FULL = {
    "teachers": ["runs/a/checkpoint"],
    "text": ["a.txt", {"path": "b.conll", "column": 2, "separator": "tab"}],
}


def test_text_is_a_path_or_a_table_and_lies_below_the_root():
    config = tiny_config({"distillation": FULL, "data.root": "/base"})
    found = [(str(path), text.column, text.separator) for path, text in config.unlabelled()]
    assert found == [("/base/a.txt", None, "whitespace"), ("/base/b.conll", 2, "tab")]
    assert (
        tiny_config({"distillation": {**FULL, "text": "a.txt"}}).unlabelled()[0][1].column is None
    )
    assert tiny_config().unlabelled() == []


@pytest.mark.parametrize("changes", [{}, {"distillation": FULL}])
def test_a_config_that_a_run_has_written_reads_back(changes):
    config = tiny_config(changes)
    assert parse_saved(config.model_dump(mode="json"), place="saved") == config


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"teachers": []}, "distillation.teachers: "),
        ({"weight": 1.5}, "distillation.weight: "),
        ({"sentences": 0}, "distillation.sentences: "),
        ({"text": [{"path": "a", "column": -1}]}, "distillation.text.0.column: "),
        ({"text": [{"path": "a", "tag": 1}]}, "distillation.text.0.tag: unknown key"),
        ({"text": 5}, "distillation.text: "),
    ],
)
def test_what_is_wrong_is_named(changes, key):
    value = tiny_config().model_dump(mode="json")
    with pytest.raises(ConfigError, match=f"^place: {key}"):
        parse_config({**value, "distillation": {**FULL, **changes}}, place="place")
    with pytest.raises(ConfigError, match=r"^place: distillation\.teachers: missing"):
        parse_config({**value, "distillation": {}}, place="place")

import re
from pathlib import Path

import pytest

from tagbelt.data.conll.schemes import Scheme
from tagbelt.errors import ConfigError
from tagbelt.model.config import CELLS
from tagbelt.training.config import SIZED, load_config, sized
from tests.training.tiny import ENGLISH, as_toml, merged, tiny_config

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def write(tmp_path):
    """Write a tiny config, changed, as `run.toml`."""

    def put(changes=None, text=None):
        path = tmp_path / "run.toml"
        path.write_text(as_toml(merged(ENGLISH, changes or {})) if text is None else text, "utf-8")
        return path

    return put


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_parses_and_is_named_after_its_file(path):
    config = load_config(path)
    assert config.name == path.stem
    assert config.data.train
    assert config.licence or "TAGBELT_DATA" not in config.data.root, "whose data, whose terms"


@pytest.mark.parametrize(
    "path", sorted(set(CONFIGS.glob("*.toml")) - {CONFIGS / "example.toml"}), ids=lambda p: p.stem
)
def test_no_preset_leaves_to_the_size_of_the_data_what_its_published_scores_rest_on(path):
    config = load_config(path)
    assert set(SIZED) <= config.training.model_fields_set
    assert sized(config, 40) == config


def test_there_are_presets():
    assert {"conll2003", "resume"} <= {path.stem for path in CONFIGS.glob("*.toml")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainng.epochs": 3}, "trainng: unknown key"),
        ({"model.encoder.cel": "gru"}, "model.encoder.cel: unknown key"),
        (
            {"training.epochs": "three"},
            "training.epochs: Input should be a valid integer (is 'three')",
        ),
        (
            {"training.epochs": 0},
            "training.epochs: Input should be greater than or equal to 1 (is 0)",
        ),
        ({"training.epochs": True}, "training.epochs: Input should be a valid integer (is True)"),
        ({"training.epochs": 3.0}, None),
        (
            {"model.encoder.cell": "lstn"},
            f"model.encoder.cell: Input should be {str(CELLS[:-1])[1:-1]} or {CELLS[-1]!r}"
            " (is 'lstn')",
        ),
        (
            {"model.encoder.attention_heads": 5},
            "model.encoder: attention_heads = 5 must divide the 24 units",
        ),
        (
            {"data.columns": ["word", "tag"]},
            "data: columns must name 'token' and 'tag' once each, not ['word', 'tag']",
        ),
        ({"data.train": []}, None),
        ({"data.tags": "IOB1"}, "data.tags: Input should be 'IOB2' or 'BIOES' (is 'IOB1')"),
        ({"name": 5}, "name: Input should be a valid string (is 5)"),
        ({"data": 5}, None),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(write, changes, message):
    path = write(changes)
    key = next(iter(changes)).split(".")[0]
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    if message is not None:
        assert str(caught.value) == f"{path}: {message}"
    assert str(caught.value).startswith(f"{path}: {key}")


def test_a_missing_key_is_named(write):
    path = write(text="name = 'x'\n[data]\ntrain = 'a'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: data.dev: missing"


def test_all_that_is_wrong_is_told_at_once(write):
    with pytest.raises(ConfigError) as caught:
        load_config(write({"training.epochs": -1, "training.sed": 1}))
    assert len(str(caught.value).splitlines()) == 2


def test_a_date_is_text(write):
    assert load_config(write(), ["version=2024-01-31"]).version == "2024-01-31"


def test_no_file_and_no_toml_are_told(write, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such config"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"run\.toml: not TOML: .*line 1, column 8"):
        load_config(write(text="name = ?\n"))
    path = tmp_path / "latin.toml"
    path.write_bytes("name = 'é'".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.toml: not TOML: .*0xe9"):
        load_config(path)


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000], ids=["number", "brackets"])
def test_what_toml_has_and_python_can_not_read_is_told(write, value):
    with pytest.raises(ConfigError, match=r"run\.toml: not TOML: "):
        load_config(write(text=f"name = {value}\n"))
    assert load_config(write(), [f"version={value}"]).version == value  # text, as a shell means it


@pytest.mark.parametrize(
    ("override", "find", "value"),
    [
        ("name=other", lambda c: c.name, "other"),
        ('name="quoted"', lambda c: c.name, "quoted"),
        ("description=two words = three", lambda c: c.description, "two words = three"),
        ("training.epochs=7", lambda c: c.training.epochs, 7),
        ("training.epochs = 7", lambda c: c.training.epochs, 7),
        ("optimiser.learning_rate=1e-3", lambda c: c.optimiser.learning_rate, 1e-3),
        ("model.encoder.bidirectional=false", lambda c: c.model.encoder.bidirectional, False),
        ("model.encoder.cell=gru", lambda c: c.model.encoder.cell, "gru"),
        ("data.columns=['token', 'pos', 'tag']", lambda c: c.data.columns, ("token", "pos", "tag")),
        ("data.train=['a', 'b']", lambda c: [s.path for s in c.data.train], ["a", "b"]),
        ("data.train=c.conll", lambda c: [s.path for s in c.data.train], ["c.conll"]),
        ("data.labels.person=PER", lambda c: c.data.labels, {"person": "PER"}),
        ("data.labels={x = 'Y'}", lambda c: c.data.labels, {"x": "Y"}),
    ],
)
def test_an_override_is_read_as_toml_or_else_as_text(write, override, find, value):
    assert find(load_config(write(), [override])) == value


def test_the_last_override_wins(write):
    config = load_config(write(), ["training.epochs=7", "training.epochs=8"])
    assert config.training.epochs == 8


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "--set epochs: say section.key=value"),
        ("=5", "--set =5: say section.key=value"),
        ("name.short=x", "--set name.short=x: name is no section"),
        ("training.epoch=5", "{path}: training.epoch: unknown key"),
        ("traning.epochs=5", "{path}: traning: unknown key"),
        (
            "training.epochs=many",
            "{path}: training.epochs: Input should be a valid integer (is 'many')",
        ),
    ],
)
def test_an_override_that_fits_nothing_is_refused(write, override, message):
    path = write()
    with pytest.raises(ConfigError) as caught:
        load_config(path, [override])
    assert str(caught.value) == message.format(path=path)


@pytest.mark.parametrize("root", ["$TAGBELT_TEST_ROOT/sub", "${TAGBELT_TEST_ROOT}/sub"])
def test_the_root_takes_in_environment_variables(monkeypatch, root):
    config = tiny_config({"data.root": root})
    monkeypatch.setenv("TAGBELT_TEST_ROOT", "/some$where")
    [(path, _)] = config.data.sources("train")
    assert path == Path("/some$where/sub/train.conll")
    monkeypatch.delenv("TAGBELT_TEST_ROOT")
    with pytest.raises(
        ConfigError,
        match=re.escape(f"data.root: {root!r}: set the environment variable TAGBELT_TEST_ROOT"),
    ):
        config.data.sources("train")


def test_a_file_has_its_own_settings_before_those_of_all():
    config = tiny_config(
        {
            "data.separator": "space",
            "data.scheme": "IOB1",
            "data.labels": {"a": "A"},
            "data.train": [
                "plain.txt",
                {"path": "own.tsv", "separator": "tab", "labels": {}, "repeat": 3},
            ],
        }
    )
    (plain_path, plain), (own_path, own) = config.data.sources("train")
    assert (plain_path.name, own_path.name) == ("plain.txt", "own.tsv")
    assert (plain.separator, plain.labels, plain.repeat) == ("space", {"a": "A"}, 1)
    assert (own.separator, own.labels, own.repeat) == ("tab", {}, 3)
    assert plain.scheme == own.scheme == Scheme.IOB1
    assert own.columns is None


def test_a_file_that_is_told_wrong_is_named():
    with pytest.raises(ConfigError) as caught:
        tiny_config({"data.train": ["a", {"path": "b", "seperator": "tab"}]})
    assert str(caught.value) == "tiny: data.train.1.seperator: unknown key"


def test_a_byte_order_mark_is_no_part_of_a_config(tmp_path):
    text = as_toml(ENGLISH)
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "plain.toml").write_bytes(text.encode())
    assert load_config(tmp_path / "bom.toml") == load_config(tmp_path / "plain.toml")

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.errors import ConfigError
from tagbelt.training.config import SearchSpace, load_config
from tagbelt.training.rundir import parse_saved
from tagbelt.training.search.space import own_values, search_space, tables, with_values
from tests.training.tiny import ENGLISH, merged, tiny_config

BARE = merged(ENGLISH, {"training": {}, "optimiser": {}, "model": {}})


def space_of(search, sentences=500, base=BARE):
    return search_space(tiny_config({"search": search}, base), sentences)


@pytest.mark.parametrize(
    ("sentences", "batches", "units"),
    [(40, (2, 4, 8), (50, 200)), (2000, (4, 8, 16), (100, 300)), (20000, (8, 16, 32), (100, 400))],
)
def test_the_default_space_follows_the_size_of_the_data(sentences, batches, units):
    space = space_of({}, sentences)
    assert space["training.batch_size"].choices == batches
    assert (space["model.encoder.hidden"].low, space["model.encoder.hidden"].high) == units
    assert space["optimiser.learning_rate"].log
    for key, entry in space.items():
        for value in entry.choices or (entry.low, entry.high):
            with_values(tiny_config({}, BARE), {key: value}, place=key)


def test_what_a_config_rules_out_is_not_in_the_default_space():
    config = {"characters": {"kind": "none"}, "encoder": {"attention_heads": 4}}
    space = space_of({}, base=merged(BARE, {"model": config}))
    assert not {"model.characters.dropout", "model.encoder.hidden"} & space.keys()
    peepholes = {"encoder": {"cell": "lstm-coupled", "peephole": True}}
    assert "model.encoder.cell" not in space_of({}, base=merged(BARE, {"model": peepholes}))
    sgd = space_of({}, base=merged(BARE, {"optimiser": {"name": "sgd"}}))
    assert sgd["optimiser.learning_rate"].high == 0.1


def test_entries_replace_the_default_ones_join_them_or_fix_a_setting():
    space = space_of(
        {
            "optimiser": {"learning_rate": {"low": 1, "high": 2}, "clip": [1.0, 5.0]},
            "model.encoder.cell": ["mgu"],
            "training": {"patience": {"low": 2, "high": 9, "step": 3}, "batch_size": 7},
        }
    )
    rate = space["optimiser.learning_rate"]
    assert (rate.low, rate.high, type(rate.low)) == (1.0, 2.0, float), "a rate is no whole number"
    assert space["optimiser.clip"].choices == (1.0, 5.0)
    assert space["model.encoder.cell"].choices == ("mgu",)
    assert space["training.batch_size"].choices == (7,)
    assert space["training.patience"].high == 8, "the last whole step"
    assert "model.encoder.dropout" in space


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"model.encoder.hiden": [1]}, "search.model.encoder.hiden: unknown key"),
        ({"model.encoder": [1]}, "search.model.encoder: unknown key"),
        ({"optimiser": {}}, "search.optimiser: say both low and high, or list the choices"),
        ({"training.seed": [1, 2]}, "search.training.seed: a search does not choose it"),
        ({"data.unit": ["word"]}, "search.data.unit: a search does not choose it"),
        ({"optimiser.clip": []}, "search.optimiser.clip: no choices"),
        ({"optimiser.clip": [1.0, 1.0]}, "search.optimiser.clip: a choice stands there twice"),
        ({"optimiser.clip": {"low": 2.0, "high": 1.0}}, "search.optimiser.clip: empty range"),
        ({"optimiser.clip": {"low": 2.0, "high": 2.0}}, "search.optimiser.clip: empty range"),
        ({"optimiser.clip": {"low": 2.0}}, "search.optimiser.clip: say both low and high"),
        ({"optimiser.clip": {"low": 0.0, "high": 1.0, "log": True}}, "clip: log needs a low above"),
        ({"optimiser.clip": {"low": 1.0, "hihg": 2.0}}, "search.optimiser.clip.hihg: unknown key"),
        ({"optimiser.clip": {"low": -1.0, "high": 2.0}}, "search.optimiser.clip: optimiser.clip"),
        ({"optimiser.clip": {"low": 1, "high": 2, "step": 1}}, "clip: step is for whole numbers"),
        ({"model.encoder.cell": {"low": 1, "high": 2}}, "search.model.encoder.cell: not a number"),
        ({"model.encoder.cell": ["lstm", "gruu"]}, "search.model.encoder.cell: model.encoder.cell"),
        ({"training.patience": {"low": 1.5, "high": 2.5}}, "patience: whole numbers alone"),
        ({"training.patience": {"low": 1, "high": 3, "step": 5}}, "patience: empty range"),
    ],
)
def test_a_bad_entry_is_refused_by_its_key(search, message):
    with pytest.raises(ConfigError) as raised:
        space_of(search)
    assert message in str(raised.value)


def test_the_table_is_no_part_of_a_run(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "a"\ndata = { train = "a", dev = "b" }\n'
        "[search]\noptimiser.learning_rate = { low = 0.001, high = 0.01, log = true }\n"
        "training.batch_size = [4, 8]\n",
        encoding="utf-8",
    )
    config = load_config(path, ["search.model.encoder.layers=[1, 2]"])
    assert config.search == {
        "optimiser.learning_rate": SearchSpace(low=0.001, high=0.01, log=True),
        "training.batch_size": SearchSpace(choices=(4, 8)),
        "model.encoder.layers": SearchSpace(choices=(1, 2)),
    }
    assert parse_saved(config.model_dump(mode="json"), place="a").search == {}
    assert tables(config) == {
        "name": "a",
        "data": {"train": [{"path": "a"}], "dev": [{"path": "b"}]},
    }


@given(st.floats(0.0, 1.0), st.integers(1, 300))
def test_own_values_are_those_that_the_space_holds(dropout, units):
    changes = {"model.encoder.dropout": dropout * 0.99, "model.encoder.hidden": units}
    config = tiny_config(changes)
    own = own_values(config, search_space(config, 10))
    assert ("model.encoder.dropout" in own) == (0.1 <= dropout * 0.99 <= 0.6)
    assert ("model.encoder.hidden" in own) == (units in range(50, 201, 50))

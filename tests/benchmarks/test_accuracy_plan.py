"""The plan of the accuracy page: every row can be trained, and changes what it says."""

import shlex

import pytest

from benchmarks.accuracy.plan import Entry, PlanError, read_plan
from benchmarks.common.machine import ROOT
from tagbelt.training.config import load_config
from tagbelt.training.rundir import differences

PLAN = read_plan()

SMALL = """
[[rows]]
name = "a"
group = "main"
set = "A"
config = "a.toml"

[[series]]
name = "s"
group = "cells"
set = "A"
config = "a.toml"
overrides = ["training.epochs=1"]
base = "s-plain"
changes = ["plain", "gru"]

[changes]
plain = { what = "plain" }
gru = { what = "gru", overrides = ["model.encoder.cell=gru"] }

[published]
A = [{ who = "B", f1 = 90.0 }]
"""


def written(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("entry", PLAN.entries, ids=lambda entry: entry.name)
def test_every_row_is_a_config_that_differs_from_its_base(entry):
    path = ROOT / entry.config
    if not path.exists():
        pytest.skip(f"no {entry.config}")
    config = load_config(path, entry.overrides)
    if entry.base:
        base = PLAN.by_name[entry.base]
        assert differences(load_config(ROOT / base.config, base.overrides), config, but=set())
    assert config.data.test or entry.split == "dev"


def test_a_series_is_its_preset_changed_in_one_way_at_a_time(tmp_path):
    plan = read_plan(written(tmp_path, SMALL))
    a, plain, gru = plan.entries
    assert (a.name, a.base, a.seeds) == ("a", "", 5)
    assert (plain.name, plain.base, plain.overrides) == ("s-plain", "", ("training.epochs=1",))
    assert (gru.name, gru.base) == ("s-gru", "s-plain")
    assert gru.overrides == ("training.epochs=1", "model.encoder.cell=gru")
    assert plan.pairs(plain) == plan.pairs(gru) == [gru]
    assert plan.pairs(a) == []
    (other,) = plan.published
    assert (other.set, other.who, other.f1, other.recalled) == ("A", "B", 90.0, False)


def test_a_command_is_one_that_a_shell_reads_so():
    override = 'data.gazetteers=[{package="jieba"}]'
    entry = Entry("n", "g", "s", "configs/a.toml", overrides=(override,), seeds=3)
    words = shlex.split(entry.command)
    assert words == ["tagbelt", "train", "configs/a.toml", "--set", override, "--seeds", "3"]


def test_rows_are_chosen_by_name_group_or_pattern(tmp_path):
    plan = read_plan(written(tmp_path, SMALL))
    named = {
        patterns: [entry.name for entry in plan.chosen(patterns)]
        for patterns in ((), ("cells",), ("s-g*", "a"))
    }
    assert named == {
        (): ["a", "s-plain", "s-gru"],
        ("cells",): ["s-plain", "s-gru"],
        ("s-g*", "a"): ["a", "s-gru"],
    }
    with pytest.raises(PlanError, match="--rows b"):
        plan.chosen(["a", "b"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[published]", "[publshed]", "unknown table publshed"),
        ('config = "a.toml"\n\n', 'confg = "a.toml"\n\n', "confg"),
        ('name = "a"', 'name = "s-gru"', "two rows of one name: s-gru"),
        ('base = "s-plain"', 'base = "t"', "s-plain: its base is no row: t"),
        ('["plain", "gru"]', '["plain", "lstm"]', "s: no such change: lstm"),
    ],
)
def test_a_plan_that_is_wrong_is_refused(tmp_path, old, new, message):
    assert SMALL.count(old) == 1
    with pytest.raises(PlanError, match=message):
        read_plan(written(tmp_path, SMALL.replace(old, new)))

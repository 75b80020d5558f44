"""`tagbelt search`; what the search itself does: tests/training/search."""

import sys

import pytest

from tests.training.tiny import ENGLISH, as_toml, merged

SMALL = {"training.epochs": 1, "search": {"model": {"encoder": {"cell": "lstm", "hidden": 8}}}}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(as_toml(merged(ENGLISH, SMALL)), encoding="utf-8")
    return path


def test_a_search_ends_in_a_config_and_a_page(cli, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("search", config, "--trials", 1)
    out = "runs/tiny-search"
    assert (done.code, done.out) == (0, "")
    assert "trial 0: optimiser.learning_rate " in done.err
    assert "trial 0 finished: dev F1 " in done.err
    assert f"train it with `tagbelt train {out}/best.toml`" in done.err
    assert done.err.endswith(f"\npage: {out}/search.html\n")
    assert (tmp_path / out / "search.html").exists()
    assert cli("train", f"{out}/best.toml", "--out", "best").code == 0
    again = cli("search", config, "--minutes", 0)
    assert "Trials: 1 finished, 0 pruned, 0 failed, 0 under way. Best: trial 0" in again.err


def test_a_space_that_can_not_be_searched_is_told(cli, config, tmp_path):
    bad = "search.optimiser.clip={low = 2.0, high = 1.0}"
    done = cli("search", config, "--set", bad, "--out", tmp_path / "out")
    assert done.code == 1
    assert done.err.startswith(f"tagbelt search: {config}: search.optimiser.clip: empty range")
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_remedy_is_told(cli, config, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("tagbelt.training.search.study", "tagbelt.commands.search_view")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = cli("search", config)
    assert done.code == 1
    assert done.err == ("tagbelt search: optuna is not installed: pip install 'tagbelt[search]'\n")

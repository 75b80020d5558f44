import json
import sys

import pytest

from tagbelt.training.scores.evaluate import render
from tests.training.tiny import EXAMPLES

TRAIN = EXAMPLES / "train.conll"


@pytest.fixture
def evaluate(cli, checkpoint):
    def run(*arguments):
        return cli("evaluate", checkpoint, *arguments, "--threads", 1)

    return run


def test_scores_as_json(evaluate):
    done = evaluate(TRAIN, "--json")
    assert (done.code, done.err) == (0, "")
    scores = json.loads(done.out)
    assert list(scores) == ["strict", "default"]
    for mode, found in scores.items():
        assert found["mode"] == mode
        assert found["scheme"] == "IOB2"
        assert found["tool"].startswith("seqeval ")
        assert set(found["types"]) == {"PER", "LOC", "ORG"}
        assert found["micro"]["support"] == 64
        assert found["micro"]["f1"] > 0.95


def test_scores_as_a_table(evaluate, tmp_path):
    file = tmp_path / "in.conll"
    file.write_text("Mara\tB-PER\nEllison\tI-PER\nowns\tO\n\nTarn\tB-LOC\n", encoding="utf-8")
    lines = evaluate(file).out.splitlines()
    assert lines[1].split() == ["precision", "recall", "F1", "entities"]
    assert lines[3] == "  PER              100.00  100.00  100.00         1"
    titles = [line.split(",")[0] for line in lines if "mode" in line]
    assert titles == ["strict and default mode alike"]


def test_two_tables_where_the_modes_differ():
    row = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    one = {"tool": "seqeval", "scheme": "IOB2", "micro": row, "types": {"PER": row}}
    reports = {"strict": one, "default": {**one, "micro": {**row, "f1": 0.5}}}
    titles = [line.split(",")[0] for line in render(reports).splitlines() if "mode" in line]
    assert titles == ["strict mode", "default mode"]


def test_tags_of_another_style_score_alike(evaluate, tmp_path):
    file = tmp_path / "in.conll"
    text = TRAIN.read_text("utf-8")
    file.write_text(text.replace("B-", "B_").replace("I-", "I_"), encoding="utf-8")
    styled = evaluate(file, "--tag-style", "underscore", "--json")
    assert json.loads(styled.out) == json.loads(evaluate(TRAIN, "--json").out)


def test_types_that_the_file_does_not_speak_of_are_not_counted(evaluate, tmp_path):
    file = tmp_path / "in.conll"
    file.write_text("Mara\tB-PER\nEllison\tI-PER\nleft\tO\nTarn\tO\n", encoding="utf-8")
    every, persons = (
        json.loads(evaluate(file, "--json", *options).out)["strict"]
        for options in ([], ["--annotates", "PER,ORG"])
    )
    assert set(every["types"]) == {"LOC", "PER"}
    assert set(persons["types"]) == {"PER"}
    assert persons["micro"]["precision"] == 1.0 > every["micro"]["precision"]
    refused = evaluate(file, "--annotates", "LOC")
    assert refused.code == 1
    assert f"{file}:1: an entity of type PER, which `annotates` of the file does not" in refused.err


def test_each_precision(evaluate):
    for precision in ("float32", "int8"):
        assert evaluate(TRAIN, "--precision", precision).code == 0


def test_invalid_tags_are_an_error_unless_repaired(evaluate, tmp_path):
    file = tmp_path / "in.conll"
    file.write_text("Mara B-PER\nEllison I-PER\nof O\nTarn I-LOC\n", encoding="utf-8")
    refused = evaluate(file, "--scheme", "IOB2")
    assert refused.code == 1
    assert refused.err.startswith(f"tagbelt evaluate: {file}:4: ")
    done = evaluate(file, "--scheme", "IOB2", "--repair", "--json")
    assert json.loads(done.out)["strict"]["micro"]["support"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.conll"], "tagbelt evaluate: [Errno 2] No such file or directory: 'none.conll'"),
        (
            [TRAIN, "--scheme", "BIO"],
            "tagbelt evaluate: options: scheme: Input should be 'IO', 'IOB1', 'IOB2', 'BMES',"
            " 'BIOES' or 'BILUO' (is 'BIO')",
        ),
        (
            [TRAIN, "--separator", "comma"],
            "tagbelt evaluate: options: separator: Input should be 'whitespace', 'tab' or 'space'"
            " (is 'comma')",
        ),
        (
            [TRAIN, "--columns", "token,pos"],
            "tagbelt evaluate: options: columns must name 'token' and 'tag' once each, not"
            " ['token', 'pos']",
        ),
    ],
)
def test_what_can_not_be_done_is_one_line(evaluate, arguments, message):
    done = evaluate(*arguments)
    assert (done.code, done.out, done.err) == (1, "", message + "\n")


def test_no_checkpoint_is_one_line(cli, tmp_path):
    done = cli("evaluate", tmp_path, TRAIN)
    assert done.code == 1
    assert (
        done.err == f"tagbelt evaluate: {tmp_path}: no checkpoint here (config.json is missing)\n"
    )


def test_without_seqeval_the_remedy_is_told(evaluate, monkeypatch):
    monkeypatch.setitem(sys.modules, "seqeval.metrics", None)
    done = evaluate(TRAIN)
    assert done.code == 1
    assert done.err == (
        "tagbelt evaluate: seqeval is not installed: run `make setup`, or "
        "pip install 'tagbelt[train]'\n"
    )


@pytest.fixture
def plain(tmp_path):
    file = tmp_path / "plain.conll"
    file.write_text("nothing\tO\nof\tO\nnote\tO\n", encoding="utf-8")
    return file


def test_no_entity_anywhere_is_a_table_of_zeros(evaluate, plain):
    done = evaluate(plain)
    assert (done.code, done.err) == (0, "")
    assert "all (micro)" in done.out


def test_a_file_without_a_sentence_is_refused(evaluate, tmp_path):
    for text in ("", "\n\n"):
        (tmp_path / "empty.conll").write_text(text, encoding="utf-8")
        done = evaluate(tmp_path / "empty.conll")
        assert (done.code, "holds no sentence" in done.err) == (1, True)


def test_labels_that_the_model_lacks_are_told_and_can_be_renamed(evaluate, tmp_path):
    file = tmp_path / "other.conll"
    file.write_text("Mara\tB-PERSON\nowns\tO\nTarn\tB-LOC\n", encoding="utf-8")
    done = evaluate(file, "--json")
    assert done.code == 0
    assert "misses them all: PERSON; it has LOC, ORG, PER" in done.err
    renamed = evaluate(file, "--json", "--label", "PERSON=PER", "--label", "LOC=")
    assert renamed.err == ""
    assert set(json.loads(renamed.out)["strict"]["types"]) >= {"PER"}
    assert (
        "no label PERSN to rename; it has LOC, PERSON" in evaluate(file, "--label", "PERSN=P").err
    )
    assert "say OTHER=ITS" in evaluate(file, "--label", "PERSON").err


def test_a_run_stands_for_its_checkpoint(cli, checkpoint, plain, tmp_path):
    run = checkpoint.parent
    assert cli("evaluate", run, plain).out == cli("evaluate", checkpoint, plain).out
    assert cli("tag", "--model", run, plain).code == 0
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((run / "config.json").read_bytes())
    assert "a training run that has no checkpoint yet" in cli("evaluate", begun, plain).err

"""`tagbelt data check` and `stats`, called as the commands are."""

import json
import sys

import pytest
import typer.main

from tagbelt.commands.data import app

GOOD = "Ada\tB-PER\nLovelace\tI-PER\nsleeps\tO\n\nTurin\tB-LOC\nsleeps\tO\n"
BAD = "Turin\tB-LOC\nsleeps\tO\n\nsleeps\tO\nAda\tI-PER\n\n" + "Oslo\tB-LOC\nand\tO\n" * 12


@pytest.fixture
def files(tmp_path):
    for name, text in (("train.conll", GOOD), ("dev.conll", BAD)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / "train.conll", tmp_path / "dev.conll"


def test_check_tells_each_finding_with_its_place(cli, files):
    train, dev = files
    done = cli("data", "check", *files)
    assert done.code == 1
    assert f"{train}: 2 sentences, 5 tokens, 2 entities (PER 1, LOC 1), IOB2\n" in done.out
    assert (
        f"\nerror invalid-transition (1): tags that are not valid where they stand\n  {dev}:5: 'I-"
        in done.out
    )
    assert f"  {dev}:1: as in {train}:5: 'Turin sleeps'\n" in done.out
    assert done.out.endswith("\n1 error, 3 warnings, 0 notes\n")


def test_the_exit_code_of_check(cli, files):
    train, dev = files
    assert cli("data", "check", train).code == 0
    assert cli("data", "check", train, "--strict").code == 1
    assert cli("data", "check", train, "--strict", "--rare", "1").code == 0
    assert cli("data", "check", dev).code == 1
    assert cli("data", "check", train.with_name("nothing")).code == 1


def test_check_as_json(cli, files):
    done = cli("data", "check", *files, "--json", "--rare", "0")
    found = json.loads(done.out)
    assert [file["labels"] for file in found["files"]] == [
        {"PER": 1, "LOC": 1},
        {"LOC": 13, "PER": 1},
    ]
    assert (found["errors"], found["warnings"], found["notes"]) == (1, 1, 0)
    place = found["findings"][0]["examples"][0]
    assert (place["path"], place["line"]) == (str(files[1]), 5)


def test_stats_as_a_table_and_as_json(cli, files):
    rows = [line.split() for line in cli("data", "stats", *files).out.splitlines()]
    assert rows[0] == ["file", *map(str, files)]
    assert ["LOC", "1", "13"] in rows
    assert ["unseen", "entities", "-", "92.9%"] in rows
    assert ["faulty", "rows", "or", "tags", "0", "1"] in rows
    train, dev = json.loads(cli("data", "stats", *files, "--json").out)
    assert (train["tokens"], dev["tokens"]) == (5, 28)
    assert dev["unseen_entities"] == pytest.approx(13 / 14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--columns", "a,b"], "--columns names token once and tag once"),
        (["--separator", "comma"], "--separator is one of guess, whitespace, tab, space"),
        (["--columns", "token,pos,tag"], ":1: expected 3 columns, found 2"),
    ],
)
def test_what_cannot_be_is_one_line(cli, files, arguments, message):
    done = cli("data", "stats", files[0], *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("tagbelt data stats: ")
    assert message in done.err


def test_convert_there_and_back(cli, files, tmp_path):
    middle, back = tmp_path / "a.jsonl", tmp_path / "b.conll"
    done = cli("data", "convert", files[0], middle, "--to", "doccano")
    assert (done.code, done.out) == (0, f"{middle}: 2 texts or sentences, 2 entities\n")
    first = json.loads(middle.read_text(encoding="utf-8").splitlines()[0])
    assert first["text"] == "Ada Lovelace sleeps"
    assert first["label"] == [[0, 12, "PER"]]
    assert cli("data", "convert", middle, back).code == 0
    assert back.read_text(encoding="utf-8").strip() == GOOD.strip()


def test_convert_writes_nothing_that_loses_something_unless_told(cli, tmp_path):
    source, target = tmp_path / "a.jsonl", tmp_path / "b.conll"
    spans = [[0, 3, "PER"], [0, 2, "PER"]]
    source.write_text(json.dumps({"text": "Ada", "label": spans}), encoding="utf-8")
    done = cli("data", "convert", source, target)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "misaligned (1): entities that begin or end inside a token\n"
        f"  {source}:1: PER 'Ad' at 0 to 2 "
    )
    assert not target.exists()
    done = cli("data", "convert", source, target, "--allow-loss")
    assert done.code == 0
    assert done.out == f"{target}: 1 texts or sentences, 2 entities, not carried over: 1\n"
    assert target.read_text(encoding="utf-8") == "Ada\tB-PER\n\n"


def test_convert_refuses_invalid_tags_unless_told(cli, files, tmp_path):
    target = tmp_path / "c.conll"
    done = cli("data", "convert", files[1], target)
    assert done.code == 1
    assert f"{files[1]}:5: 'I-PER'" in done.err
    assert "--repair takes it so" in done.err
    assert cli("data", "convert", files[1], target, "--repair", "--to-scheme", "BIOES").code == 0
    assert "\nAda\tS-PER\n" in target.read_text(encoding="utf-8")


def test_convert_chooses_columns(cli, tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "b.conll"
    source.write_text("0 Ada B-PER\n1 slept O\n", encoding="utf-8")
    names = ["--columns", "index,token,tag", "--to-columns", "token,tag", "--to-separator", "space"]
    assert cli("data", "convert", source, target, *names).code == 0
    assert target.read_text(encoding="utf-8") == "Ada B-PER\nslept O\n"
    done = cli("data", "convert", source, target, "--to-columns", "pos")
    assert "--columns does not name 'pos' once" in done.err


def test_split(cli, tmp_path):
    source, out = tmp_path / "all.conll", tmp_path / "parts"
    documents = [f"-DOCSTART- O\n\nw{n} B-PER\nsleeps O\n\nAgain O\nw{n} O\n\n" for n in range(10)]
    source.write_text("".join(documents), encoding="utf-8")
    done = cli("data", "split", source, "--out", out, "--seed", "3")
    assert done.out.splitlines() == [
        f"{out}/train.conll: 8 documents, 16 sentences",
        f"{out}/dev.conll: 1 documents, 2 sentences",
        f"{out}/test.conll: 1 documents, 2 sentences",
    ]
    written = "".join(p.read_text(encoding="utf-8") for p in sorted(out.iterdir()))
    assert all(document in written for document in documents)
    again = cli("data", "split", source, "--out", out)
    assert (again.code, "is there already" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "a,b"], "--parts is numbers"),
        (["--parts", "1"], "two or more numbers"),
        (["--names", "a,b"], "3 different names"),
        (["--names", "a,b,../c"], "3 different names"),
    ],
)
def test_a_split_that_cannot_be(cli, files, tmp_path, arguments, message):
    done = cli("data", "split", files[0], "--out", tmp_path / "parts", *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert not [*tmp_path.glob("parts/*")]


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("command", ["check", "stats", "convert", "split", "get"])
def test_every_option_is_explained(command):
    assert COMMANDS[command].help
    for option in COMMANDS[command].params:
        assert option.help.endswith("."), option.name


def test_a_scheme_that_is_none(cli, files):
    done = cli("data", "check", files[0], "--scheme", "BIO")
    assert (done.code, done.out) == (1, "")
    assert "one of IO, IOB1, IOB2, BMES, BIOES, BILUO, not 'BIO'" in done.err


@pytest.mark.parametrize("text", ["", "\n\n", "# newdoc\n", "-DOCSTART- O\n\n"])
@pytest.mark.parametrize("command", ["split", "check", "stats", "convert"])
def test_a_file_without_a_sentence_is_no_traceback(cli, tmp_path, command, text):
    file = tmp_path / "empty.conll"
    file.write_text(text, encoding="utf-8")
    more = {"split": ["--out", tmp_path / "parts"], "convert": [tmp_path / "out.conll"]}
    done = cli("data", command, file, *more.get(command, []))
    if command == "split":
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert not (tmp_path / "parts").exists()


def test_convert_leaves_out_what_nobody_annotated_and_says_so(cli, tmp_path):
    source, target = tmp_path / "a.json", tmp_path / "b.conll"
    result = [{"type": "labels", "value": {"start": 0, "end": 4, "labels": ["PER"]}}]
    done_task = {"data": {"text": "Ada left"}, "annotations": [{"result": result}]}
    open_task = {"data": {"text": "Bob left"}, "annotations": []}
    source.write_text(json.dumps([open_task, done_task]), encoding="utf-8")
    done = cli("data", "convert", source, target)
    assert done.code == 0
    assert target.read_text(encoding="utf-8") == "Ada\tB-PER\nleft\tO\n\n"
    assert f"nobody annotated them\n  {source}: task 1: it has no annotation\n" in done.err
    assert "trimmed (1)" in done.err
    assert done.out.endswith("1 entities, texts left out that nobody annotated: 1\n")


def test_convert_aligns_as_asked(cli, tmp_path):
    source, target = tmp_path / "a.jsonl", tmp_path / "b.conll"
    source.write_text('{"text": "Ada left", "label": [[0, 2, "PER"]]}', encoding="utf-8")
    assert cli("data", "convert", source, target).code == 1
    done = cli("data", "convert", source, target, "--align", "expand")
    assert (done.code, "PER 'Ad' becomes 'Ada'" in done.err) == (0, True)


def test_convert_does_not_write_over_its_source(cli, files, tmp_path):
    link = tmp_path / "link.conll"
    link.symlink_to(files[0])
    (tmp_path / "a.txt").write_text("Ada", encoding="utf-8")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3\tAda\n", encoding="utf-8")
    pairs = [(files[0], files[0]), (files[0], link), (tmp_path / "a.ann", tmp_path / "a.txt")]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for source, target in pairs:
        done = cli("data", "convert", source, target, "--to-scheme", "BIOES")
        assert (done.code, "is the source itself" in done.err) == (1, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_without_spacy_the_package_is_named(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy.tokens", None)
    (tmp_path / "a.spacy").write_bytes(b"")
    done = cli("data", "convert", tmp_path / "a.spacy", tmp_path / "a.conll")
    assert done.code == 1
    assert "tagbelt[spacy]" in done.err


def test_convert_and_check_read_tags_in_the_style_that_is_stated(cli, tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "b.conll"
    source.write_text("Ada\tB_PER\nLovelace\tI_PER\nslept\tO\n", encoding="utf-8")
    done = cli("data", "convert", source, target)
    assert done.code == 1
    assert f"{source}:1: 'B_PER' is not a tag" in done.err
    assert "--tag-style underscore" in done.err
    assert cli("data", "check", source, "--tag-style", "underscore").code == 0
    assert cli("data", "convert", source, target, "--tag-style", "underscore").code == 0
    assert target.read_text("utf-8") == "Ada\tB-PER\nLovelace\tI-PER\nslept\tO\n"

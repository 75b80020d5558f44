"""`tagbelt data check` and `stats`, called as the commands are."""

import json

import pytest

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

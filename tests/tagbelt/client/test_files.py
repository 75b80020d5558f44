"""Files in, files out, as the command writes them."""

import json

import httpx
import pytest

from tagbelt.client import ConnectionFailedError, FileCounts, InvalidRequestError
from tests.service.live import serving
from tests.tagbelt.client.scripted import CLIENTS, scripted, tagged


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def spans(record):
    return [(e["label"], e["start"], e["end"], e["text"]) for e in record["entities"]]


def test_text(client, tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_bytes("\ufeffToyota\r\n\n李明 in Nagoya\n".encode() + b"\xff\n" + b"a\n" * 30)
    assert client.tag_file(source, str(target)) == FileCounts(items=33, failed=1, entities=3)
    found = lines(target)
    assert len(found) == 34
    assert (found[0]["text"], spans(found[0])) == ("Toyota", [("ORG", 0, 6, "Toyota")])
    assert found[1] == {"text": "", "entities": []}
    assert spans(found[2]) == [("PER", 0, 2, "李明"), ("LOC", 6, 12, "Nagoya")]
    assert found[3] == {"error": f"{source}:4: not UTF-8: byte 0xff at 0"}


def test_json_lines(client, tmp_path):
    source, target = tmp_path / "in.ndjson", tmp_path / "out.NDJSON"
    source.write_text('{"id": 7, "text": "Toyota"}\n\n{"id": 8}\n{"text": "a"}\n', "utf-8")
    counts = client.tag_file(source, target, labels=["ORG"], min_score=0.1)
    assert counts == FileCounts(items=2, failed=1, entities=1)
    first, second, third = lines(target)
    assert (first["id"], spans(first)) == (7, [("ORG", 0, 6, "Toyota")])
    fault = f"{source}:3: field 'text': expected a string, found nothing"
    assert second == {"id": 8, "error": fault}
    assert third["entities"] == []


CONLL = "Toyota B-PER\nin O\nNagoya O\n\n李明 O\n\n"


def test_conll_to_conll(client, tmp_path):
    source, target = tmp_path / "in.conll", tmp_path / "out.bio"
    source.write_text(CONLL, encoding="utf-8")
    assert client.tag_file(source, target) == FileCounts(items=2, failed=0, entities=3)
    assert target.read_text("utf-8") == "Toyota\tB-ORG\nin\tO\nNagoya\tB-LOC\n\n李明\tB-PER\n\n"


def test_conll_to_json_lines(client, tmp_path):
    source, target = tmp_path / "in.conll", tmp_path / "out.jsonl"
    source.write_text(CONLL, encoding="utf-8")
    client.tag_file(source, target)
    first, second = lines(target)
    assert (first["tokens"], first["tags"]) == (["Toyota", "in", "Nagoya"], ["B-ORG", "O", "B-LOC"])
    assert spans(second) == [("PER", 0, 1, "李明")]


def test_an_item_that_the_server_refuses_leaves_its_error(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("Toyota\n" + "a" * 60 + "\nb\n", encoding="utf-8")
    with serving(max_characters=50) as url:
        for make in CLIENTS.values():
            with make(base_url=url) as client:
                counts = client.tag_file(source, tmp_path / "out.jsonl")
            assert counts == FileCounts(items=2, failed=1, entities=1)
            error = lines(tmp_path / "out.jsonl")[1]["error"]
            assert error.startswith(f"{source}: item 2: this item has 60 characters and the limit")


def test_conll_has_no_place_for_an_error(tmp_path):
    source, target = tmp_path / "in.conll", tmp_path / "out.conll"
    source.write_text("a O\n\n" + "b" * 60 + " O\n\n", encoding="utf-8")
    with serving(max_characters=50) as url:
        for make in CLIENTS.values():
            with make(base_url=url) as client, pytest.raises(InvalidRequestError, match="limit"):
                client.tag_file(source, target)
            assert list(tmp_path.iterdir()) == [source]


def test_what_was_there_stays_until_all_is_done(kind, tmp_path):
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("a\nb\n", encoding="utf-8")
    target.write_text("before", encoding="utf-8")
    broken = [tagged(), httpx.ReadError("reset")]
    client, _, _ = scripted(kind, broken, max_items=1, retries=0)
    with client, pytest.raises(ConnectionFailedError):
        client.tag_file(source, target)
    assert target.read_text("utf-8") == "before"
    client, _, _ = scripted(kind, [tagged(2)])
    with client:
        client.tag_file(source, target)
    assert len(lines(target)) == 2
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_a_file_may_take_its_own_place(client, tmp_path):
    path = tmp_path / "both.jsonl"
    path.write_text('{"text": "Toyota"}\n' * 20, encoding="utf-8")
    assert client.tag_file(path, path).entities == 20
    assert client.tag_file(path, path).entities == 20


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a.csv", "b.jsonl", r"a\.csv: the suffix must be one of \.txt, \.jsonl, "),
        ("a.txt", "b", r"b: the suffix must be one of"),
        ("a.txt", "b.txt", r"b\.txt: a\.txt can be tagged into JSON lines$"),
        ("a.jsonl", "b.conll", r"b\.conll: a\.jsonl can be tagged into JSON lines$"),
        ("a.conll", "b.txt", r"b\.txt: a\.conll can be tagged into JSON lines or CoNLL$"),
    ],
)
def test_suffixes_that_do_not_do(kind, tmp_path, source, target, message):
    (tmp_path / source).touch()
    client, _, _ = scripted(kind, [])
    with client, pytest.raises(ValueError, match=message):
        client.tag_file(tmp_path / source, tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == [source]


def test_what_makes_no_sense_for_a_file_is_refused(kind, tmp_path):
    (tmp_path / "a.txt").touch()
    client, _, _ = scripted(kind, [])
    with client:
        with pytest.raises(TypeError, match="no option is named 'n_best'"):
            client.tag_file(tmp_path / "a.txt", tmp_path / "b.jsonl", n_best=2)
        with pytest.raises(FileNotFoundError):
            client.tag_file(tmp_path / "none.txt", tmp_path / "b.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

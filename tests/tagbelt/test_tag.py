import gzip
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tagbelt.commands import tag as tagging
from tagbelt.commands.tag import OutputFormat, TagFileOptions, tag_files
from tagbelt.errors import InputError

ROOT = Path(__file__).parents[2]
LINES = "Mara Ellison moved to Port Anwick in May .\nNothing happened on Monday .\n"


@pytest.fixture
def tag(cli, checkpoint):
    def run(*arguments, input=None):
        raw = input.encode("utf-8") if isinstance(input, str) else input
        return cli("tag", "-m", checkpoint, "--threads", 1, *arguments, input=raw)

    return run


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return write


def entities(line):
    """Without scores, which are checked to be probabilities."""
    found = json.loads(line)["entities"]
    assert all(0 <= item.pop("score") <= 1 for item in found)
    return found


PERSON = {"label": "PER", "start": 0, "end": 12, "text": "Mara Ellison"}
PLACE = {"label": "LOC", "start": 22, "end": 33, "text": "Port Anwick"}


def test_text_to_json_lines(tag):
    done = tag(input=LINES)
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert json.loads(first)["text"] == LINES.splitlines()[0]
    assert entities(first) == [PERSON, PLACE]
    assert json.loads(second) == {"text": "Nothing happened on Monday .", "entities": []}


def test_text_to_conll(tag):
    assert tag("--to", "conll", input=LINES).out == (
        "Mara\tB-PER\nEllison\tI-PER\nmoved\tO\nto\tO\nPort\tB-LOC\nAnwick\tI-LOC\nin\tO\nMay\tO\n"
        ".\tO\n\nNothing\tO\nhappened\tO\non\tO\nMonday\tO\n.\tO\n\n"
    )


def test_text_to_view(tag):
    assert tag("--to", "view", input=LINES).out == (
        "Mara Ellison[PER] moved to Port Anwick[LOC] in May .\nNothing happened on Monday .\n"
    )


def test_json_lines_to_each_format(tag, file):
    path = file("in.jsonl", '{"id": 1, "text": "Mara Ellison owns a boat ."}\n')
    assert json.loads(tag(path).out)["id"] == 1
    assert entities(tag(path).out) == [PERSON]
    assert tag(path, "--to", "view").out == "Mara Ellison[PER] owns a boat .\n"
    assert tag(path, "--to", "conll").out.startswith("Mara\tB-PER\nEllison\tI-PER\nowns\tO\n")


CONLL = "Mara B-LOC\nEllison O\nowns O\na O\nboat O\n. O\n\nTrains O\nto O\nTarn O\nstop O\n. O\n"


def test_conll_to_each_format(tag, file):
    """The tags in the file are not looked at."""
    path = file("in.conll", CONLL)
    assert tag(path, "--to", "conll").out == (
        "Mara\tB-PER\nEllison\tI-PER\nowns\tO\na\tO\nboat\tO\n.\tO\n\n"
        "Trains\tO\nto\tO\nTarn\tB-LOC\nstop\tO\n.\tO\n\n"
    )
    first, second = tag(path).out.splitlines()
    assert json.loads(first)["tags"] == ["B-PER", "I-PER", "O", "O", "O", "O"]
    assert entities(second) == [{"label": "LOC", "start": 2, "end": 3, "text": "Tarn"}]
    assert tag(path, "--to", "view").out.splitlines()[1] == "Trains to Tarn[LOC] stop ."


@pytest.mark.parametrize("columns", ["index,token", "index,token,tag", "tag,token"])
def test_conll_columns_by_name(tag, columns):
    rows = "1\tTrains\tO\n2\tto\tO\n3\tTarn\tO\n"
    done = tag("--from", "conll", "--columns", columns, "--separator", "tab", input=rows)
    assert json.loads(done.out)["tokens"] == ["Trains", "to", "Tarn"]


def test_conll_of_tokens_alone_and_packed(tag, file):
    path = file("in.conll.gz", gzip.compress(b"Trains\nto\nTarn\nstop\n.\n"))
    assert json.loads(tag(path, "--from", "conll").out)["tags"][2] == "B-LOC"


def test_a_file_is_read_by_its_suffix_and_otherwise_as_said(tag, file):
    text = '{"text": "Trains to Tarn stop ."}\n'
    assert "entities" in json.loads(tag(file("in.ndjson", text)).out)
    assert json.loads(tag(file("in.log", text)).out)["text"] == text.strip()
    assert json.loads(tag(file("in.log", text), "--from", "jsonl").out)["text"][:6] == "Trains"
    assert "tokens" in json.loads(tag(file("in.BIO", "Tarn\n")).out)


def test_several_files_in_their_order(tag, file):
    done = tag(file("a.txt", "a"), "-", file("c.jsonl", '{"text": "c"}'), "-", input="b\n")
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["a", "b", "c"]


def test_lines_that_are_bad_are_told_and_all_others_tagged(tag, file):
    path = file("in.txt", b"Trains to Tarn stop .\ncaf\xe9\nNothing\n")
    done = tag(path)
    assert done.code == 1
    assert done.err == f"{path}:2: not UTF-8: byte 0xe9 at 3\n"
    first, second, third = map(json.loads, done.out.splitlines())
    assert len(first["entities"]) == 1
    assert second == {"error": f"{path}:2: not UTF-8: byte 0xe9 at 3"}
    assert third["text"] == "Nothing"


@pytest.mark.parametrize("target", ["jsonl", "conll", "view"])
def test_bad_json_lines_are_told_whatever_is_written(tag, target):
    lines = (
        '{"text": "Tarn"\n{"txt": "Tarn"}\n{"text": "\\udc00"}\n{"text": "Trains to Tarn stop ."}\n'
    )
    done = tag("--from", "jsonl", "--to", target, input=lines)
    assert done.code == 1
    assert done.err.splitlines() == [
        "<stdin>:1: not JSON: Expecting ',' delimiter at character 15",
        "<stdin>:2: field 'text': expected a string, found nothing",
        "<stdin>:3: field 'text': lone surrogate at character 0",
    ]
    assert "Tarn" in done.out


def test_a_bad_conll_file_is_named_with_its_line(tag, file):
    path = file("in.conll", "Trains O\nto\n")
    done = tag(path)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"tagbelt tag: {path}:2: expected 2 columns, found 1")
    assert len(done.err.splitlines()) == 1


def test_bad_conll_on_standard_input_is_named_too(process, checkpoint):
    done = process("tag", "-m", checkpoint, "--from", "conll", input=b"Trains O\nto\n")
    assert done.code == 1
    assert done.err.startswith("tagbelt tag: <stdin>:2: expected 2 columns, found 1")


def test_marks_and_line_ends_of_other_systems(tag, file):
    mark = "\ufeff"
    done = tag(file("in.txt", f"{mark}Mara Ellison owns a boat .\r\nNothing\r\n"))
    first, second = done.out.splitlines()
    assert entities(first) == [PERSON]
    assert json.loads(second)["text"] == "Nothing"
    assert tag(file("in.conll", f"{mark}Tarn O\r\n\r\nTarn O\r\n")).out.count("\n") == 2


def test_a_whole_file_is_one_text(tag, file):
    done = tag("--whole", file("in.txt", LINES))
    [line] = done.out.splitlines()
    assert json.loads(line)["text"] == LINES
    assert entities(line) == [PERSON, PLACE]
    refused = tag("--whole", file("in.jsonl", "{}"))
    assert refused.code == 1
    assert refused.err.endswith("in.jsonl is read as jsonl, not as text\n")


def test_the_text_may_stand_in_another_field(tag):
    done = tag("--from", "jsonl", "--field", "body", input='{"body": "Mara Ellison owns a boat ."}')
    assert entities(done.out) == [PERSON]


def test_nothing_in_gives_nothing_out(tag):
    for source in ("text", "jsonl", "conll"):
        done = tag("--from", source, input="")
        assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "tagbelt tag: [Errno 2] No such file or directory: 'none.txt'"),
        (["none.conll"], "tagbelt tag: [Errno 2] No such file or directory: 'none.conll'"),
        (["."], "tagbelt tag: [Errno 21] Is a directory: '.'"),
        (
            ["--separator", "comma", "-"],
            "tagbelt tag: --separator comma: say one of whitespace, tab, space",
        ),
        (
            ["--columns", "word,tag", "-"],
            "tagbelt tag: --columns word,tag: name one of them 'token'",
        ),
    ],
)
def test_what_can_not_be_done_is_one_line(tag, arguments, message):
    done = tag(*arguments, input="")
    assert (done.code, done.out, done.err) == (1, "", message + "\n")


def test_no_checkpoint_is_one_line(cli, tmp_path):
    done = cli("tag", "--model", tmp_path / "none", input=b"")
    assert done.code == 1
    assert done.err == (
        f"tagbelt tag: {tmp_path / 'none'}: no checkpoint here (config.json is missing)\n"
    )


def test_a_damaged_checkpoint_is_one_line(cli, checkpoint, tmp_path):
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "sequence.onnx").open("ab") as stream:
        stream.write(b"x")
    done = cli("tag", "-m", tmp_path, input=b"")
    assert done.err.startswith(f"tagbelt tag: {tmp_path / 'sequence.onnx'}: damaged")
    assert len(done.err.splitlines()) == 1


def test_without_a_bundled_model_it_is_said(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagbelt.data.checkpoint.finding._near_folders", list)
    done = cli("tag", input=b"")
    assert done.code == 1
    assert done.err == (
        "tagbelt tag: en: no such directory, and no model of this name: none; TAGBELT_MODELS may "
        "name a folder of models\n"
    )


def test_the_bundled_model_is_that_of_the_working_directory(cli, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "en").symlink_to(checkpoint)
    monkeypatch.chdir(tmp_path)
    assert "Port Anwick" in cli("tag", "--to", "view", input=LINES.encode("utf-8")).out


def test_texts_are_read_as_they_are_tagged(checkpoint, monkeypatch):
    """Memory stays flat: no line is read that is more than a block ahead of what is written."""
    monkeypatch.setattr(tagging, "BLOCK", 8)
    out = io.StringIO()
    ahead = []

    class Watched(io.BytesIO):
        def __next__(self):
            line = super().__next__()
            ahead.append(int(line.split()[0]) - out.getvalue().count("\n"))
            return line

    stream = Watched(b"".join(b"%d Tarn\n" % n for n in range(100)))
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream}))
    options = TagFileOptions(model=checkpoint, target=OutputFormat.jsonl, threads=1)
    assert tag_files([Path("-")], options, out, io.StringIO()) == 0
    assert out.getvalue().count("\n") == 100
    assert max(ahead) == 7


def test_options_are_checked_before_a_model_is_loaded(tmp_path):
    options = TagFileOptions(model=tmp_path / "none", target=OutputFormat.jsonl, separator="comma")
    with pytest.raises(InputError, match="--separator comma"):
        tag_files([], options, io.StringIO(), io.StringIO())


def test_a_reader_that_leaves_early_ends_it_quietly(checkpoint, tmp_path):
    many = tmp_path / "many.txt"
    many.write_text("Mara Ellison owns a boat .\n" * 20_000, encoding="utf-8")
    command = [sys.executable, "-m", "tagbelt", "tag", "-m", str(checkpoint), str(many)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert b"Mara" in process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""


def test_what_is_written_is_utf8_whatever_the_locale_says(process, checkpoint):
    text = "Mara Ellison \N{LATIN SMALL LETTER U WITH DIAERESIS}\N{WAVING HAND SIGN}\n"
    done = process("tag", "-m", checkpoint, input=text.encode("utf-8"), PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["text"] == text.strip()


def test_a_terminal_is_answered_line_by_line_and_in_colour(checkpoint):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tagbelt", "tag", "-m", str(checkpoint)]
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, env=environment
    ) as process:
        os.close(theirs)
        os.write(ours, b"Trains to Tarn stop .\n")
        seen = b""
        while b"[LOC]" not in seen:
            seen += os.read(ours, 1000)
        assert b"\x1b[32m" in seen
        os.write(ours, b"\x04")
        assert process.wait() == 0
    os.close(ours)


def test_a_packed_file_is_read_as_what_it_is(cli, checkpoint, tmp_path):
    plain = tmp_path / "in.jsonl"
    plain.write_text('{"text": "Mara Ellison left."}\n', encoding="utf-8")
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    done = [cli("tag", "--model", checkpoint, path) for path in (plain, packed)]
    assert done[0].code == 0
    assert done[0].out == done[1].out != ""

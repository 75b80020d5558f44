import io
import json

import pytest

from tagbelt.commands.documents import BadInput, InputText, writer_for
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.types import Entity
from tagbelt.inference import Annotation

TEXT = "Mara Ellison met Bo. He left Tarn."
ANNOTATION = Annotation(
    tokens=("Mara", "Ellison", "met", "Bo", ".", "He", "left", "Tarn", "."),
    starts=(0, 5, 13, 17, 19, 21, 24, 29, 33),
    tags=("B-PER", "I-PER", "O", "B-PER", "O", "O", "O", "B-LOC", "O"),
    entities=(
        Entity("PER", 0, 12, "Mara Ellison", 0.98765),
        Entity("PER", 17, 19, "Bo", 0.4),
        Entity("LOC", 29, 33, "Tarn", 0.5),
    ),
)
SENTENCE = Annotation(
    tokens=("in", "Port", "Anwick", "."),
    starts=(),
    tags=("O", "B-LOC", "I-LOC", "O"),
    entities=(Entity("LOC", 1, 3, "Port Anwick", 1.0),),
)


@pytest.fixture
def written():
    """What a writer makes of one thing: `written("jsonl", "document", ...)`."""

    def write(target, method, *arguments, out=None):
        out = out or io.StringIO()
        writer = writer_for(target, out, "word")
        getattr(writer, method)(*arguments)
        writer.flush()
        return out.getvalue()

    return write


def test_json_lines_of_a_text(written):
    assert written("jsonl", "document", InputText(TEXT), ANNOTATION) == (
        '{"text": "Mara Ellison met Bo. He left Tarn.", "entities": ['
        '{"label": "PER", "start": 0, "end": 12, "text": "Mara Ellison", "score": 0.9877}, '
        '{"label": "PER", "start": 17, "end": 19, "text": "Bo", "score": 0.4}, '
        '{"label": "LOC", "start": 29, "end": 33, "text": "Tarn", "score": 0.5}]}\n'
    )


def test_json_lines_keep_what_they_came_with(written):
    record = {"id": 7, "body": TEXT, "entities": "old", "nested": {"ü": [None, 1.5]}}
    line = written("jsonl", "document", InputText(TEXT, record), ANNOTATION)
    found = json.loads(line)
    assert list(found) == ["id", "body", "entities", "nested"]
    assert found["nested"] == record["nested"]
    assert len(found["entities"]) == 3
    assert "ü" in line


def test_lone_surrogates_that_are_passed_through_stay_writable(written):
    record = {"text": TEXT, "note": "\ud800", "ü": 1}
    line = written("jsonl", "document", InputText(TEXT, record), ANNOTATION)
    assert json.loads(line.encode("utf-8")) == {**json.loads(line), **record}


def test_json_lines_of_tokens_and_of_what_is_bad(written):
    assert written("jsonl", "sentence", SENTENCE) == (
        '{"tokens": ["in", "Port", "Anwick", "."], "tags": ["O", "B-LOC", "I-LOC", "O"], '
        '"entities": [{"label": "LOC", "start": 1, "end": 3, "text": "Port Anwick", '
        '"score": 1.0}]}\n'
    )
    assert written("jsonl", "bad", BadInput("in:3: not JSON")) == '{"error": "in:3: not JSON"}\n'


def test_conll_is_a_row_a_token_and_a_blank_line_a_sentence(written):
    assert written("conll", "document", InputText(TEXT), ANNOTATION) == (
        "Mara\tB-PER\nEllison\tI-PER\nmet\tO\nBo\tB-PER\n.\tO\n\n"
        "He\tO\nleft\tO\nTarn\tB-LOC\n.\tO\n\n"
    )
    assert written("conll", "sentence", SENTENCE) == "in\tO\nPort\tB-LOC\nAnwick\tI-LOC\n.\tO\n\n"
    assert written("conll", "bad", BadInput("in:3: not JSON")) == ""


def test_conll_reads_back(written, tmp_path):
    file = tmp_path / "out.conll"
    file.write_text(written("conll", "document", InputText(TEXT), ANNOTATION), encoding="utf-8")
    first, second = read_conll(file).sentences
    assert (*first.tokens, *second.tokens) == ANNOTATION.tokens


def test_the_view_without_colours(written):
    shown = written("view", "document", InputText(TEXT), ANNOTATION)
    assert shown == "Mara Ellison[PER] met Bo[PER?]. He left Tarn[LOC].\n"
    assert written("view", "sentence", SENTENCE) == "in Port Anwick[LOC] .\n"
    assert written("view", "bad", BadInput("in:3: not JSON")) == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_view_on_a_terminal_has_a_colour_a_type(written):
    shown = written("view", "document", InputText(TEXT), ANNOTATION, out=Terminal())
    cyan, green, end = "\x1b[36m", "\x1b[32m", "\x1b[0m"
    assert shown.startswith(f"{cyan}\x1b[1mMara Ellison{end}{cyan}[PER]{end} met ")
    assert f"{green}\x1b[1mTarn{end}{green}[LOC]{end}." in shown


def test_a_type_that_nobody_thought_of_has_a_colour_that_stays(written):
    entity = Entity("WORK_OF_ART", 0, 4, "Mara", 1.0)
    found = Annotation(("Mara",), (0,), ("B-WORK_OF_ART",), (entity,))
    shown = [written("view", "document", InputText("Mara"), found, out=Terminal()) for _ in "ab"]
    assert shown[0] == shown[1]
    assert "\x1b[3" in shown[0]

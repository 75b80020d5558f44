import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.commands.documents import BOM, BadInput, InputText, read_json_lines, read_text

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")))


def texts(raw, **options):
    return list(read_text("in.txt", io.BytesIO(raw), **options))


def records(raw, field="text"):
    return list(read_json_lines("in.jsonl", io.BytesIO(raw), field))


@given(TEXTS, st.sampled_from(["\n", "\r\n"]))
def test_each_line_is_a_text_as_it_stands(lines, end):
    raw = "".join(line + end for line in lines).encode("utf-8")
    expected = [line.removeprefix("\ufeff") if n == 0 else line for n, line in enumerate(lines)]
    assert texts(raw) == [InputText(line) for line in expected]


@given(TEXTS)
def test_each_object_is_a_text_and_is_passed_through(lines):
    objects = [{"id": n, "text": line} for n, line in enumerate(lines)]
    raw = "\n".join(map(json.dumps, objects)).encode("utf-8")
    assert records(raw) == [InputText(item["text"], item) for item in objects]


def test_a_field_may_lie_in_an_object_within():
    value = {"id": 1, "data": {"text": "Ada slept"}}
    assert records(json.dumps(value).encode(), "data.text") == [InputText("Ada slept", value)]
    whole = {"data.text": "so named", **value}
    assert records(json.dumps(whole).encode(), "data.text") == [InputText("so named", whole)]
    for bad, found in (({"data": {}}, "nothing"), ({"data": "x"}, "nothing"), ({}, "nothing")):
        message = f"in.jsonl:1: field 'data.text': expected a string, found {found}"
        assert records(json.dumps(bad).encode(), "data.text") == [BadInput(message, bad)]
    message = "in.jsonl:1: field 'data.text': expected a string, found a number"
    bad = {"data": {"text": 1}}
    assert records(json.dumps(bad).encode(), "data.text") == [BadInput(message, bad)]


@given(st.binary(max_size=200).filter(lambda raw: raw[:1] != BOM[:1]))
def test_no_bytes_are_too_strange(raw):
    assert len(texts(raw)) == len(io.BytesIO(raw).readlines())
    assert len(records(raw)) == sum(bool(line.strip()) for line in io.BytesIO(raw))


def test_a_last_line_needs_no_end_and_a_blank_one_is_a_text():
    assert texts(b"a\n\n b") == [InputText("a"), InputText(""), InputText(" b")]
    assert texts(b"") == []


def test_a_byte_order_mark_is_no_part_of_the_text():
    mark = b"\xef\xbb\xbf"
    assert texts(mark + b"a\n" + mark + b"b") == [InputText("a"), InputText("\ufeffb")]
    assert texts(mark + b"a", whole=True) == [InputText("a")]
    assert records(mark + b'{"text": "a"}')[0].text == "a"


def test_a_whole_file_keeps_its_line_ends():
    assert texts(b"a\r\nb\n", whole=True) == [InputText("a\r\nb\n")]


def test_other_unicode_line_breaks_end_no_line():
    text = "a\u2028b\x0bc\x85d"
    assert texts(text.encode("utf-8")) == [InputText(text)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "a\xff"}', "not UTF-8: byte 0xff at 11"),
        (b'{"text": ', "not JSON: Expecting value at character 9"),
        (b"[1]", "expected a JSON object, found an array"),
        (b'"text"', "expected a JSON object, found a string"),
        (b"null", "expected a JSON object, found null"),
        (b"{}", "field 'text': expected a string, found nothing"),
        (b'{"text": null}', "field 'text': expected a string, found null"),
        (b'{"text": true}', "field 'text': expected a string, found a boolean"),
        (b'{"text": 1.5}', "field 'text': expected a string, found a number"),
        (b'{"text": {}}', "field 'text': expected a string, found an object"),
        (rb'{"text": "a\ud800"}', "field 'text': lone surrogate at character 1"),
        (b'{"text": "a", "n": NaN}', "not JSON: NaN is no JSON value"),
    ],
)
def test_a_line_that_can_not_be_read_is_named_and_the_next_one_is_read(line, message):
    found = records(b'{"text": "good"}\n\n' + line + b'\n{"text": "too"}\n')
    assert [item.text for item in found if isinstance(item, InputText)] == ["good", "too"]
    assert found[1].message == f"in.jsonl:3: {message}"
    kept = line.startswith(b"{") and "field 'text'" in message
    assert found[1].record == (json.loads(line) if kept else {})


def test_json_nested_too_deep_is_one_bad_line():
    deep = b'{"text": ' + b"[" * 200_000 + b"\n"
    first, second = records(deep + b'{"text": "good"}')
    assert first.message.startswith("in.jsonl:1: not JSON: ")
    assert second == InputText("good", {"text": "good"})


def test_bytes_that_are_no_text_are_named():
    assert texts(b"good\nb\xe9d\n") == [
        InputText("good"),
        BadInput("in.txt:2: not UTF-8: byte 0xe9 at 1"),
    ]
    assert texts(b"good\nb\xe9d\n", whole=True) == [BadInput("in.txt: not UTF-8: byte 0xe9 at 6")]


def test_the_text_may_stand_in_another_field():
    raw = b'{"body": "a", "text": 5}'
    assert records(raw, "body") == [InputText("a", {"body": "a", "text": 5})]

"""Files on the page: each kind goes in, is tagged in batches, and comes out as it should."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.actions import forgive, held, tag
from tests.service.fake import FakeTagger

CONLL = """\
-DOCSTART- O

Angela\tO
Toyota\tO

# a comment that is no row
Nagoya\tO\tO
more\tO

上海\tB-LOC
"""
JSON_LINES = """\
{"id": 7, "text": "Toyota 👩‍🚀Ana"}

not json
{"id": 8}
{"tokens": ["Nagoya", "x"]}
"""


def choose(page: Any, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": content}
    page.set_input_files("#picker", [file])


def drop(page: Any, name: str, content: str) -> None:
    transfer = page.evaluate_handle(
        """([name, content]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([content], name));
            return transfer;
        }""",
        [name, content],
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    assert page.is_visible("#veil")
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    assert not page.is_visible("#veil")


def finished(page: Any, state: str = "done") -> None:
    page.wait_for_selector(f".job[data-state={state}] button:text-is('Remove')")


def downloaded(page: Any, form: str = "jsonl") -> tuple[str, str]:
    with page.expect_download() as started:
        page.click(f".job button:text-is('Download .{form}')")
    path = Path(started.value.path())
    return started.value.suggested_filename, path.read_bytes().decode("utf-8")


def records(page: Any) -> list[Any]:
    return [json.loads(line) for line in downloaded(page)[1].splitlines()]


def failures(page: Any) -> list[str]:
    return [item.inner_text() for item in page.query_selector_all(".job .failures li")]


def test_a_text_file_is_dropped_and_a_bad_line_fails_alone(open_page):
    page = open_page()
    content = "\ufeffToyota in Nagoya\r\n\r\nabout 上海\n"
    drop(page, "notes.txt", content)
    finished(page)
    name, written = downloaded(page)
    assert name == "notes.tagged.jsonl"
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["text"] for line in lines] == ["Toyota in Nagoya", "", "about 上海"]
    assert lines[0]["entities"][1] == {
        "label": "LOC", "start": 10, "end": 16, "text": "Nagoya", "score": 0.876543
    }  # fmt: skip
    assert "LOC 2" in page.inner_text(".job")

    page.click(".job button:text-is('Remove')")
    assert not page.is_visible("#files")
    choose(page, "notes.txt", b"Toyota\ncaf\xe9\nNagoya")
    finished(page)
    assert failures(page) == ["Line 2 not UTF-8"]
    found = records(page)
    assert [line.get("text") for line in found] == ["Toyota", None, "Nagoya"]
    assert found[1] == {"error": "line 2: not UTF-8"}


def test_json_lines_keep_what_else_they_hold(open_page):
    page = open_page()
    drop(page, "mail.ndjson", JSON_LINES)
    finished(page)
    found = records(page)
    assert (found[0]["id"], found[0]["text"]) == (7, "Toyota 👩‍🚀Ana")
    assert [e["text"] for e in found[0]["entities"]] == ["Toyota", "👩‍🚀Ana"]
    assert found[1]["error"] == "line 3: not JSON"
    assert found[2]["error"].startswith("line 4: ")
    assert (found[3]["tokens"], found[3]["entities"][0]["end"]) == (["Nagoya", "x"], 1)
    assert [text.split()[1] for text in failures(page)] == ["3", "4"]


def test_conll_comes_back_as_conll_and_as_json_lines(open_page):
    page = open_page()
    drop(page, "news.conll", CONLL)
    finished(page)
    name, written = downloaded(page, "conll")
    assert name == "news.tagged.conll"
    assert written == "Angela\tO\nToyota\tB-ORG\n\n上海\tB-LOC\n\n"
    assert failures(page) == [
        "Line 7 3 columns where the first row has 2; its sentence is left out"
    ]
    found = records(page)
    assert found[0]["tags"] == ["O", "B-ORG"]
    assert [line.get("tokens") for line in found] == [["Angela", "Toyota"], None, ["上海"]]


def test_many_lines_go_in_batches_and_come_back_in_order(open_page):
    page = open_page(settings={"max_items": 50})  # fewer than the page tries first
    lines = [f"number {index} {'é' * (index % 70)}" for index in range(3000)]
    choose(page, "long.txt", "\n".join(lines).encode())
    finished(page)
    assert [line["text"] for line in records(page)] == lines
    assert "3,000 lines" in page.inner_text(".job")
    forgive(page, "422")


def test_an_item_that_the_server_refuses_fails_alone(open_page):
    page = open_page(FakeTagger(poison="poison"), settings={"max_characters": 20})
    choose(page, "mixed.txt", f"Toyota\n{'x' * 21}\npoison\nNagoya".encode())
    finished(page)
    assert [text.split()[1] for text in failures(page)] == ["2", "3"]
    assert "the limit is 20" in failures(page)[0]
    found = records(page)
    assert [len(line.get("entities", ())) for line in found] == [1, 0, 0, 1]


def test_what_is_too_large_for_one_body_is_sent_in_halves(open_page):
    limits = {"max_body_bytes": 4000, "max_characters": 1000, "max_tokens": 1000}
    page = open_page(settings=limits)
    content = ("Toyota " + "y" * 900 + "\n") * 9 + "z" * 5000
    choose(page, "wide.txt", content.encode())
    finished(page)
    assert [len(line.get("entities", "bad")) for line in records(page)] == [1] * 9 + [3]
    assert "larger than the limit" in failures(page)[0]
    forgive(page, "413")


def test_a_busy_server_is_asked_again_when_it_says(open_page):
    page = open_page()
    answers = iter([{"status": 429, "headers": {"retry-after": "1"}, "json": {"title": "Busy"}}])

    def busy_once(route):
        refusal = next(answers, None)
        if refusal is None:
            route.continue_()
        else:
            route.fulfill(**refusal)

    page.route("**/v1/tag", busy_once)
    choose(page, "a.txt", b"Toyota")
    page.wait_for_selector(".job-note:has-text('busy; going on in 1 s')")
    finished(page)
    assert [e["text"] for e in records(page)[0]["entities"]] == ["Toyota"]
    forgive(page, "429")


def test_a_file_is_stopped_and_keeps_what_is_done(open_page):
    tagger = FakeTagger()
    page = open_page(tagger)
    with held(tagger):
        choose(page, "a.txt", b"Toyota\n" * 300)
        page.click(".job button:text-is('Stop')")
        finished(page, "stopped")
    assert "stopped" in page.inner_text(".job")
    choose(page, "b.txt", b"Toyota")
    page.wait_for_selector(".job[data-state=done]")


def test_a_file_goes_on_where_it_was_when_the_server_is_back(open_page):
    page = open_page()
    page.context.set_offline(True)
    choose(page, "a.txt", b"Toyota\nNagoya")
    page.wait_for_selector(".job-note:has-text('cannot be reached')")
    page.context.set_offline(False)
    page.click(".job button:text-is('Continue')")
    finished(page)
    assert len(records(page)) == 2
    page.complaints.clear()


def test_a_file_of_another_kind_is_refused(open_page):
    page = open_page()
    choose(page, "photo.png", b"\x89PNG")
    page.wait_for_selector("#toast:has-text('.jsonl')")
    assert not page.is_visible("#files")


def test_the_filter_goes_with_a_file(open_page):
    page = open_page()
    tag(page, "Toyota in Nagoya")
    page.click("#labels [data-label=ORG]")
    choose(page, "a.txt", b"Toyota in Nagoya")
    finished(page)
    assert "PER, LOC" in page.inner_text(".job h3")
    assert [e["text"] for e in records(page)[0]["entities"]] == ["Nagoya"]


@pytest.mark.parametrize("size", [0, (1 << 18) + 1])
def test_lines_at_the_edges_of_slices(open_page, size):
    page = open_page()
    content = ("é" * 40 + "\n").encode() * (size // 81) + b"Toyota" * bool(size)
    choose(page, "edge.txt", content[:size] if size else b"")
    page.wait_for_selector(".job[data-state=done]")
    expected = content[:size].decode("utf-8", "replace").split("\n")
    if size:
        assert len(records(page)) == len(expected)
    assert not failures(page) or "�" in expected[-1]

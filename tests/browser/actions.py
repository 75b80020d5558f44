"""What a person does on the page, and what they see."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.service.fake import FakeTagger

SENTENCE = "Angela Merkel visited Toyota in Nagoya on Monday."


@contextmanager
def held(tagger: FakeTagger) -> Iterator[None]:
    """Calls of the tagger wait until the end of the block, however it ends."""
    tagger.gate.clear()
    try:
        yield
    finally:
        tagger.gate.set()


def tag(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.click("#submit")
    settle(page)


def settle(page: Any) -> None:
    page.wait_for_selector("#answer:not([aria-busy=true])", state="attached")


def open_tab(page: Any, name: str) -> None:
    page.click(f"#tab-{name}")
    settle(page)


def marks(page: Any) -> list[tuple[str, str]]:
    """What is highlighted: the text itself, and its label."""
    return [
        (mark.text_content(), mark.get_attribute("data-tag"))
        for mark in page.query_selector_all("#marked mark")
    ]


def whole_text(page: Any) -> str:
    """The text with its marks."""
    return page.text_content("#marked")


def shown_json(page: Any, name: str) -> Any:
    return page.evaluate("(id) => JSON.parse(document.getElementById(id).textContent)", name)


def focused(page: Any) -> str:
    """The id of what has the focus, or its name."""
    return page.evaluate(
        """() => document.activeElement.id || document.activeElement.dataset.label
            || document.activeElement.textContent.trim()"""
    )


def forgive(page: Any, words: str) -> None:
    """Take out the browser's own lines about a failed request, which must be there."""
    expected = [line for line in page.complaints if words in line]
    assert expected, page.complaints
    page.complaints[:] = [line for line in page.complaints if words not in line]

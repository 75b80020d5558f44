"""What may be wrong with one input on its own; the others are tagged all the same."""

from dataclasses import dataclass

from tagbelt.service.api import problems
from tagbelt.service.api.problems import Kind
from tagbelt.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an item cannot be tagged. `detail` never quotes the item."""

    kind: Kind
    detail: str


def text_fault(item: object, settings: Settings) -> Fault | None:
    """What is wrong with an item of `texts`, or with `text`."""
    if not isinstance(item, str):
        return Fault(problems.NOT_TEXT, "this item must be a string")
    return _length_fault(len(item), settings) or _surrogate_fault(item, "")


def token_list_fault(item: object, settings: Settings) -> Fault | None:
    """What is wrong with an item of `tokens`."""
    if not isinstance(item, list):
        return Fault(problems.NOT_TEXT, "this item must be a list of tokens")
    if len(item) > settings.max_tokens:
        return Fault(
            problems.TOO_LONG,
            f"this item has {len(item)} tokens and the limit is {settings.max_tokens}",
        )
    for index, token in enumerate(item):
        if not isinstance(token, str):
            return Fault(problems.NOT_TEXT, f"token {index} must be a string")
        if fault := _surrogate_fault(token, f" of token {index}"):
            return fault
    return _length_fault(sum(map(len, item)), settings)


def _length_fault(characters: int, settings: Settings) -> Fault | None:
    if characters <= settings.max_characters:
        return None
    return Fault(
        problems.TOO_LONG,
        f"this item has {characters} characters and the limit is {settings.max_characters}; "
        "split it between sentences",
    )


def _surrogate_fault(text: str, of: str) -> Fault | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        detail = f"code point {error.start}{of} is half of a surrogate pair, U+{code:04X}"
        return Fault(problems.NOT_UNICODE, detail)
    return None

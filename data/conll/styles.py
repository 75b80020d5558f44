"""Tags written otherwise than as a capital prefix, a hyphen and a type. Stated, never guessed."""

from enum import StrEnum

from tagbelt.data.conll.partial import is_partial
from tagbelt.data.conll.schemes import OUTSIDE, check_tag

ENTITY = "ENTITY"
"""The type of entities whose tags name none."""


class TagStyle(StrEnum):
    """How a file writes the tag of a PER: B-PER, B_PER, b-PER, or B alone."""

    HYPHEN = "hyphen"
    UNDERSCORE = "underscore"
    LOWER = "lower"
    BARE = "bare"


def restyled(tag: str, style: TagStyle) -> str:
    """Return a tag as schemes write it; as it stands if it is none of this style.

    In all styles but `hyphen` the prefix may be in lower case. Types stay as they are.
    """
    if style is TagStyle.HYPHEN or is_partial(tag):
        return tag
    if style is TagStyle.BARE:
        prefix, mark, label = tag.upper(), "", ENTITY
    else:
        prefix, mark, label = tag.partition("_" if style is TagStyle.UNDERSCORE else "-")
        prefix = prefix.upper()
        if prefix != OUTSIDE and not mark:
            return tag
    read = prefix if prefix == OUTSIDE and not mark else f"{prefix}-{label}"
    return tag if check_tag(read, None) else read


def style_hint(tag: str) -> str:
    """Say which style would read a tag that is none; "" if no style would."""
    for style in (TagStyle.UNDERSCORE, TagStyle.LOWER, TagStyle.BARE):
        if not check_tag(restyled(tag, style), None):
            return f"; --tag-style {style} (`tag_style`) reads it"
    return ""

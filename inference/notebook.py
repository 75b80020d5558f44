"""A tagged text as HTML, for notebooks."""

from collections.abc import Sequence
from html import escape
from zlib import crc32

from tagbelt.data.types import Entity

_HUES = (190, 45, 130, 300, 215, 0, 25, 80)
_KNOWN = {"PER": 190, "ORG": 45, "LOC": 130, "MISC": 300}


def to_html(tokens: Sequence[str], starts: Sequence[int], entities: Sequence[Entity]) -> str:
    """Return a paragraph with the entities marked, each with its label, and its score as a hint.

    `starts` are the tokens' code-point offsets and what lies between tokens is shown as white
    space; without `starts` the tokens are joined by spaces and entities count tokens.
    """
    if tokens and not starts:
        starts = _offsets(tokens)
        ends = [start + len(token) for start, token in zip(starts, tokens, strict=True)]
        spans = [(starts[e.start], ends[e.end - 1]) for e in entities]
    else:
        spans = [(e.start, e.end) for e in entities]
    text = _spaced(tokens, starts)
    parts, place = [], 0
    for entity, (start, end) in zip(entities, spans, strict=True):
        parts += [escape(text[place:start]), _mark(entity)]
        place = end
    return f'<p style="line-height: 1.8">{"".join(parts)}{escape(text[place:])}</p>'


def _offsets(tokens: Sequence[str]) -> list[int]:
    offsets = [0]
    for token in tokens[:-1]:
        offsets.append(offsets[-1] + len(token) + 1)
    return offsets


def _spaced(tokens: Sequence[str], starts: Sequence[int]) -> str:
    """Return the tokens at their places, with spaces between."""
    parts, place = [], 0
    for token, start in zip(tokens, starts, strict=True):
        parts.append(" " * (start - place) + token)
        place = start + len(token)
    return "".join(parts)


def _mark(entity: Entity) -> str:
    """Return one entity; a type has the same colour in every text, light or dark."""
    hue = _KNOWN.get(entity.label, _HUES[crc32(entity.label.encode()) % len(_HUES)])
    style = f"background: hsl({hue} 80% 50% / 0.25); border-radius: 3px; padding: 1px 3px"
    return (
        f'<mark style="{style}; color: inherit" title="{entity.score:.4f}">{escape(entity.text)}'
        f" <small><b>{escape(entity.label)}</b></small></mark>"
    )

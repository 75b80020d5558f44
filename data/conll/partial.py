"""Tags of tokens of which not all is known, beside those of the schemes.

`?` stands for any tag, `!PER` for any but those of PER (`!PER!ORG`: of neither), and the type `?`
in an ordinary tag, as in `B-?` and `I-?`, for an entity whose type nobody stated. So no file has a
type named `?`. An entity that is written is certain with both of its edges: a `?` beside it is no
part of it.
"""

from collections.abc import Iterable, Sequence

from tagbelt.data.conll.schemes import OUTSIDE, Scheme, spans_to_tags
from tagbelt.data.types import Open, Sentence, Span

UNKNOWN = "?"
NOT = "!"


def is_partial(tag: str) -> bool:
    """Tell `?` and `!TYPE` from the tags of schemes."""
    return tag == UNKNOWN or tag.startswith(NOT)


def partial_fault(tag: str) -> str | None:
    """Say why a tag that `is_partial` cannot be read; None if it can."""
    if tag == UNKNOWN or all(label and label != UNKNOWN for label in tag.split(NOT)[1:]):
        return None
    return f"{tag!r} is not a tag: {NOT}TYPE or {NOT}TYPE{NOT}TYPE say which types a token is not"


def outside_of_partial(tags: Sequence[str]) -> list[str]:
    """Return tags of a scheme: O where a tag is partial."""
    return [OUTSIDE if is_partial(tag) else tag for tag in tags]


def read_partial(
    tags: Sequence[str], spans: Iterable[Span]
) -> tuple[tuple[Span, ...], tuple[Open, ...]]:
    """Return the spans of a sentence whose type is stated, and what is open in it."""
    spans = tuple(spans)
    untyped = [Open(s.start, s.end, is_entity=True) for s in spans if s.label == UNKNOWN]
    tokens = [
        Open(index, index + 1, tuple(sorted({*tag.split(NOT)[1:]})))
        for index, tag in enumerate(tags)
        if is_partial(tag)
    ]
    return tuple(s for s in spans if s.label != UNKNOWN), joined((*untyped, *tokens))


def joined(found: Iterable[Open]) -> tuple[Open, ...]:
    """Return open parts in order, those side by side that say the same as one."""
    parts: list[Open] = []
    for part in sorted(found):
        last = parts[-1] if parts else None
        if last and last.end == part.start and not part.is_entity and same(last, part):
            parts[-1] = Open(last.start, part.end, part.never)
        else:
            parts.append(part)
    return tuple(parts)


def same(one: Open, other: Open) -> bool:
    """Tell whether two open parts say the same of their tokens."""
    return (one.never, one.is_entity) == (other.never, other.is_entity)


def sentence_tags(sentence: Sentence, scheme: Scheme) -> tuple[str, ...]:
    """Write the spans of a sentence and what is open in it as tags.

    Raises ValueError for what would not read back: a type named `?`, a type with `!` in it that a
    token is not, and what `spans_to_tags` refuses.
    """
    spans, parts = sentence.spans or (), sentence.open
    if any(span.label == UNKNOWN for span in spans):
        raise ValueError(f"a type {UNKNOWN!r} would read as one that nobody stated")
    if any(NOT in label or label == UNKNOWN for part in parts for label in part.never):
        raise ValueError(f"a type that holds {NOT!r} cannot be written behind {NOT!r}")
    untyped = (Span(part.start, part.end, UNKNOWN) for part in parts if part.is_entity)
    tags = spans_to_tags((*spans, *untyped), len(sentence.tokens), scheme)
    if not parts:
        return tags
    written = list(tags)
    for part in parts:
        if not part.is_entity:
            tag = "".join(NOT + label for label in part.never) or UNKNOWN
            written[part.start : part.end] = [tag] * (part.end - part.start)
    return tuple(written)


def open_counts(sentences: Iterable[Sentence]) -> str:
    """Say how much is open in sentences, "" if nothing is."""
    parts = [part for sentence in sentences for part in sentence.open]
    unknown = sum(p.end - p.start for p in parts if not p.is_entity and not p.never)
    excluded = sum(p.end - p.start for p in parts if p.never)
    untyped = sum(p.is_entity for p in parts)
    told = (
        (unknown, f"tokens of which nothing is known ({UNKNOWN})"),
        (excluded, f"tokens that are known not to be of a type ({NOT}TYPE)"),
        (untyped, f"entities without a type (B-{UNKNOWN})"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in told if count)

"""Sentences with gold and predicted entities, by hand and at random."""

from hypothesis import strategies as st

from tagbelt.data.types import Span
from tagbelt.training.analysis.figures import JudgedSentence

LABELS = ("PER", "LOC", "ORG")


def item(text, gold=(), found=(), *, scores=None, outside=None, line=1):
    """A sentence; spans are (start, end, label), scores 0.5 unless given."""
    tokens = tuple(text.split())
    return JudgedSentence(
        tokens=tokens,
        line=line,
        gold=tuple(Span(*span) for span in gold),
        found=tuple(Span(*span) for span in found),
        scores=tuple([0.5] * len(found) if scores is None else scores),
        outside=tuple([0.5] * len(tokens) if outside is None else outside),
    )


@st.composite
def spans(draw, length):
    """Entities in order that do not overlap."""
    found, place = [], 0
    while place < length:
        size = draw(st.integers(0, length - place))
        if size:
            found.append((place, place + size, draw(st.sampled_from(LABELS))))
        place += size + draw(st.integers(0 if size else 1, 2))
    return found


@st.composite
def items(draw):
    """A sentence with any entities on both sides."""
    length = draw(st.integers(1, 8))
    words = draw(st.lists(st.sampled_from("ab"), min_size=length, max_size=length))
    gold, found = draw(spans(length)), draw(spans(length))
    chances = st.floats(0.0, 1.0)
    return item(
        " ".join(words),
        gold,
        found,
        scores=draw(st.lists(chances, min_size=len(found), max_size=len(found))),
        outside=draw(st.lists(chances, min_size=length, max_size=length)),
    )

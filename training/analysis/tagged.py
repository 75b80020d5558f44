"""Gold and predicted entities of a sentence side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from tagbelt.data.conll.schemes import OUTSIDE
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.tagger import Tagger


@dataclass(frozen=True)
class Tagged:
    """A sentence with its gold entities and those that the model found.

    `scores` are the posterior probabilities of `found`; `outside` the probability of each token
    to stand outside of entities, which is empty unless it was asked for.
    """

    tokens: tuple[str, ...]
    line: int
    gold: tuple[Span, ...]
    found: tuple[Span, ...]
    scores: tuple[float, ...] = ()
    outside: tuple[float, ...] = ()

    @property
    def true(self) -> set[Span]:
        """The entities found with the right bounds and the right type."""
        return set(self.gold) & set(self.found)

    def words(self, span: Span) -> str:
        """Return the tokens of an entity, joined by spaces."""
        return " ".join(self.tokens[span.start : span.end])


def tag_sentences(
    tagger: Tagger, sentences: Sequence[Sentence], *, marginals: bool = False
) -> list[Tagged]:
    """Tag annotated sentences with the Tagger that serves; `marginals` fills `outside`."""
    tokens = [sentence.tokens for sentence in sentences]
    result = []
    annotations = tagger.annotate_tokens(tokens, marginals=marginals)
    for sentence, annotation in zip(sentences, annotations, strict=True):
        entities = annotation.entities
        result.append(
            Tagged(
                tokens=sentence.tokens,
                line=sentence.line,
                gold=sentence.spans or (),
                found=tuple(Span(e.start, e.end, e.label) for e in entities),
                scores=tuple(e.score for e in entities),
                outside=tuple(row.get(OUTSIDE, 0.0) for row in annotation.marginals or ()),
            )
        )
    return result


def overlap(one: Span, other: Span) -> bool:
    """Tell if two entities share a token."""
    return one.start < other.end and other.start < one.end

"""Copies of training sentences, written otherwise: in another case, or with other names.

What is annotated stays so: a headline in capitals has the entities of its sentence.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tagbelt.data.types import Sentence, Span
from tagbelt.training.corpus.synthesis import Names
from tagbelt.training.data_config import CopiesConfig

MINOR_WORDS = frozenset(
    ["a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the"]
)
"""Words that half of all headlines in Title Case leave small."""


def copies(
    sentences: Sequence[Sentence], config: CopiesConfig, names: Names, *, seed: int
) -> tuple[Sentence, ...]:
    """Return the copies: of each kind, those of a random share of the sentences.

    A sentence that would not differ is not copied. `names` fill `config.names` (mention
    replacement, Dai & Adel 2020).
    """
    generator = random.Random(f"copies/{seed}")
    kinds: Mapping[str, Callable[[Sentence], Sentence]] = {
        "lower": lambda s: _written(s, map(str.lower, s.tokens)),
        "upper": lambda s: _written(s, map(str.upper, s.tokens)),
        "title": lambda s: _written(s, _title(s.tokens, small=generator.random() < 0.5)),
        "names": lambda s: _renamed(s, names, generator),
    }
    made = (
        (sentence, write(sentence))
        for kind, write in kinds.items()
        for sentence in _share(sentences, getattr(config, kind), generator)
    )
    return tuple(copy for sentence, copy in made if copy.tokens != sentence.tokens)


def _share(
    sentences: Sequence[Sentence], share: float, generator: random.Random
) -> Iterator[Sentence]:
    return (sentence for sentence in sentences if generator.random() < share)


def _written(sentence: Sentence, tokens: Iterator[str]) -> Sentence:
    return replace(sentence, tokens=tuple(tokens))


def _title(tokens: Sequence[str], *, small: bool) -> Iterator[str]:
    for index, token in enumerate(tokens):
        is_minor = small and index > 0 and token in MINOR_WORDS
        yield token if is_minor else token[:1].upper() + token[1:]


def _renamed(sentence: Sentence, names: Names, generator: random.Random) -> Sentence:
    """Give every entity another name of its type, where there are names of it."""
    tokens: list[str] = []
    spans: list[Span] = []
    end = 0
    for span in sentence.spans or ():
        tokens += sentence.tokens[end : span.start]
        known = names.get(span.label)
        name = generator.choice(known) if known else sentence.tokens[span.start : span.end]
        spans.append(Span(len(tokens), len(tokens) + len(name), span.label))
        tokens += name
        end = span.end
    tokens += sentence.tokens[end:]
    return replace(sentence, tokens=tuple(tokens), spans=tuple(spans))

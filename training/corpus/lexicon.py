"""The words that a config asks for to cover characters, and their vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagbelt.data.lexicon.soft_lexicon import SoftLexicon
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.model.features.vectors import load_vectors, reduced
from tagbelt.training.config import RunConfig


def build_lexicon(
    config: RunConfig, train: Sequence[Sentence]
) -> tuple[SoftLexicon | None, NDArray[np.float32] | None]:
    """Return the lexicon of a config with frequencies in training, and its vectors [W, E].

    Raises:
        ConfigError: a lexicon for tokens that are words, or one of phrases alone.
        VectorError: vectors that can't be read, or are too short.
    """
    settings = config.model.lexicon
    if settings.vectors is None:
        return None, None
    if config.data.unit != "character":
        raise ConfigError("model.lexicon: its words cover characters: data.unit is 'word'")
    vectors = load_vectors(settings.vectors, lowercase=False)
    kept = [row for row, word in enumerate(vectors.words) if not any(map(str.isspace, word))]
    if not kept:
        raise ConfigError(f"model.lexicon: {settings.vectors}: all its words hold spaces")
    words = [vectors.words[row] for row in kept]
    lexicon = SoftLexicon.counted(words, (sentence.tokens for sentence in train))
    return lexicon, reduced(vectors.matrix[kept], settings.size)

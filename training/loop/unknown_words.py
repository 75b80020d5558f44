"""How often training hides what it knows, so that the vectors of the unknown are trained too."""

import torch
from torch import Tensor

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.model.batch import EncodedSentences
from tagbelt.model.config import ModelConfig, WordConfig
from tagbelt.model.features.vectors import Vectors


def hide_rates(
    encoded: EncodedSentences,
    vocabulary: Vocabulary,
    vectors: Vectors | None,
    config: WordConfig,
) -> Tensor:
    """Return [F] how often training hides the word of each form; see `WordConfig`."""
    rows = torch.cat(encoded.sentences)
    words = encoded.forms.words
    counts = torch.bincount(words[rows], minlength=vocabulary.trained)
    known = set(vectors.words) if vectors else set()
    has_vector = torch.tensor([word in known for word in vocabulary.words])
    is_rare = (counts[words] == 1) & ~has_vector[words]
    return torch.where(is_rare, config.unknown_rate, config.word_dropout)


def bigram_rates(
    encoded: EncodedSentences, vocabulary: Vocabulary, config: ModelConfig
) -> Tensor | None:
    """Return [P] how often training hides each pair (see `BigramConfig`), None if it never does."""
    if vocabulary.bigrams is None or encoded.bigrams is None:
        return None
    counts = torch.bincount(torch.cat(encoded.bigrams), minlength=vocabulary.bigrams.count)
    dropout = config.bigrams.dropout
    rates = torch.where(counts == 1, max(dropout, config.words.unknown_rate), dropout)
    return rates if bool(rates.any()) else None

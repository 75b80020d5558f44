"""Which sentences meet in a batch, and which of their words and pairs training hides.

Sentences of much the same length meet, in another order each epoch. Words are hidden so that the
vectors of the unknown are trained too.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.model.batch import EncodedSentences
from tagbelt.model.config import ModelConfig, WordConfig
from tagbelt.model.features.vectors import Vectors

POOL = 64
"""Batches' worth of sentences that are sorted together: long enough to keep padding low, short
enough that batches differ from epoch to epoch."""


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """Return the indices of each batch; every sentence stands in exactly one.

    The order depends on `seed` and `epoch` alone, so that a resumed run goes on as an
    uninterrupted one would.
    """
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    span = POOL * batch_size
    batches: list[list[int]] = []
    for begin in range(0, len(order), span):
        pool = sorted(order[begin : begin + span], key=lambda i: lengths[i])
        batches.extend(pool[i : i + batch_size] for i in range(0, len(pool), batch_size))
    generator.shuffle(batches)
    return batches


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

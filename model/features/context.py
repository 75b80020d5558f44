"""What a token's neighbours tell of it: its pair with the next one, its flags, what covers it."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagbelt.data.checkpoint.bigrams import Bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.lexicon.covering import SETS
from tagbelt.model.batch import Batch
from tagbelt.model.config import BigramConfig, LexiconConfig

if TYPE_CHECKING:
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon


class ContextFeatures(nn.Module):
    """Features of a batch's rows that do not follow from their forms alone; `size` may be 0.

    `bigrams` [P, E] are the vectors of pairs, `lexicon` [W, E'] those of the words that may cover
    a token (see `soft_lexicon`), which training leaves alone; flags, one a kind of match in
    the gazetteer (see `gazetteer`), have no weights. They serve the encoder as 0 and 1.
    """

    lexicon: Tensor | None

    def __init__(
        self, config: BigramConfig, lexicon: LexiconConfig, vocabulary: Vocabulary
    ) -> None:
        """Raises ValueError for a vocabulary that lacks what the configs ask for, or has more."""
        super().__init__()
        self.bigrams = _bigrams(config, vocabulary.bigrams)
        self.flags = vocabulary.gazetteer.size if vocabulary.gazetteer else 0
        table = _lexicon(lexicon, vocabulary.lexicon)
        self.register_buffer("lexicon", table)
        covers = 0 if table is None else len(SETS) * lexicon.size
        self.size = config.size + self.flags + covers

    @torch.no_grad()
    def load_lexicon(self, vectors: NDArray[np.float32]) -> None:
        """Copy the vectors [W, E'] of the lexicon's words."""
        assert self.lexicon is not None
        self.lexicon.copy_(torch.from_numpy(vectors))

    def forward(self, rows: Tensor, batch: Batch) -> Tensor:
        """Append what there is of the features to rows [N, D] -> [N, D + size]."""
        parts = [rows]
        if self.bigrams is not None:
            assert batch.row_bigrams is not None
            parts.append(self.bigrams(batch.row_bigrams))
        if self.flags:
            assert batch.row_flags is not None
            parts.append(batch.row_flags.to(rows.dtype))
        if self.lexicon is not None:
            assert batch.covers is not None
            words, weights, starts = batch.covers
            sums = nn.functional.embedding_bag(
                words, self.lexicon, starts, mode="sum", per_sample_weights=weights
            )  # [4 N, E']
            parts.append(sums.view(len(rows), -1))
        return torch.cat(parts, dim=1) if len(parts) > 1 else rows


def _bigrams(config: BigramConfig, pairs: Bigrams | None) -> nn.Embedding | None:
    if (config.size > 0) != (pairs is not None):
        found = "no bigrams" if pairs is None else f"{pairs.count - 1} bigrams"
        raise ValueError(f"bigrams.size is {config.size}, the vocabulary has {found}")
    if pairs is None:
        return None
    table = nn.Embedding(pairs.count, config.size)
    bound = (3.0 / config.size) ** 0.5
    nn.init.uniform_(table.weight, -bound, bound)
    return table


def _lexicon(config: LexiconConfig, words: "SoftLexicon | None") -> Tensor | None:
    if (config.vectors is not None) != (words is not None):
        found = "no lexicon" if words is None else f"a lexicon of {len(words.words)} words"
        raise ValueError(f"lexicon.vectors is {config.vectors!r}, the vocabulary has {found}")
    return None if words is None else torch.zeros(len(words.words), config.size)

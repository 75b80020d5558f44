"""What a token's neighbours tell of it: the pair it makes with the next one, and its flags."""

import torch
from torch import Tensor, nn

from data.vocabulary import Vocabulary
from model.batch import Batch
from model.config import BigramConfig


class ContextFeatures(nn.Module):
    """Features of a batch's rows that do not follow from their forms alone; `size` may be 0.

    `bigrams` [P, E] are the vectors of pairs; flags, one a kind of match in the gazetteer (see
    `data.gazetteer`), have no weights. They serve the encoder as 0 and 1.
    """

    def __init__(self, config: BigramConfig, vocabulary: Vocabulary) -> None:
        """Raises ValueError for a vocabulary without the pairs that the config asks for."""
        super().__init__()
        pairs, gazetteer = vocabulary.bigrams, vocabulary.gazetteer
        if (config.size > 0) != (pairs is not None):
            found = "no bigrams" if pairs is None else f"{pairs.count - 1} bigrams"
            raise ValueError(f"bigrams.size is {config.size}, the vocabulary has {found}")
        self.bigrams: nn.Embedding | None = None
        if pairs is not None:
            self.bigrams = nn.Embedding(pairs.count, config.size)
            bound = (3.0 / config.size) ** 0.5
            nn.init.uniform_(self.bigrams.weight, -bound, bound)
        self.flags = gazetteer.size if gazetteer else 0
        self.size = config.size + self.flags

    def forward(self, rows: Tensor, batch: Batch) -> Tensor:
        """Append what there is of the features to rows [N, D] -> [N, D + size]."""
        parts = [rows]
        if self.bigrams is not None:
            assert batch.row_bigrams is not None
            parts.append(self.bigrams(batch.row_bigrams))
        if self.flags:
            assert batch.row_flags is not None
            parts.append(batch.row_flags.to(rows.dtype))
        return torch.cat(parts, dim=1) if len(parts) > 1 else rows

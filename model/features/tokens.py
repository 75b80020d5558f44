"""A token's features: those of its form alone, and those that its neighbours give it."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagbelt.data.checkpoint.bigrams import Bigrams
from tagbelt.data.checkpoint.vocabulary import PADDING_CHARACTER, Vocabulary
from tagbelt.data.lexicon.covering import SETS
from tagbelt.data.text.features import SHAPES
from tagbelt.model.batch import Batch
from tagbelt.model.config import BigramConfig, LexiconConfig, ModelConfig
from tagbelt.model.features.characters import CharacterCnn, CharacterRnn
from tagbelt.model.features.vectors import Vectors

if TYPE_CHECKING:
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon


class WordEmbedding(nn.Module):
    """One table of vectors in two parts: rows that training moves, and rows that it never sees.

    `trained` [V1, E] are the words of the training data, `fixed` [V2, E] those that have a
    pretrained vector only; kept apart since an optimiser walks over all it is given.
    """

    fixed: Tensor
    frozen: Tensor
    sparse = False
    """Whether the gradient of `trained` holds the rows of the batch alone."""

    def __init__(self, count: int, trained: int, size: int) -> None:
        super().__init__()
        bound = (3.0 / size) ** 0.5
        self.trained = nn.Parameter(torch.empty(trained, size).uniform_(-bound, bound))
        self.register_buffer("fixed", torch.zeros(count - trained, size))
        self.register_buffer("frozen", torch.zeros(0, dtype=torch.bool), persistent=False)

    def forward(self, words: Tensor) -> Tensor:
        """Look up words [F] -> [F, E]; training has words of the first part only."""
        if self.training or not len(self.fixed):
            return self._trained(words)
        beyond = words - len(self.trained)  # [F]
        trained = self._trained(words.clamp(max=len(self.trained) - 1))
        fixed = nn.functional.embedding(beyond.clamp(min=0), self.fixed)
        return torch.where(beyond[:, None] < 0, trained, fixed)

    def _trained(self, words: Tensor) -> Tensor:
        vectors = nn.functional.embedding(words, self.trained, sparse=self.sparse)
        if len(self.frozen):
            vectors = torch.where(self.frozen[words][:, None], vectors.detach(), vectors)
        return vectors

    def table(self) -> Tensor:
        """Return all rows [V, E]."""
        return torch.cat([self.trained, self.fixed])

    @torch.no_grad()
    def load_pretrained(self, vocabulary: Vocabulary, vectors: Vectors, *, trainable: bool) -> int:
        """Copy the vectors of all words that have one; return how many have.

        With `trainable = False` those rows keep their vector through training.
        """
        rows = {word: row for row, word in enumerate(vectors.words)}
        found = [(i, rows[word]) for i, word in enumerate(vocabulary.words) if word in rows]
        table = self.table()
        targets = torch.tensor([i for i, _ in found], dtype=torch.long)
        table[targets] = torch.from_numpy(vectors.matrix[[row for _, row in found]])
        trained = len(self.trained)
        self.trained.copy_(table[:trained])
        self.fixed.copy_(table[trained:])
        if not trainable:
            self.frozen = torch.zeros(trained, dtype=torch.bool)
            self.frozen[targets[targets < trained]] = True
        return len(found)


class WordFeatures(nn.Module):
    """All features of the distinct forms of a batch."""

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        characters = config.characters
        self.embedding = WordEmbedding(len(vocabulary.words), vocabulary.trained, size)
        self.characters: nn.Embedding | None = None
        self.reader: CharacterCnn | CharacterRnn | None = None
        if characters.kind != "none":
            self.characters = nn.Embedding(
                vocabulary.character_count, characters.size, padding_idx=PADDING_CHARACTER
            )
            bound = (3.0 / characters.size) ** 0.5
            nn.init.uniform_(self.characters.weight[1:], -bound, bound)
            reader = CharacterCnn if characters.kind == "cnn" else CharacterRnn
            self.reader = reader(characters.size, characters)
        self.dropout = nn.Dropout(characters.dropout)
        shape_size = config.words.shape_size
        self.shapes = nn.Embedding(len(SHAPES), shape_size) if shape_size else None
        self.size = size + characters.features + shape_size

    def forward(self, batch: Batch) -> Tensor:
        """Return the vectors [F, D] of the batch's distinct forms."""
        embedded: Tensor = self.embedding(batch.form_words)
        return self.with_surface(
            embedded, batch.form_characters, batch.form_lengths, batch.form_shapes
        )

    def with_surface(
        self, embedded: Tensor, characters: Tensor, lengths: Tensor, shapes: Tensor
    ) -> Tensor:
        """Append characters [F, C] and shapes [F] to embeddings [F, E] -> [F, D]."""
        parts = [embedded]
        if self.characters is not None and self.reader is not None:
            rows = self.characters(self.reader.arranged(characters, lengths))
            parts.append(self.reader(self.dropout(rows), lengths))
        if self.shapes is not None:
            parts.append(self.shapes(shapes))
        return torch.cat(parts, dim=1)


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

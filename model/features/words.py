"""A word form's vector: its embedding, its characters and its shape, from the form alone."""

import torch
from torch import Tensor, nn

from tagbelt.data.checkpoint.vocabulary import PADDING_CHARACTER, Vocabulary
from tagbelt.data.text.features import SHAPES
from tagbelt.model.batch import Batch, batch_sizes, packed_order
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.config import CharacterConfig, ModelConfig
from tagbelt.model.features.convolution import FilteredMaximum, with_margins
from tagbelt.model.features.vectors import Vectors


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


class CharacterCnn(nn.Module):
    """Filters over a word's characters and their maximum over the word (Ma & Hovy 2016)."""

    def __init__(self, size: int, config: CharacterConfig) -> None:
        super().__init__()
        self.filters = nn.Conv1d(size, config.hidden, config.width, padding=config.width // 2)

    def arranged(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the ids [M] whose vectors `forward` wants, of characters [F, C]."""
        return with_margins(characters, lengths, self.filters.kernel_size[0] // 2)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Map the vectors [M, E] of arranged characters, zero at id 0, to features [F, H]."""
        filters = self.filters
        best: Tensor = FilteredMaximum.apply(  # type: ignore[no-untyped-call]
            vectors, filters.weight, filters.bias, lengths
        )
        return best


class CharacterRnn(nn.Module):
    """The last states of a bidirectional recurrent cell over a word's characters."""

    def __init__(self, size: int, config: CharacterConfig) -> None:
        super().__init__()
        if config.kind == "none" or config.kind == "cnn":
            raise ValueError(f"{config.kind!r} is no recurrent cell")
        self.layer = RecurrentLayer(config.kind, size, config.hidden // 2, bidirectional=True)

    def arranged(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Return the ids [M] whose vectors `forward` wants, of characters [F, C]: packed rows."""
        order = torch.argsort(lengths, descending=True, stable=True)
        sizes = lengths[order]
        valid = torch.arange(characters.shape[1], device=lengths.device) < sizes[:, None]
        flat = characters[order][valid]  # [M], word after word
        return flat[packed_order(sizes.cpu()).to(flat.device)]

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Map the vectors [M, E] of arranged characters to features [F, H]."""
        sizes, order = torch.sort(lengths, descending=True, stable=True)
        final: Tensor = self.layer(vectors, batch_sizes(sizes.cpu()))[1]  # [F, H], longest first
        return torch.empty_like(final).index_copy(0, order, final)


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

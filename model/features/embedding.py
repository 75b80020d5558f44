"""Tables of word vectors that training moves in part, and dropout for a part of a batch."""

import torch
from torch import Tensor, nn

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.model.features.vectors import Vectors


def dropped(dropout: nn.Dropout, rows: Tensor, part: tuple[Tensor, int] | None) -> Tensor:
    """Drop some of rows [n, D]: of a part, their places [n] among so many, what all would lose."""
    if part is None:
        whole: Tensor = dropout(rows)
        return whole
    places, count = part
    mask: Tensor = dropout(rows.new_ones(count, rows.shape[1]))
    return rows * mask[places]


class WordEmbedding(nn.Module):
    """One table of vectors in two parts: rows that training moves, and rows that it never sees.

    `trained` [V1, E] are the words of the training data, `fixed` [V2, E] those that have a
    pretrained vector only; kept apart since an optimiser walks over all it is given.
    """

    fixed: Tensor
    frozen: Tensor
    sparse = False
    """Whether the gradient of `trained` holds the rows of the batch alone."""
    pretrained: frozenset[int] = frozenset()
    """The rows that `load_pretrained` or `begin_with` has given a vector."""

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
    def begin_with(self, rows: Tensor) -> None:
        """Copy rows [V, E], but for words of the training data that have zeros alone."""
        trained = rows[: len(self.trained)]
        self.pretrained = frozenset(rows.any(dim=1).nonzero().flatten().tolist())
        has_vector = trained.any(dim=1)
        self.trained[has_vector] = trained[has_vector]
        self.fixed.copy_(rows[len(self.trained) :])

    @torch.no_grad()
    def load_pretrained(self, vocabulary: Vocabulary, vectors: Vectors, *, trainable: bool) -> int:
        """Copy the vectors of all words that have one; return how many have.

        With `trainable = False` those rows keep their vector through training.
        """
        rows = {word: row for row, word in enumerate(vectors.words)}
        found = [(i, rows[word]) for i, word in enumerate(vocabulary.words) if word in rows]
        table = self.table()
        targets = torch.tensor([i for i, _ in found], dtype=torch.long)
        self.pretrained = frozenset(i for i, _ in found)
        table[targets] = torch.from_numpy(vectors.matrix[[row for _, row in found]])
        trained = len(self.trained)
        self.trained.copy_(table[:trained])
        self.fixed.copy_(table[trained:])
        if not trainable:
            self.frozen = torch.zeros(trained, dtype=torch.bool)
            self.frozen[targets[targets < trained]] = True
        return len(found)

"""More vectors of word forms, each source with its dropout and projection.

Raw vectors come from the tables of the vocabulary (see `tagbelt.data.checkpoint.form_table`) by way
of the batch or, where training moves them, from a table of the network's own. A checkpoint keeps
projected vectors: a network that is made of its tables has no projection.

Letters: F forms, V words, E numbers of a source, S numbers of all sources.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tagbelt.data.checkpoint.form_table import FormTable, VectorRows
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.model.batch import Batch, Share
from tagbelt.model.config import VectorSource
from tagbelt.model.features.embedding import WordEmbedding, dropped


class SourceVectors(nn.Module):
    """The vectors of all sources; `size` may be 0."""

    def __init__(self, config: Sequence[VectorSource], vocabulary: Vocabulary) -> None:
        """Raises ValueError for a vocabulary with another number of tables."""
        super().__init__()
        tables = vocabulary.forms
        if len(tables) != len(config):
            raise ValueError(f"{len(tables)} tables for the {len(config)} sources of vectors")
        self.sources = nn.ModuleList(
            JoinedSource(source, table, vocabulary)
            for source, table in zip(config, tables, strict=True)
        )
        self.size = sum(source.size for source in self.each)

    def forward(self, batch: Batch) -> Tensor | None:
        """Return the vectors [F, S] of the batch's distinct forms; None without sources."""
        parts, place = [], 0
        for source in self.each:
            if source.table is not None:
                parts.append(source(source.table(batch.form_words), batch.share))
                continue
            assert batch.form_vectors is not None
            raw = batch.form_vectors[:, place : place + source.raw_size]
            parts.append(source(raw, batch.share))
            place += source.raw_size
        return torch.cat(parts, dim=1) if parts else None

    @property
    def tables(self) -> list[WordEmbedding]:
        """The tables that training moves."""
        return [source.table for source in self.each if source.table is not None]

    def stored(self, tables: Sequence[FormTable]) -> tuple[FormTable, ...]:
        """Return the tables of a checkpoint, as the network reads them, of those it was made of."""
        each = zip(self.each, tables, strict=True)
        return tuple(table.stored(source.rows(), source.matrix()) for source, table in each)

    @property
    def places(self) -> list[range]:
        """Where the numbers of each source stand in what `forward` returns."""
        ends = accumulate((source.size for source in self.each), initial=0)
        return [range(*pair) for pair in pairwise(ends)]

    @property
    def each(self) -> "list[JoinedSource]":
        """The sources, in order."""
        return [source for source in self.sources if isinstance(source, JoinedSource)]


class JoinedSource(nn.Module):
    """One source: raw vectors [F, raw_size] -> [F, size]."""

    def __init__(self, config: VectorSource, table: FormTable, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.raw_size = table.size
        self.size = config.size or table.size
        self.dropout = nn.Dropout(config.dropout)
        self.projection: nn.Linear | None = None
        if self.size != table.size:
            self.projection = nn.Linear(table.size, self.size, bias=False)
            nn.init.xavier_uniform_(self.projection.weight)
        self.table: WordEmbedding | None = None
        if table.trained:
            self.table = WordEmbedding(len(vocabulary.words), vocabulary.trained, table.size)
            self.table.begin_with(
                torch.from_numpy(table.rows.take(np.arange(len(vocabulary.words))))
            )

    def forward(self, raw: Tensor, share: Share | None = None) -> Tensor:
        """Return what the encoder reads of raw vectors."""
        kept = dropped(self.dropout, raw, None if share is None else share.form_places)
        return kept if self.projection is None else self.projection(kept)

    @torch.no_grad()
    def rows(self) -> VectorRows | None:
        """Return the rows that were trained, None of vectors that stay as they came."""
        return None if self.table is None else VectorRows(self.table.table().numpy())

    def matrix(self) -> NDArray[np.float32] | None:
        """Return the projection [raw_size, size], None without one."""
        if self.projection is None:
            return None
        return self.projection.weight.detach().numpy().T

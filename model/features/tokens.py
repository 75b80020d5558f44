"""A token's features: those of its form alone, and those that its neighbours give it.

For a convolution over characters the words stand one after the other in one long row of characters,
with as many rows of zeros before, between and after them as a filter reaches beyond its centre. So
no word is padded to the length of another, the windows of all filters are one strided view of that
row, and the convolution is one matrix product.

Letters in the shape comments: N tokens, F distinct forms, C characters of the longest one, M rows
(characters and margins), E numbers of an embedding, W width, H filters or units.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagbelt.data.checkpoint.bigrams import Bigrams
from tagbelt.data.checkpoint.vocabulary import PADDING_CHARACTER, SHAPES, Vocabulary
from tagbelt.data.lexicon.covering import SETS
from tagbelt.model.batch import Batch, Share
from tagbelt.model.cells import CELLS
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.cells.packed import batch_sizes, packed_order
from tagbelt.model.config import BigramConfig, CharacterConfig, LexiconConfig, ModelConfig
from tagbelt.model.features.embedding import WordEmbedding, dropped
from tagbelt.model.features.sources import SourceVectors

if TYPE_CHECKING:
    from tagbelt.data.lexicon.soft_lexicon import SoftLexicon


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
        if config.kind not in CELLS:
            raise ValueError(f"{config.kind!r} is no recurrent cell")
        self.layer = RecurrentLayer(CELLS[config.kind], size, config.hidden // 2)

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


def shared_places(
    reader: CharacterCnn | CharacterRnn, share: Share, lengths: Tensor
) -> tuple[Tensor, int]:
    """Return where the arranged characters [m] of a part stand among those [M] of all, and M.

    `lengths` [f] are those of the part's forms.
    """
    inside = share.form_characters != PADDING_CHARACTER  # [F, C]
    numbers = torch.arange(1, inside.numel() + 1, device=inside.device).view(inside.shape) * inside
    arranged = reader.arranged(numbers, inside.sum(1))
    places = numbers.new_zeros(inside.numel() + 1)
    places[arranged] = torch.arange(len(arranged), device=inside.device)
    return places[reader.arranged(numbers[share.forms], lengths)], len(arranged)


def with_margins(characters: Tensor, lengths: Tensor, margin: int) -> Tensor:
    """Return ids [M] of all words' characters, with `margin` zeros around each word.

    `characters` [F, C] are padded with 0 behind `lengths` [F].
    """
    framed = torch.nn.functional.pad(characters, (0, margin))
    places = torch.arange(framed.shape[1], device=lengths.device)
    kept = framed[places < lengths[:, None] + margin]
    return torch.nn.functional.pad(kept, (margin, 0))


class FilteredMaximum(torch.autograd.Function):
    """The highest score of each filter within each word.

    `apply(rows, weight, bias, lengths)` -> [F, H], where rows [M, E] are laid out by
    `with_margins`, weight is [H, E, W] with W odd, bias [H], and lengths [F] are at least 1.
    Of equal scores the first gets the gradient.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, lengths: Tensor) -> Tensor:
        """Score every window, then look for the best of each word."""
        filters, size, width = weight.shape
        rows = rows.contiguous()
        # shape: [W*E, H], and windows [M - W + 1, W*E] that overlap in memory
        flat = weight.permute(2, 1, 0).reshape(width * size, filters)
        windows = rows.as_strided((len(rows) - width + 1, width * size), (size, 1))
        scores = torch.addmm(bias, windows, flat)
        steps = lengths + width // 2
        starts = steps.cumsum(0) - steps
        # A word that ends early repeats its last window, which no maximum can tell.
        places = torch.arange(int(lengths.max()), device=lengths.device)
        places = starts[:, None] + torch.minimum(places, lengths[:, None] - 1)  # [F, C]
        best, where = scores[places].max(1)
        ctx.shape, ctx.score_count = weight.shape, len(scores)
        ctx.save_for_backward(rows, flat, places.gather(1, where))
        return best

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Each filter learns from the one window of each word that won."""
        rows, flat, winners = ctx.saved_tensors  # winners [F, H]
        filters, size, width = ctx.shape
        score_grad = grad.new_zeros(ctx.score_count, filters).scatter_(0, winners, grad)
        windows = rows.as_strided((ctx.score_count, width * size), (size, 1))
        weight_grad = (windows.T @ score_grad).view(width, size, filters).permute(2, 1, 0)
        rows_grad = None
        if ctx.needs_input_grad[0]:
            window_grad = score_grad @ flat.T
            rows_grad = torch.zeros_like(rows)
            for offset in range(width):
                part = window_grad[:, offset * size : (offset + 1) * size]
                rows_grad[offset : offset + ctx.score_count] += part
        return rows_grad, weight_grad, grad.sum(0), None


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
        self.sources = SourceVectors(config.vectors, vocabulary)
        self.size = size + characters.features + shape_size + self.sources.size

    @property
    def tables(self) -> list[WordEmbedding]:
        """All tables that the words of a batch read, and training moves."""
        return [self.embedding, *self.sources.tables]

    def forward(self, batch: Batch) -> Tensor:
        """Return the vectors [F, D] of the batch's distinct forms."""
        embedded: Tensor = self.embedding(batch.form_words)
        return self.with_surface(
            embedded,
            batch.form_characters,
            batch.form_lengths,
            batch.form_shapes,
            self.sources(batch),
            batch.share,
        )

    def with_surface(
        self,
        embedded: Tensor,
        characters: Tensor,
        lengths: Tensor,
        shapes: Tensor,
        more: Tensor | None = None,
        share: Share | None = None,
    ) -> Tensor:
        """Append characters [F, C], shapes [F] and more vectors [F, S] to embeddings [F, E]."""
        parts = [embedded]
        if self.characters is not None and self.reader is not None:
            rows = self.characters(self.reader.arranged(characters, lengths))
            part = None if share is None else shared_places(self.reader, share, lengths)
            parts.append(self.reader(dropped(self.dropout, rows, part), lengths))
        if self.shapes is not None:
            parts.append(self.shapes(shapes))
        if more is not None:
            parts.append(more)
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

"""What a word's characters tell of it: by a convolution or by a recurrent cell.

For the convolution the words stand one after the other in one long row of characters, with as many
rows of zeros before, between and after them as a filter reaches beyond its centre. So no word is
padded to the length of another, the windows of all filters are one strided view of that row, and
the convolution is one matrix product. It and its maximum have their backward pass written out.

Letters in the shape comments: F words, C characters of the longest one, M rows (characters and
margins), E features of a character, W width, H filters.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tagbelt.model.cells import CELLS
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.cells.packed import batch_sizes, packed_order
from tagbelt.model.config import CharacterConfig


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

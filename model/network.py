"""The tagger network: word and context features, recurrent encoder, emissions, CRF."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.schemes import Scheme
from tagbelt.model.batch import Batch, Share
from tagbelt.model.cells import CELLS
from tagbelt.model.cells.layer import RecurrentLayer
from tagbelt.model.cells.packed import lengths_of, sequence_of_rows
from tagbelt.model.config import EncoderConfig, ModelConfig
from tagbelt.model.crf import CrfHead
from tagbelt.model.features.tokens import ContextFeatures, WordFeatures


class Network(nn.Module):
    """Maps a batch to one score a token and tag, and scores whole tag sequences.

    `size` is the width of the word embedding: that of the pretrained vectors if there are any.
    `row_size` is how many features of a token the encoder reads.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        tags: tuple[str, ...],
        scheme: Scheme,
        *,
        size: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.words = WordFeatures(config, vocabulary, size or config.words.size)
        self.context = ContextFeatures(config.bigrams, config.lexicon, vocabulary)
        self.row_size = self.words.size + self.context.size
        self.encoder = Encoder(config.encoder, self.row_size)
        self.emissions = nn.Linear(config.encoder.size, len(tags))
        self.crf = CrfHead(tags, scheme, constrain_training=config.crf.constrain_training)
        nn.init.xavier_uniform_(self.emissions.weight)
        nn.init.zeros_(self.emissions.bias)

    def forward(self, batch: Batch) -> Tensor:
        """Return emissions [N, K] for the packed rows of a batch."""
        return self.scores(self.rows(batch), batch.batch_sizes, batch.share)

    def rows(self, batch: Batch) -> Tensor:
        """Return what the encoder reads of each token, [N, row_size]."""
        vectors = self.words(batch)  # [F, D]
        rows: Tensor = self.context(vectors.index_select(0, batch.row_forms), batch)
        return rows

    def scores(self, rows: Tensor, batch_sizes: Tensor, share: Share | None = None) -> Tensor:
        """Return emissions [N, K] of packed rows [N, row_size]."""
        encoded: Tensor = self.encoder(rows, batch_sizes, share)  # [N, units]
        scores: Tensor = self.emissions(encoded)
        return scores

    def nll(self, batch: Batch, rows: Tensor | None = None) -> Tensor:
        """Return the mean negative log-likelihood a sentence, in nats, >= 0.

        It is that of the gold tags, of all taggings within the tags that the batch allows or,
        where it has expected tags, the mean over these (cross-entropy). `rows` [N, row_size]
        stand in for those of the batch. Of a part it is the part's share in that of the whole.

        Raises:
            ValueError: the batch has neither gold nor expected tags.
        """
        if batch.tags is None and batch.expected is None:
            raise ValueError("a batch without gold tags has no likelihood")
        read = self.rows(batch) if rows is None else rows
        scores = self.scores(read, batch.batch_sizes, batch.share)
        if batch.expected is not None:
            loss = self.crf.cross_entropy(scores, batch.batch_sizes, batch.expected)
        elif batch.allowed is not None:
            loss = self.crf.partial_nll(scores, batch.batch_sizes, batch.allowed)
        else:
            assert batch.tags is not None  # for the type checker
            loss = self.crf.nll(scores, batch.batch_sizes, batch.tags)
        return loss if batch.share is None else loss * batch.share.weight


class Encoder(nn.Module):
    """Stacked recurrent layers with locked dropout, then optional self-attention.

    Rows of word vectors in, rows of states out, each seeing its whole sequence.
    """

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        """`input_size`: width of the rows; the output is `config.size` wide."""
        super().__init__()
        widths = [input_size] + [config.size] * (config.layers - 1)
        self.dropout = config.dropout
        self.layers = nn.ModuleList(
            RecurrentLayer(
                CELLS[config.cell],
                width,
                config.hidden,
                bidirectional=config.bidirectional,
                peephole=config.peephole,
                forget_bias=config.forget_bias,
            )
            for width in widths
        )
        heads = config.attention_heads
        self.attention = SelfAttention(config.size, heads) if heads else None

    def forward(self, rows: Tensor, batch_sizes: Tensor, share: Share | None = None) -> Tensor:
        """rows [N, input_size] packed (see cells.packed), batch_sizes int64 [T] -> [N, size]."""
        dropout = self.dropout if self.training else 0.0
        for layer in cast("list[RecurrentLayer]", self.layers):
            dropped = locked_dropout(rows, batch_sizes, dropout, share)
            rows = layer.states(dropped, batch_sizes)
        if self.attention is not None:
            rows = self.attention(rows, batch_sizes)
        return locked_dropout(rows, batch_sizes, dropout, share)


def locked_dropout(
    rows: Tensor, batch_sizes: Tensor, probability: float, share: Share | None = None
) -> Tensor:
    """Drop the same units at every step of a sequence (Gal & Ghahramani 2016).

    The masks come from torch's global generator; what is kept is scaled by 1 / (1 - probability).
    With a `share`, they are those that its sentences have in the whole batch.
    """
    if probability == 0.0:
        return rows
    count = int(batch_sizes[0]) if share is None else share.sentence_count
    sequence = sequence_of_rows(batch_sizes)
    if share is not None:
        sequence = share.sentences[sequence]
    # shape: [B, D], gathered to [N, D]
    mask = rows.new_empty(count, rows.shape[1]).bernoulli_(1 - probability)
    mask /= 1 - probability
    return rows * mask.index_select(0, sequence.to(rows.device))


class SelfAttention(nn.Module):
    """Multi-head self-attention inside each sequence, added to its input (Vaswani et al. 2017)."""

    def __init__(self, size: int, heads: int) -> None:
        """`heads` must divide `size`."""
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(size, 3 * size)  # queries, keys, values
        self.output = nn.Linear(size, size)
        for linear in (self.projection, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """rows [N, size] packed -> rows [N, size]."""
        lengths = lengths_of(batch_sizes)
        sequence = sequence_of_rows(batch_sizes).to(rows.device)
        step = torch.repeat_interleave(torch.arange(len(batch_sizes)), batch_sizes).to(rows.device)
        # shape: [B, T, 3 * size] -> three of [B, heads, T, size / heads]
        padded = rows.new_zeros(len(lengths), len(batch_sizes), 3 * rows.shape[1])
        padded = padded.index_put((sequence, step), self.projection(rows))
        query, key, value = padded.view(*padded.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        inside = torch.arange(len(batch_sizes)) < lengths[:, None]
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=inside[:, None, None].to(rows.device)
        )
        # shape: [B, heads, T, size / heads] -> [N, size]
        mixed = mixed.transpose(1, 2).flatten(2)[sequence, step]
        attended: Tensor = rows + self.output(mixed)
        return attended

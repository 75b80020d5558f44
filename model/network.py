"""The tagger network: word and context features, recurrent encoder, emissions, CRF."""

from torch import Tensor, nn

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.schemes import Scheme
from tagbelt.model.batch import Batch
from tagbelt.model.config import ModelConfig
from tagbelt.model.crf import CrfHead
from tagbelt.model.encoder import Encoder
from tagbelt.model.features.context import ContextFeatures
from tagbelt.model.features.words import WordFeatures


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
        return self.scores(self.rows(batch), batch.batch_sizes)

    def rows(self, batch: Batch) -> Tensor:
        """Return what the encoder reads of each token, [N, row_size]."""
        vectors = self.words(batch)  # [F, D]
        rows: Tensor = self.context(vectors.index_select(0, batch.row_forms), batch)
        return rows

    def scores(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        """Return emissions [N, K] of packed rows [N, row_size]."""
        encoded: Tensor = self.encoder(rows, batch_sizes)  # [N, units]
        scores: Tensor = self.emissions(encoded)
        return scores

    def nll(self, batch: Batch, rows: Tensor | None = None) -> Tensor:
        """Return the mean negative log-likelihood a sentence, in nats, >= 0.

        It is that of the gold tags or, where the batch has expected tags, the mean over these
        (cross-entropy). `rows` [N, row_size] stand in for those of the batch.

        Raises:
            ValueError: the batch has neither gold nor expected tags.
        """
        if batch.tags is None and batch.expected is None:
            raise ValueError("a batch without gold tags has no likelihood")
        read = self.rows(batch) if rows is None else rows
        scores = self.scores(read, batch.batch_sizes)
        if batch.expected is not None:
            return self.crf.cross_entropy(scores, batch.batch_sizes, batch.expected)
        assert batch.tags is not None  # for the type checker
        return self.crf.nll(scores, batch.batch_sizes, batch.tags)

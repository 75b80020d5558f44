"""A model as requests see it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tagbelt.data.checkpoint.artifact import CHOICE
from tagbelt.inference import Annotation, ModelInfo, Phases, TokenizedItem, VectorCacheUse

AUTO = CHOICE
"""As a model's name: each item goes to the model of its script."""


class ServableTagger(Protocol):
    """The part of `inference.Tagger` that the service calls."""

    @property
    def info(self) -> ModelInfo:
        """Name, version, labels and so on of the model."""

    def tokenize(
        self, item: str | Sequence[str], *, marginals: bool = False, paths: int = 0
    ) -> TokenizedItem:
        """A text or a token list, tokenised."""

    def annotate_items(
        self,
        readings: Sequence[TokenizedItem],
        phases: Phases | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Sequence[Annotation]:
        """One annotation each, in order; `between` is called between the steps, and may raise."""

    def check_inspect(self, item: TokenizedItem) -> None:
        """Raise InputError or CheckpointError for an item that cannot be inspected."""

    def count_unknown(self, forms: Sequence[str]) -> int:
        """How many of the tokens are not in the vocabulary."""

    def vector_cache_use(self) -> VectorCacheUse:
        """Counts of word forms: looked up, and of those computed."""


class Served:
    """A loaded model. Whoever holds it can go on using it, also after it was replaced.

    Its name, version, digest and labels are those that the tagger has when it is made.
    """

    __slots__ = ("digest", "full_name", "info", "labels", "name", "tagger", "version")

    def __init__(self, tagger: ServableTagger) -> None:
        self.tagger = tagger
        self.info = info = tagger.info
        self.name = info.name
        self.version = info.version
        self.digest = info.digest
        """SHA-256 of the checkpoint, in hex."""
        self.labels = info.labels
        """Entity types."""
        self.full_name = f"{info.name}@{info.version}"
        """name@version."""

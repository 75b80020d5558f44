"""A model as requests see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tagbelt.inference import Annotation, ModelInfo, Phases, TokenizedItem, VectorCacheUse

AUTO = "auto"
"""As a model's name: each item goes to the model of its script."""


class Tagger(Protocol):
    """The part of `inference.Tagger` that the service calls."""

    @property
    def info(self) -> ModelInfo:
        """What is being served."""

    def tokenize(
        self, item: str | Sequence[str], *, marginals: bool = False, paths: int = 0
    ) -> TokenizedItem:
        """A text or a token list, tokenised."""

    def annotate_items(
        self, readings: Sequence[TokenizedItem], phases: Phases | None = None
    ) -> Sequence[Annotation]:
        """One annotation each, in order."""

    def vector_cache_use(self) -> VectorCacheUse:
        """How many word forms were looked up, and how many of them had to be computed."""


@dataclass(frozen=True, eq=False, slots=True)
class Served:
    """A loaded model. Whoever holds it can go on using it, also after it was replaced."""

    tagger: Tagger

    @property
    def info(self) -> ModelInfo:
        """Its name, version, labels, digest and so on."""
        return self.tagger.info

    @property
    def name(self) -> str:
        """The name that requests use."""
        return self.info.name

    @property
    def version(self) -> str:
        """The version of the checkpoint."""
        return self.info.version

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint, in hex."""
        return self.info.digest

    @property
    def labels(self) -> tuple[str, ...]:
        """Entity types."""
        return self.info.labels

    @property
    def full_name(self) -> str:
        """name@version."""
        return f"{self.info.name}@{self.info.version}"

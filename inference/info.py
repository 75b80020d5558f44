"""What a tagger knows about its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Unit


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The identity of a loaded model.

    `labels` are the entity types; `tags` the CRF's tags in their order, written in
    `scheme`; `unit` is what one token is. `digest` is the checkpoint's SHA-256 in hex.
    `metrics` are those that its training recorded.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    scheme: Scheme
    unit: Unit
    digest: str
    language: str = ""
    description: str = ""
    licence: str = ""
    metrics: Mapping[str, object] = field(default_factory=dict, hash=False)

"""The runtime without torch: a checkpoint in, entities with exact posteriors out."""

from tagbelt.inference.annotation import Annotation, ModelInfo, Phases, TagPath, UnscoredEntity
from tagbelt.inference.inputs import Occlude, TokenizedItem
from tagbelt.inference.inspection import Inspection
from tagbelt.inference.scoring.vector_cache import VectorCacheUse
from tagbelt.inference.tagger import Tagger

__all__ = [
    "Annotation",
    "Inspection",
    "ModelInfo",
    "Occlude",
    "Phases",
    "TagPath",
    "Tagger",
    "TokenizedItem",
    "UnscoredEntity",
    "VectorCacheUse",
]

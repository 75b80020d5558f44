"""The runtime without torch: a checkpoint in, entities with exact posteriors out."""

from tagbelt.inference.annotation import Annotation, Named, Path
from tagbelt.inference.info import ModelInfo
from tagbelt.inference.phases import Phases
from tagbelt.inference.reading import Reading
from tagbelt.inference.scoring.vector_cache import LexiconUse
from tagbelt.inference.tagger import Tagger

__all__ = ["Annotation", "LexiconUse", "ModelInfo", "Named", "Path", "Phases", "Reading", "Tagger"]

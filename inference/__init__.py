"""The runtime without torch: a checkpoint in, entities with exact posteriors out."""

from inference.annotation import Annotation, Named, Path
from inference.info import ModelInfo
from inference.lexicon import LexiconUse
from inference.phases import Phases
from inference.reading import Reading
from inference.tagger import Tagger

__all__ = ["Annotation", "LexiconUse", "ModelInfo", "Named", "Path", "Phases", "Reading", "Tagger"]

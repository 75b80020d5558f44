"""The runtime without torch: a checkpoint in, entities with exact posteriors out."""

from inference.info import ModelInfo
from inference.tagger import Annotation, Tagger

__all__ = ["Annotation", "ModelInfo", "Tagger"]

"""The front door: the `tagbelt` command, and the names that a Python program starts from."""

from inference.tagger import Annotation, Tagger

__all__ = ["Annotation", "Tagger"]

"""From a checkpoint on the disk to a model that is fit to serve: verified, tried and warmed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

import tagbelt.inference
from tagbelt.errors import CheckpointError
from tagbelt.inference import Annotation
from tagbelt.service.models.registry import LoadedModel
from tagbelt.service.models.routing import speaks_chinese
from tagbelt.service.models.served import ServableTagger, Served
from tagbelt.service.models.store import Place

SMOKE_TEXT = "Ada Lovelace wrote to Charles Babbage in London."
SMOKE_TEXT_CHINESE = "李明上周从北京飞往上海，参加华为公司的会议。"

# In sentences; the longest has more tokens than a window.
_LENGTHS = (1, 2, 5, 15, 40)


def smoke_text(served: Served) -> str:
    """A sentence in the model's language."""
    chinese = speaks_chinese(served.info.language)
    return SMOKE_TEXT_CHINESE if chinese else SMOKE_TEXT


def smoke(served: Served) -> None:
    """Tags a sentence. Raises what the model raises, RuntimeError for an answer that cannot be."""
    text = smoke_text(served)
    annotations = _annotate(served, [text])
    if len(annotations) != 1:
        raise RuntimeError(f"{len(annotations)} answers to one test sentence")
    fault = _fault(served, text, annotations[0])
    if fault is not None:
        raise RuntimeError(f"the answer to the test sentence {fault}")


def warm(served: Served) -> None:
    """Tags sentences of several lengths, alone and together, so that the first request is fast."""
    text = smoke_text(served)
    longer = [" ".join([text] * length) for length in _LENGTHS]
    for item in longer:
        _annotate(served, [item])
    _annotate(served, longer)


def _annotate(served: Served, texts: Sequence[str]) -> Sequence[Annotation]:
    return served.tagger.annotate_items([served.tagger.tokenize(text) for text in texts])


def _fault(served: Served, text: str, annotation: Annotation) -> str | None:
    """Return the fault of an annotation of `text`; None when it fits."""
    if not annotation.tokens:
        return "has no tokens"
    if not len(annotation.tokens) == len(annotation.starts) == len(annotation.tags):
        return "has not one tag a token"
    for token, start in zip(annotation.tokens, annotation.starts, strict=True):
        if text[start : start + len(token)] != token:
            return "has tokens that are not in it"
    for entity in annotation.entities:
        if text[entity.start : entity.end] != entity.text:
            return "has entities that are not in it"
        if entity.label not in served.labels:
            return f"has the label {entity.label!r}, which the model does not declare"
        if not (math.isfinite(entity.score) and 0.0 <= entity.score <= 1.0 + 1e-6):
            return f"has the score {entity.score}, which is no probability"
    return None


Load = Callable[[Place], ServableTagger]
"""Reads a checkpoint. Its tagger goes by the place's name and version."""


def checkpoint_loader(threads: int | None, *, encode_forms: bool = False) -> Load:
    """Loads checkpoints for that many threads; None takes all that the process may use.

    With `encode_forms`, new word forms are read by a model's transformer, where it has one.
    """
    return partial(read_checkpoint, threads=threads, encode_forms=encode_forms)


def read_checkpoint(
    place: Place, *, threads: int | None, encode_forms: bool = False
) -> ServableTagger:
    """The tagger of a checkpoint. Raises CheckpointError; also when it changes meanwhile."""
    before = place.digest()
    tagger = tagbelt.inference.Tagger.load(place.path, threads=threads, encode_forms=encode_forms)
    # Files from before and after a replacement would be a model that nobody made.
    if not before == tagger.info.digest == place.digest():
        raise CheckpointError(f"{place.path}: was changed while it was read; try again")
    tagger.info = replace(tagger.info, name=place.name, version=place.version)
    return tagger


def prepare(place: Place, load: Load, *, stamp: str | None = None) -> LoadedModel:
    """Load, try and warm a model; requests can be given to it at once. `stamp` is new unless given.

    Raises CheckpointError, whose message names the path, whatever it is that fails.
    """
    try:
        served = Served(load(place))
        smoke(served)
        warm(served)
    except CheckpointError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "
        raise CheckpointError(f"{place.path}: cannot be served: {kind}{error}") from error
    return LoadedModel(served, place.path, uuid4().hex if stamp is None else stamp)

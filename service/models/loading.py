"""From a checkpoint on the disk to a model that is fit to serve: verified, tried and warmed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import tagbelt.inference
from tagbelt.errors import CheckpointError
from tagbelt.service.models.registry import Loaded
from tagbelt.service.models.served import Served, Tagger
from tagbelt.service.models.smoke import smoke, warm
from tagbelt.service.models.store import Place

Load = Callable[[Place], Tagger]
"""Reads a checkpoint. Its tagger goes by the place's name and version."""


def checkpoint_loader(threads: int | None) -> Load:
    """Loads checkpoints for that many threads; None takes all that the process may use."""
    return partial(read_checkpoint, threads=threads)


def read_checkpoint(place: Place, *, threads: int | None) -> Tagger:
    """The tagger of a checkpoint. Raises CheckpointError; also when it changes meanwhile."""
    before = place.digest()
    tagger = tagbelt.inference.Tagger.load(place.path, threads=threads)
    # Files from before and after a replacement would be a model that nobody made.
    if not before == tagger.info.digest == place.digest():
        raise CheckpointError(f"{place.path}: was changed while it was read; try again")
    tagger.info = replace(tagger.info, name=place.name, version=place.version)
    return tagger


def prepare(place: Place, load: Load, *, stamp: str | None = None) -> Loaded:
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
    return Loaded(served, place.path, uuid4().hex if stamp is None else stamp)

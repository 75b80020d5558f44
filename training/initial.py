"""`init_from`: the checkpoint that a run begins with, and the settings that it brings along."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tagbelt.data.checkpoint.artifact import CONFIG, EMBEDDINGS, Header, read_vocabulary
from tagbelt.data.checkpoint.finding import find_checkpoint
from tagbelt.data.checkpoint.form_table import FormTable
from tagbelt.data.conll.schemes import Scheme
from tagbelt.errors import CheckpointError, ConfigError, ModelNotFoundError
from tagbelt.model.config import ModelConfig, VectorSource
from tagbelt.training.config import RunConfig

STRUCTURE = {
    "words": ("size", "lowercase", "zero_digits", "shape_size"),
    "characters": ("kind", "size", "hidden", "width"),
    "bigrams": ("size",),
    "lexicon": ("vectors", "size"),
    "encoder": ("cell", "peephole", "hidden", "layers", "bidirectional", "attention_heads"),
}
"""Settings of the model that its weights have the shape of, by section."""


def initial_checkpoint(name: str) -> Path:
    """Return the checkpoint that `init_from` means: as `find_checkpoint` has it, a path or a name.

    Raises:
        ConfigError: there is none; the message lists the models that there are.
    """
    try:
        place = find_checkpoint(name)
    except ModelNotFoundError as error:
        raise ConfigError(f"init_from: {error}") from error
    if not (place / CONFIG).is_file():
        raise ConfigError(f"init_from: {place}: no checkpoint here")
    return place


FEW = 1000
"""Below so many sentences a bundled model to begin with is offered."""

BUNDLED = {"word": ("en", "English"), "character": ("zh", "Chinese")}
"""The bundled model, and its language, of texts of each unit."""


def bundled_offer(config: RunConfig, labels: Sequence[str], sentences: int) -> str:
    """Offer a bundled model to begin with where there is little and it knows some of the types."""
    name, language = BUNDLED[config.data.unit]
    if config.init_from is not None or sentences >= FEW or config.language not in ("", name):
        return ""
    try:
        known = Header.read(initial_checkpoint(name)).labels
    except (ConfigError, CheckpointError):
        return ""
    if {label.lower() for label in labels}.isdisjoint(label.lower() for label in known):
        return ""
    return (
        f"Beginning with a bundled model would help most if the text is {language}:"
        f" --set init_from={name}, in a new --out."
    )


NEW_TYPES_RATE = 0.01
"""The learning rate, unless one is given, where nothing but the scores of new types is trained."""


def keeps_old_types(config: RunConfig) -> bool:
    """Tell whether the types of `init_from` stay as they are and new ones alone are trained.

    So it is where no training file speaks of an old type: nothing there could keep them from
    drifting. `init_keep = false` lets all weights move.
    """
    if config.init_from is None or not config.init_keep:
        return False
    old = set(Header.read(initial_checkpoint(config.init_from)).labels)
    spoken = [source.annotates for source in config.data.train]
    return all(types is not None and old.isdisjoint(types) for types in spoken)


def fitted(config: RunConfig) -> RunConfig:
    """Take over what the weights of `init_from` ask for: unit, scheme and the network's shape.

    Other settings, as dropout, stay those of the config.

    Raises:
        ConfigError: no such checkpoint, or settings that are given and do not fit it; all are told.
        CheckpointError: it is damaged.
    """
    if config.init_from is None:
        return config
    place = initial_checkpoint(config.init_from)
    header = Header.read(place)
    model, width = _model_of(place, header)
    faults: list[str] = []
    if config.data.gazetteers:
        faults.append("data.gazetteers are given, where its own term lists come with it")
    vectors = config.model.vectors or model.vectors
    faults += _source_faults(vectors, model.vectors)
    data = _taken(config.data, {"unit": header.unit, "tags": header.scheme}, "data", faults)
    sections: dict[str, Any] = {}
    for name, keys in STRUCTURE.items():
        theirs = {key: getattr(getattr(model, name), key) for key in keys}
        ours = getattr(config.model, name)
        if name == "words":
            theirs["size"] = width
            if ours.vectors is not None:  # they decide the size
                ours = ours.model_copy(update={"size": width})
        sections[name] = _taken(ours, theirs, f"model.{name}", faults)
    if faults:
        raise ConfigError(
            f"init_from: {place} does not fit: {'; '.join(faults)}; leave out what it decides"
        )
    sections["vectors"] = vectors
    update = {"data": data, "model": config.model.model_copy(update=sections)}
    if keeps_old_types(config):
        if len(config.model.vectors) > len(model.vectors):
            raise ConfigError(
                "model.vectors: a new source would stay unread where the old types are kept:"
                " leave it out, or say init_keep = false"
            )
        if config.optimiser.weight_decay:
            raise ConfigError("optimiser.weight_decay would move the types that are kept: leave it")
        if "learning_rate" not in config.optimiser.model_fields_set:
            rate = {"learning_rate": NEW_TYPES_RATE}
            update["optimiser"] = config.optimiser.model_copy(update=rate)
    return config.model_copy(update=update)


def begun_sources(config: RunConfig) -> tuple[VectorSource, ...]:
    """Return the sources of vectors of the model that a run begins with, in its order."""
    if config.init_from is None:
        return ()
    place = initial_checkpoint(config.init_from)
    return _model_of(place, Header.read(place))[0].vectors


def begun_tables(config: RunConfig) -> tuple[dict[VectorSource, FormTable], tuple[str, ...]]:
    """Return the vectors of each of `begun_sources`, and the words that these are of."""
    sources = begun_sources(config)
    if config.init_from is None or not sources:
        return {}, ()
    known = read_vocabulary(initial_checkpoint(config.init_from))
    return dict(zip(sources, known.forms, strict=True)), known.words


def _source_faults(ours: Sequence[VectorSource], theirs: Sequence[VectorSource]) -> list[str]:
    """Say which sources of the checkpoint the config lacks, or has otherwise; more may join."""
    given = {source.source: source for source in ours}
    faults = []
    for source in theirs:
        name = source.source
        if name not in given:
            faults.append(f"model.vectors lacks {name!r}, which it reads: give that source too")
            continue
        faults += [
            f"{key} of {name!r} in model.vectors is {new!r}, its own {old!r}"
            for key in ("train", "size")
            if (new := getattr(given[name], key)) != (old := getattr(source, key))
        ]
    return faults


def _model_of(place: Path, header: Header) -> tuple[ModelConfig, int]:
    """Return a checkpoint's model settings and the width of its word vectors."""
    try:
        model = ModelConfig.model_validate_json(json.dumps(header.model))
        with safe_open(place / EMBEDDINGS, "numpy") as tables:
            return model, int(tables.get_slice("embeddings").get_shape()[1])
    except (ValueError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{place}: can't be read: {error}") from error


def _taken(ours: Any, theirs: dict[str, Any], section: str, faults: list[str]) -> Any:
    """Return a section with the checkpoint's values; what is given otherwise is a fault."""
    for key, value in theirs.items():
        given = getattr(ours, key)
        if key in ours.model_fields_set and given != value:
            told = (str(v) if isinstance(v, Scheme) else v for v in (given, value))
            faults.append("{}.{} is {!r}, its own {!r}".format(section, key, *told))
    return ours.model_copy(update=theirs)

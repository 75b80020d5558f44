"""Weights of another checkpoint for a network that is to be trained."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tagbelt.data.checkpoint.vocabulary import UNKNOWN, UNKNOWN_CHARACTER, Vocabulary
from tagbelt.errors import ConfigError
from tagbelt.model.checkpoint import load_network
from tagbelt.model.features.embedding import WordEmbedding
from tagbelt.model.network import Network

TAGS = ("emissions.weight", "emissions.bias")
MOVES = tuple(f"crf.parameters_of.{end}_transitions" for end in ("start", "end"))
STEPS = "crf.parameters_of.transitions"
WORDS = ("words.embedding.trained", "words.embedding.fixed")
CHARACTERS = "words.characters.weight"
BIGRAMS = "context.bigrams.weight"
INPUTS = tuple(f"encoder.layers.0.network.{name}" for name in ("input_weight", "weight_ih"))
"""Beginnings of the names of weights that multiply a token's features."""


@torch.no_grad()
def take_over(
    network: Network,
    vocabulary: Vocabulary,
    tags: Sequence[str],
    labels: Sequence[str],
    place: Path,
) -> list[str]:
    """Give a network all weights of a checkpoint that it has a place for; say which those are.

    The two have the same shape but for words, characters, pairs, tags and more sources of vectors,
    which the encoder reads as nothing at first. A word or character that
    the checkpoint lacks begins as its unknown one, unless the word has a pretrained vector; weights
    of new tags stay as they are.

    Raises:
        CheckpointError: a checkpoint without float weights, or a damaged one.
        ConfigError: a source of vectors that is of another width now, or whose projection the
            checkpoint does not keep.
    """
    old, known, header = load_network(place)
    weights, theirs = network.state_dict(), old.state_dict()
    special = {*TAGS, *MOVES, STEPS, *WORDS, CHARACTERS, BIGRAMS}
    _take_sources(network, vocabulary, old, known)
    columns = _columns(network, old)
    for name, value in theirs.items():
        if name.startswith(INPUTS):
            # What a new source says is read as nothing, so that the model begins as it was.
            weights[name].zero_()[..., columns] = value
        elif name not in special:
            weights[name].copy_(value)
    new_words = _take_words(network, vocabulary, known, old.words.embedding.table())
    new_characters = 0
    if CHARACTERS in theirs:
        rows = {c: i for i, c in enumerate(known.characters, start=UNKNOWN_CHARACTER + 1)}
        found = [rows.get(c, UNKNOWN_CHARACTER) for c in vocabulary.characters]
        new_characters = found.count(UNKNOWN_CHARACTER)
        weights[CHARACTERS].copy_(theirs[CHARACTERS][[0, UNKNOWN_CHARACTER, *found]])
    if known.bigrams is not None and vocabulary.bigrams is not None:
        places = {pair: i for i, pair in enumerate(known.bigrams.pairs, start=1)}
        pairs = [0, *(places.get(pair, 0) for pair in vocabulary.bigrams.pairs)]
        weights[BIGRAMS].copy_(theirs[BIGRAMS][pairs])
    _take_tags(weights, theirs, tags, header.tags)
    return [
        f"begins as {header.name} {header.version} ({place}): encoder and features,"
        f" {len(known.words) - 1:,} words and {len(known.characters):,} characters;"
        f" {new_words:,} words and {new_characters:,} characters are new",
        _labels_line(labels, header.labels),
    ]


def train_new_tags(network: Network, tags: Sequence[str], known: Sequence[str]) -> None:
    """Leave all weights as they are but for the scores of tags that are not `known`.

    These read the encoder as it is, so that what the known tags score stays the same to the bit.
    """
    is_new = torch.tensor([tag not in known for tag in tags])
    masks = dict.fromkeys((*TAGS, *MOVES), is_new) | {STEPS: is_new[:, None] | is_new}
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in masks)
        if name in masks:
            mask = masks[name].view(-1, 1) if name == TAGS[0] else masks[name]
            weight.register_hook(partial(_masked, mask))  # type: ignore[no-untyped-call]


def _masked(mask: Tensor, gradient: Tensor) -> Tensor:
    return gradient * mask.to(gradient)


def _columns(network: Network, old: Network) -> list[int]:
    """Return where each feature of the old network stands among those of the new one."""
    ours, theirs = network.words.sources, old.words.sources
    begin = old.words.size - theirs.size
    columns = [*range(begin)]
    places = dict(zip(_names(network), ours.places, strict=True))
    for name in _names(old):
        columns += [begin + place for place in places[name]]
    return [*columns, *range(network.words.size, network.row_size)]


def _names(network: Network) -> list[str]:
    return [source.source for source in network.config.vectors]


def _take_sources(
    network: Network, vocabulary: Vocabulary, old: Network, known: Vocabulary
) -> None:
    """Copy what was learned of the sources that both have; frozen vectors are read anew."""
    ours = dict(zip(_names(network), network.words.sources.each, strict=True))
    for name, table in zip(_names(old), known.forms, strict=True):
        source = ours[name]
        if source.size != table.size:
            raise ConfigError(
                f"init_from: {name} has {source.size} numbers a word, in the checkpoint"
                f" {table.size}: give the vectors that it was trained with"
            )
        if source.projection is not None:
            projection = table.transformer and table.transformer.projection
            if projection is None:
                raise ConfigError(
                    f"init_from: {name} in model.vectors was projected to {source.size} numbers:"
                    " of a list of words a checkpoint keeps no projection, so it can't go on"
                )
            source.projection.weight.copy_(torch.from_numpy(projection.T))
        if source.table is not None:
            rows = torch.from_numpy(table.rows.take(np.arange(len(known.words))))
            _take_rows(source.table, vocabulary, known, rows)


def _take_words(network: Network, vocabulary: Vocabulary, known: Vocabulary, table: Tensor) -> int:
    """Copy the vectors of all words that are known; return how many are not."""
    embedding = network.words.embedding
    _take_rows(embedding, vocabulary, known, table)
    return len({*vocabulary.words} - {*known.words})


def _take_rows(
    embedding: WordEmbedding, vocabulary: Vocabulary, known: Vocabulary, table: Tensor
) -> None:
    """Copy the rows of known words; a new one begins as the unknown one unless it has a vector."""
    rows = {word: row for row, word in enumerate(known.words)}
    found = [
        rows.get(word, -1 if row in embedding.pretrained else UNKNOWN)
        for row, word in enumerate(vocabulary.words)
    ]
    ours = embedding.table()
    targets = torch.tensor([row for row, source in enumerate(found) if source >= 0])
    ours[targets] = table[[source for source in found if source >= 0]]
    embedding.trained.copy_(ours[: len(embedding.trained)])
    embedding.fixed.copy_(ours[len(embedding.trained) :])


def _take_tags(
    weights: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    tags: Sequence[str],
    known: Sequence[str],
) -> None:
    """Copy what belongs to tags that both have."""
    shared = [tag for tag in tags if tag in known]
    ours = torch.tensor([tags.index(tag) for tag in shared])
    their = torch.tensor([known.index(tag) for tag in shared])
    for name in (*TAGS, *MOVES):
        weights[name][ours] = theirs[name][their]
    weights[STEPS][ours[:, None], ours] = theirs[STEPS][their[:, None], their]


def _labels_line(labels: Sequence[str], known: Sequence[str]) -> str:
    parts = {
        "types that it had": [label for label in labels if label in known],
        "new types": [label for label in labels if label not in known],
        "its types that are gone": [label for label in known if label not in labels],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)

"""Weights of another checkpoint for a network that is to be trained."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from tagbelt.data.checkpoint.vocabulary import UNKNOWN, UNKNOWN_CHARACTER, Vocabulary
from tagbelt.model.checkpoint import load_network
from tagbelt.model.network import Network

TAGS = ("emissions.weight", "emissions.bias")
MOVES = tuple(f"crf.parameters_of.{end}_transitions" for end in ("start", "end"))
STEPS = "crf.parameters_of.transitions"
WORDS = ("words.embedding.trained", "words.embedding.fixed")
CHARACTERS = "words.characters.weight"
BIGRAMS = "context.bigrams.weight"


@torch.no_grad()
def take_over(
    network: Network,
    vocabulary: Vocabulary,
    tags: Sequence[str],
    labels: Sequence[str],
    place: Path,
) -> list[str]:
    """Give a network all weights of a checkpoint that it has a place for; say which those are.

    The two have the same shape but for words, characters, pairs and tags. A word or character that
    the checkpoint lacks begins as its unknown one, unless the word has a pretrained vector; weights
    of new tags stay as they are.

    Raises:
        CheckpointError: a checkpoint without float weights, or a damaged one.
    """
    old, known, header = load_network(place)
    weights, theirs = network.state_dict(), old.state_dict()
    special = {*TAGS, *MOVES, STEPS, *WORDS, CHARACTERS, BIGRAMS}
    for name, value in theirs.items():
        if name not in special:
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


def _take_words(network: Network, vocabulary: Vocabulary, known: Vocabulary, table: Tensor) -> int:
    """Copy the vectors of all words that are known; return how many are not."""
    rows = {word: row for row, word in enumerate(known.words)}
    embedding = network.words.embedding
    has_vector = embedding.pretrained
    found = [
        rows.get(word, -1 if row in has_vector else UNKNOWN)
        for row, word in enumerate(vocabulary.words)
    ]
    ours = embedding.table()
    targets = torch.tensor([row for row, source in enumerate(found) if source >= 0])
    ours[targets] = table[[source for source in found if source >= 0]]
    embedding.trained.copy_(ours[: len(embedding.trained)])
    embedding.fixed.copy_(ours[len(embedding.trained) :])
    return sum(word not in rows for word in vocabulary.words)


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

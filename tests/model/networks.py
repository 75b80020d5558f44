"""Tiny networks with random weights, and what torch makes of a sentence."""

import random
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.checkpoint.bigrams import build_bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary, build_vocabulary
from tagbelt.data.conll.schemes import Scheme, tag_set
from tagbelt.data.lexicon.gazetteer import Gazetteer, Term
from tagbelt.data.lexicon.soft_lexicon import SoftLexicon
from tagbelt.inference.crf.algorithms import viterbi
from tagbelt.inference.crf.parameters import CrfParameters
from tagbelt.model.batch import encode
from tagbelt.model.config import (
    CELLS,
    BigramConfig,
    CharacterConfig,
    EncoderConfig,
    LexiconConfig,
    ModelConfig,
    WordConfig,
)
from tagbelt.model.network import Network

LABELS = ("PER", "LOC-X")
KNOWN = ["Anna", "went", "to", "Paris", ",", "in", "1999", ".", "北京", "naïve", "U.S."]
PRETRAINED = ["went", "river", "tokyo", "house"]
UNSEEN = [
    "Zürich",
    "x" * 300,
    "",
    "\u200b",
    "1234",
    "ANNA",
    "😀",
    "Tokyo",
    "qwertz",
    "O'Neil-Smith",
]
ALL_CELLS = [
    *((cell, False) for cell in CELLS),
    ("lstm-coupled", True),
    ("lstm-coupled", ("output",)),
    ("lstm-peephole", ("forget",)),
]


TERMS = [
    Term("place", ("Paris",), 2.0),
    Term("place", ("to", "Paris"), 1.0),
    Term("place", ("Tokyo", ",", "in"), 1.0),
    Term("time", ("in", "1999")),
    Term("time", ("in", "1999", ".", "Anna")),
]
LEXICON = [",", ".", ",.", ".,."]
CONTEXT = ("bigrams", "flags", "lexicon")


def make_vocabulary(context=()) -> Vocabulary:
    """Words of three sorts: seen in training, with a pretrained vector only, unknown.

    `context` names what else it knows, of `CONTEXT`.
    """
    return replace(
        build_vocabulary([KNOWN], pretrained=PRETRAINED, extra=2),
        bigrams=build_bigrams([KNOWN, KNOWN[::2]]) if "bigrams" in context else None,
        gazetteer=Gazetteer(TERMS) if "flags" in context else None,
        lexicon=SoftLexicon(LEXICON, [4, 3, 2, 1]) if "lexicon" in context else None,
    )


def make_config(*, kind="cnn", shape_size=3, constrain=True, context=(), **encoder) -> ModelConfig:
    return ModelConfig(
        bigrams=BigramConfig(size=5 if "bigrams" in context else 0),
        lexicon=LexiconConfig(vectors="tiny" if "lexicon" in context else None, size=2),
        words=WordConfig(size=6, shape_size=shape_size),
        characters=CharacterConfig(kind=kind, size=5, hidden=4),
        encoder=EncoderConfig(**{"hidden": 6, **encoder}),
        crf={"constrain_training": constrain},
    )


def make_network(
    seed=0, *, scheme=Scheme.IOB2, labels=LABELS, scale=1.0, context=(), **options
) -> Network:
    """A network in evaluation mode with no weight left at a value that hides a mistake."""
    torch.manual_seed(seed)
    config, vocabulary = make_config(context=context, **options), make_vocabulary(context)
    network = Network(config, vocabulary, tag_set(labels, scheme), scheme)
    with torch.no_grad():
        network.words.embedding.fixed.normal_()
        if network.context.lexicon is not None:
            network.context.lexicon.normal_()
        for name, parameter in network.named_parameters():
            if "bias" in name or "peephole" in name:
                nn.init.normal_(parameter, std=0.5)
            elif "crf" in name:
                nn.init.normal_(parameter, std=2.0)
            parameter.mul_(scale)
    return network.eval()


def vocabulary_of(network: Network) -> Vocabulary:
    """The vocabulary that `make_network` gave it."""
    context = network.context
    has = {
        "bigrams": context.bigrams is not None,
        "flags": context.flags > 0,
        "lexicon": context.lexicon is not None,
    }
    return make_vocabulary([name for name in CONTEXT if has[name]])


def make_sentences(seed: int, lengths: list[int]) -> list[list[str]]:
    chance = random.Random(seed)
    return [chance.choices(KNOWN + UNSEEN + PRETRAINED, k=length) for length in lengths]


def make_header(network: Network, scheme=Scheme.IOB2, labels=LABELS, **options) -> Header:
    return Header(
        name="tiny",
        unit="word",
        scheme=scheme,
        labels=labels,
        tags=tag_set(labels, scheme),
        model=network.config.model_dump(mode="json"),
        **options,
    )


@torch.no_grad()
def torch_emissions(network: Network, sentences: list[list[str]]) -> list[np.ndarray]:
    """Emissions [n, K] of each sentence, all of them in one batch."""
    batch = encode(sentences, vocabulary_of(network)).batch(range(len(sentences)))
    padded, lengths = pad_packed_sequence(PackedSequence(network(batch), batch.batch_sizes))
    found = [np.empty(0)] * len(sentences)
    for column, index in enumerate(batch.index.tolist()):
        found[index] = padded[: int(lengths[column]), column].numpy()
    return found


def torch_paths(network: Network, sentences: list[list[str]]) -> list[list[int]]:
    """The best path of each sentence, decoded on its own."""
    crf = CrfParameters(*(score.detach().numpy() for score in network.crf.scores()))
    paths = []
    for scores in torch_emissions(network, sentences):
        path, _ = viterbi(scores[:, None], np.array([len(scores)]), crf)
        paths.append(path[:, 0].tolist())
    return paths

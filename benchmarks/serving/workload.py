"""The requests that the service is measured with: sentences of about 20 tokens of CoNLL-2003."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.materials import CONLL, sentences
from benchmarks.common.options import parser as base_parser
from benchmarks.serving.loadgen import post

MODELS = ROOT / "checkpoints"
PATH = "/v1/tag"
CONSTANT = "/constant"
"""The endpoint of `constant.py`."""
CLIENTS = (1, 8, 64, 256)
THREADS = (1, 2)
"""Of a server that is asked many texts at a time."""
LENGTHS = range(18, 23)
TEXTS = 64
"""In a request of many."""
DATA = "sentences of 18 to 22 tokens of CoNLL-2003 test, tokens joined by blanks"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options of all measurements, and --models."""
    made = base_parser(doc)
    made.add_argument("--models", type=Path, default=MODELS)
    return made


def word_lists(data: Path | None) -> list[list[str]]:
    """The sentences, as tokens. Raises MaterialError without the data."""
    found = sentences(data, CONLL.format("test"))
    return [words for words in found if len(words) in LENGTHS]


def joined(words: Sequence[Sequence[str]]) -> list[str]:
    """Sentences as texts."""
    return [" ".join(sentence) for sentence in words]


def single(
    url: str, texts: Sequence[str], path: str = PATH, headers: Mapping[str, str] | None = None
) -> list[bytes]:
    """A request for each text."""
    return [post(url, path, json.dumps({"text": text}).encode(), headers) for text in texts]


def many(url: str, texts: Sequence[str], headers: Mapping[str, str] | None = None) -> list[bytes]:
    """Requests of TEXTS texts each; the few that are left over are left out."""
    starts = range(0, len(texts) - TEXTS + 1, TEXTS)
    bodies = (json.dumps({"texts": texts[at : at + TEXTS]}).encode() for at in starts)
    return [post(url, PATH, body, headers) for body in bodies]

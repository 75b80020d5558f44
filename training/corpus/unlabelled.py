"""Unlabelled sentences to learn from teachers by."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import SEPARATORS, Sentence, Unit
from tagbelt.errors import ConfigError
from tagbelt.training.config import RunConfig
from tagbelt.training.data_config import TextSource


def unlabelled_sentences(config: RunConfig) -> tuple[Sentence, ...]:
    """Read the text of a config's distillation; the sentences have no spans.

    Raises:
        ConfigError: a file that is not there, that can't be read or that holds no sentence.
        ConllError: rows that can't be read; the message names the line.
    """
    if config.distillation is None:
        return ()
    found: list[Sentence] = []
    for path, source in config.unlabelled():
        if not path.exists():
            raise ConfigError(f"distillation.text: no such file: {path}")
        before = len(found)
        found += _sentences(path, source, config.data.unit)
        if len(found) == before:
            raise ConfigError(f"distillation.text: no sentence in {path}")
    return tuple(evenly(found, config.distillation.sentences))


def evenly(sentences: list[Sentence], most: int | None) -> list[Sentence]:
    """Return at most so many, evenly from first to last, without chance."""
    if most is None or most >= len(sentences):
        return sentences
    return [sentences[index * len(sentences) // most] for index in range(most)]


def _sentences(path: Path, source: TextSource, unit: Unit) -> Iterator[Sentence]:
    if source.column is not None:
        columns, separator = {"token": source.column}, SEPARATORS[source.separator]
        yield from read_conll(path, columns=columns, separator=separator).sentences
        return
    for number, line in enumerate(_text(path).split("\n"), start=1):
        for tokens in tokenize(line, unit):
            yield Sentence(tokens.words, None, number)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(f"distillation.text: {path}: can't be read: {error}") from error

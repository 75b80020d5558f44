"""Write CoNLL files: sentences as rows, and files rewritten in another scheme."""

import gzip
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO

from tagbelt.data.conll.partial import sentence_tags
from tagbelt.data.conll.reading import AnnotatedFile, Block
from tagbelt.data.conll.rows import BOM, DOCSTART
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Sentence, Separator
from tagbelt.errors import DataError

# Where a space separates, a tab does too: the default reading splits at both.
_BREAKING = {"\t": re.compile("[\n\r\t]"), " ": re.compile("[\n\r\t ]")}


def write_conll(
    target: str | os.PathLike[str] | IO[str],
    sentences: Iterable[Sentence],
    *,
    scheme: Scheme = Scheme.IOB2,
    separator: Separator = "\t",
    document_starts: Iterable[int] = (),
) -> None:
    r"""Write sentences as rows of token and tag, or of the token alone if all spans are None.

    `target` is a path, gzipped if it ends in .gz, or a text stream. A -DOCSTART- row is written
    before each sentence of which `document_starts` has the index. What is written reads back to
    the same tokens, spans, open parts and documents with the same separator ("\t" also if tokens
    are empty or hold spaces; otherwise none need be stated). Nothing is written if anything cannot
    be.

    Raises ValueError, naming the sentence, for what would not read back: a sentence without
    tokens, a token or label with a separator or line break in it, an empty token where " "
    separates, a token named -DOCSTART-, labelled and unlabelled sentences mixed.
    """
    if separator not in (" ", "\t"):
        raise ValueError(f"separator is ' ' or '\\t', not {separator!r}")
    sentences = tuple(sentences)
    texts = [_rendered(i, sentence, scheme, separator) for i, sentence in enumerate(sentences)]
    unlabelled = {sentence.spans is None for sentence in sentences}
    if len(unlabelled) > 1:
        raise ValueError("labelled and unlabelled sentences cannot be written to one file")
    text = _with_documents(texts, document_starts, "" if unlabelled == {True} else f"{separator}O")
    if text.startswith(BOM):
        # At the start of a file it would be taken for the mark; a blank line keeps it a character.
        text = "\n" + text
    _put(target, text)


def conll_text(
    sentences: Sequence[Sentence],
    document_starts: Sequence[int],
    scheme: Scheme,
    separator: Separator,
) -> str:
    """Write rows of token and tag. Raises DataError for what does not fit into rows."""
    for sentence in sentences:
        _tags(sentence, scheme, "")
    text = io.StringIO(newline="")
    try:
        write_conll(
            text, sentences, scheme=scheme, separator=separator, document_starts=document_starts
        )
    except ValueError as error:
        raise DataError(f"cannot be written as CoNLL rows: {error}") from error
    return text.getvalue()


def retag(
    file: AnnotatedFile, scheme: Scheme, *, keep: Sequence[int] | None, separator: Separator
) -> str:
    """Rewrite a file: new tags, the columns `keep` (or all), comments and documents as they are.

    Raises DataError for what the scheme or the separator has no room for.
    """
    raw = file.raw
    layout = raw.layout
    tags: dict[int, str] = {}
    for block, sentence in zip(raw.blocks, file.sentences, strict=True):
        tags.update(zip(block.lines(), _tags(sentence, scheme, raw.path, block), strict=True))
    written = []
    for number, line in enumerate(raw.lines, start=1):
        cells = layout.split(line)
        if number in tags and layout.tag is not None:
            cells = [*cells]
            cells[layout.tag] = tags[number]
        elif cells and DOCSTART not in cells:
            written.append(line)  # a comment
            continue
        kept = cells if keep is None or len(cells) != layout.width else [cells[n] for n in keep]
        if any(separator in cell for cell in kept) or (separator == " " and "" in kept):
            message = f"a cell does not go between separators {separator!r}: {kept}"
            raise DataError(f"{raw.path}:{number}: {message}")
        written.append(separator.join(kept))
    return "\n".join(written).rstrip("\n") + "\n"


def _rendered(index: int, sentence: Sentence, scheme: Scheme, separator: str) -> str:
    """The rows of one sentence, with the blank line behind it."""
    tokens = sentence.tokens
    try:
        if not tokens:
            raise ValueError("it has no tokens, which a file cannot show")
        columns = [tokens]
        if sentence.spans is not None:
            columns.append(sentence_tags(sentence, scheme))
        _check_cells(dict.fromkeys(chain.from_iterable(columns)), separator)
        if (separator == " " and "" in tokens) or (
            sentence.spans is None and any(not token.strip(" \t") for token in tokens)
        ):
            raise ValueError("a token is empty or blank, which here would not read as one")
        text = "\n".join(map(separator.join, zip(*columns, strict=True)))
        text.encode("utf-8")
    except ValueError as error:
        raise ValueError(f"sentence {index} cannot be written: {error}") from error
    return f"{text}\n\n"


def _check_cells(cells: Iterable[str], separator: str) -> None:
    broken = _BREAKING[separator].search
    for cell in cells:
        if broken(cell):
            raise ValueError(f"{cell!r} holds a separator or a line break")
        if cell == DOCSTART:
            raise ValueError(f"a token {DOCSTART} reads as the start of a document")


def _with_documents(texts: list[str], document_starts: Iterable[int], tag: str) -> str:
    pieces = []
    starts = Counter(document_starts)
    if not starts.keys() <= set(range(len(texts) + 1)):
        raise ValueError(f"document starts {sorted(starts)} reach beyond {len(texts)} sentences")
    for index, text in enumerate([*texts, ""]):
        pieces.append(f"{DOCSTART}{tag}\n\n" * starts[index])
        pieces.append(text)
    return "".join(pieces)


def _put(target: str | os.PathLike[str] | IO[str], text: str) -> None:
    if not isinstance(target, str | os.PathLike):
        target.write(text)
        return
    raw = text.encode("utf-8")
    if os.fspath(target).endswith(".gz"):
        raw = gzip.compress(raw, mtime=0)
    Path(target).write_bytes(raw)


def _tags(
    sentence: Sentence, scheme: Scheme, path: str, block: Block | None = None
) -> tuple[str, ...]:
    try:
        return sentence_tags(sentence, scheme)
    except ValueError as error:
        place = f"{path}:{block.line}: " if block else ""
        raise DataError(f"{place}{error}") from error

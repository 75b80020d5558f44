"""spaCy's `.spacy` files: documents with tokens, entities and, where they are, sentences.

Needs spaCy, which is imported when a file is read.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tagbelt.data.formats.record import Losses, Mark, Record
from tagbelt.data.types import Open
from tagbelt.errors import DataError

if TYPE_CHECKING:
    from spacy.tokens import Doc

MISSING = 0
"""`ent_iob` of a token that nobody labelled, which spaCy also writes as `-`."""


def read_docbin(path: Path, losses: Losses) -> list[Record]:
    """Read each sentence of each document, or the document where no sentences are marked.

    Documents without annotated entities are left out, which `losses` tells. Tokens whose
    annotation is missing are unlabelled.

    Raises DataError for what is no such file, and ImportError without spaCy.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    content = path.read_bytes()
    try:
        docs = [*DocBin().from_bytes(content).get_docs(Vocab())]
    except Exception as error:  # whatever spaCy, numpy and msgpack make of broken bytes
        raise DataError(
            f"{path}: not a whole .spacy file that this spaCy reads: {error}"
        ) from error
    # Numbered only if that tells more than that each text is one.
    are_cut = any(len(_bounds(doc)) > 2 for doc in docs)
    records: list[Record] = []
    for number, doc in enumerate(docs, start=1):
        name = f"{path}: doc {number}"
        for key in doc.spans:
            if len(doc.spans[key]):
                message = f"{len(doc.spans[key])} spans of the group {key!r}"
                losses.add("not-a-span", name, None, message)
        if len(doc) and not doc.has_annotation("ENT_IOB"):
            losses.add("not-annotated", name, None, "the entities of all its tokens are missing")
            continue
        records += _records(doc, name, number if are_cut else None)
    return records


def _bounds(doc: "Doc") -> list[int]:
    """The first token of each sentence, and the number of tokens; none breaks an entity."""
    if not doc.has_annotation("SENT_START"):
        return [0, len(doc)]
    inside = {index for ent in doc.ents for index in range(ent.start + 1, ent.end)}
    starts = [t.i for t in doc if t.i and t.is_sent_start and t.i not in inside]
    return [0, *starts, len(doc)]


def _records(doc: "Doc", name: str, document: int | None) -> Iterator[Record]:
    for start, end in pairwise(_bounds(doc)):
        part = doc[start:end]
        first = part.start_char
        tokens = tuple((t.idx - first, t.idx - first + len(t.text)) for t in part)
        marks = tuple(
            Mark(ent.start_char - first, ent.end_char - first, ent.label_)
            for ent in doc.ents
            if start <= ent.start < end
        )
        missing = tuple(
            Open(*extent)
            for token, extent in zip(part, tokens, strict=True)
            if token.ent_iob == MISSING
        )
        yield Record(part.text, marks, tokens, document, {}, name, None, missing)

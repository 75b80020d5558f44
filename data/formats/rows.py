"""CoNLL rows: from records, and rewritten in another scheme with all else as it was."""

import io
from collections.abc import Sequence

from tagbelt.data.conll.reading import write_conll
from tagbelt.data.conll.rows import DOCSTART, Separator
from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.data.conll.tolerant import Annotated, Block
from tagbelt.data.types import Sentence
from tagbelt.errors import DataError


def render(
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
    file: Annotated, scheme: Scheme, *, keep: Sequence[int] | None, separator: Separator
) -> str:
    """Rewrite a file: new tags, the columns `keep` (or all), comments and documents as they are.

    Raises DataError for what the scheme or the separator has no room for.
    """
    loose = file.loose
    layout = loose.layout
    tags: dict[int, str] = {}
    for block, sentence in zip(loose.blocks, file.sentences, strict=True):
        tags.update(zip(block.lines, _tags(sentence, scheme, loose.path, block), strict=True))
    written = []
    for number, line in enumerate(loose.lines, start=1):
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
            raise DataError(f"{loose.path}:{number}: {message}")
        written.append(separator.join(kept))
    return "\n".join(written).rstrip("\n") + "\n"


def _tags(
    sentence: Sentence, scheme: Scheme, path: str, block: Block | None = None
) -> tuple[str, ...]:
    try:
        return spans_to_tags(sentence.spans or (), len(sentence.tokens), scheme)
    except ValueError as error:
        place = f"{path}:{block.line}: " if block else ""
        raise DataError(f"{place}{error}") from error

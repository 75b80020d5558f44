"""Reading an annotated file as a layout says."""

from pathlib import Path

from tagbelt.data.conll.reading import FIRST_AND_LAST, Corpus, read_conll
from tagbelt.data.types import SEPARATORS
from tagbelt.training.config import Layout


def read_source(path: Path, layout: Layout) -> Corpus:
    """Read one file.

    Raises:
        ConllError: the file does not fit its layout; the message names the line.
    """
    return read_conll(
        path,
        columns=layout.columns or FIRST_AND_LAST,
        separator=SEPARATORS[layout.separator],
        scheme=layout.scheme,
        on_invalid=layout.on_invalid,
    )

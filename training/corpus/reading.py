"""Reading an annotated file as a layout says."""

from pathlib import Path
from typing import Literal

from tagbelt.data.conll.reading import Corpus, read_conll
from tagbelt.data.conll.tolerant import FIRST_AND_LAST
from tagbelt.training.config import Layout

SEPARATORS: dict[str, Literal["\t", " "] | None] = {"whitespace": None, "tab": "\t", "space": " "}


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

"""Options that several subcommands take."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.data.conll.styles import TagStyle


class Precision(StrEnum):
    """Which graph of a checkpoint runs."""

    auto = "auto"
    float32 = "float32"
    int8 = "int8"


Model = Annotated[
    Path, typer.Option("--model", "-m", help="A checkpoint directory or a model's name.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads; all the cores the process may use unless given.")
]
Chosen = Annotated[
    Precision,
    typer.Option(help="Which graph runs; auto is the one that the checkpoint was found to serve."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Names of a CoNLL file's columns, such as token,pos,chunk,tag. "
        "Unless given, tokens stand first and tags last."
    ),
]
Separator = Annotated[
    str, typer.Option(help="What separates columns: whitespace, tab or space.", show_default=True)
]
TagScheme = Annotated[
    str | None,
    typer.Option(
        help="Tag scheme: IO, IOB1, IOB2, BMES, BIOES or BILUO; recognised from the tags unless "
        "given."
    ),
]
TagStyleOption = Annotated[
    TagStyle,
    typer.Option(
        "--tag-style",
        help="How a CoNLL file writes tags: hyphen (B-PER), underscore (B_PER), lower (b-PER) or "
        "bare (B; the type is ENTITY).",
    ),
]
Repair = Annotated[
    bool,
    typer.Option("--repair", help="Read invalid tags as conlleval does, not as an error."),
]

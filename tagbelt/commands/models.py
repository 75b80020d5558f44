"""`tagbelt package`, `pull` and `push`: a checkpoint as a wheel, from elsewhere, to elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told

Checkpoint = Annotated[Path, typer.Argument(help="A checkpoint, a run, or a model's name.")]


def package_command(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="The folder that the wheel is written to.")] = Path(
        "dist"
    ),
    version: Annotated[
        str | None, typer.Option(help="The wheel's version; the checkpoint's unless given.")
    ] = None,
) -> None:
    """Write a checkpoint as a wheel: pip installs it, and its name loads it."""
    with told("package"):
        from tagbelt.data.checkpoint.sharing import write_wheel

        typer.echo(write_wheel(checkpoint, out, version=version))


def pull_command(
    source: Annotated[
        str,
        typer.Argument(help="OWNER/NAME[@REVISION] of the hub, an http address, or a directory."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The directory to write; the last part of the source unless given."),
    ] = None,
) -> None:
    """Bring a checkpoint here; it counts only if its files are what its sums say."""
    with told("pull"):
        from tagbelt.data.checkpoint.sharing import pull

        typer.echo(pull(source, out))


def push_command(
    checkpoint: Checkpoint,
    target: Annotated[str, typer.Argument(help="OWNER/NAME of the hub, or a directory.")],
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is for its owner alone.")
    ] = False,
) -> None:
    """Bring a checkpoint to the Hugging Face hub, or to a directory."""
    with told("push"):
        from tagbelt.data.checkpoint.sharing import push

        typer.echo(push(checkpoint, target, private=private))

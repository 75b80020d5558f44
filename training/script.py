"""`tagbelt train`, also `python -m training.train`: options in, messages and exit code out.

Light to import: the `tagbelt` command takes it in for its help, whatever it is asked to do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")

PACKAGES = {"torch", "torchcrf", "onnx", "seqeval", "sklearn", "tensorboard"}
"""What training needs and serving does not."""

ConfigPath = Annotated[Path, typer.Argument(help="A TOML config, such as configs/conll2003.toml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; repeatable."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Directory of the run; runs/ and the config's name unless given."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]


def command(
    config: ConfigPath, overrides: Overrides = None, out: Out = None, resume: Resume = False
) -> None:
    """Train a tagger on CoNLL files; the best epoch ends up in OUT/checkpoint."""
    raise typer.Exit(train_script(config, overrides or [], out=out, resume=resume))


def train_script(
    config_path: Path, overrides: Sequence[str], *, out: Path | None = None, resume: bool = False
) -> int:
    """Train; return the exit code: 0, 1 after an error that is the user's to mend, 130 after ^C.

    Errors are told in one message; any other one is raised.
    """
    try:
        return _train(config_path, overrides, out, resume)
    except KeyboardInterrupt:
        _tell("stopped; all whole epochs are kept: go on with --resume")
        return 130
    except ModuleNotFoundError as error:
        if not is_training_package(error):
            raise
        _tell(setup_hint(error))
    except Exception as error:
        if not isinstance(error, _mendable()):
            raise
        _tell(str(error))
    return 1


def _train(config_path: Path, overrides: Sequence[str], out: Path | None, resume: bool) -> int:
    from training.config import load_config

    config = load_config(config_path, overrides)
    directory = out or RUNS / config.name
    # torch takes seconds to import: not before the config is known to be right
    from rich.console import Console

    from training.evaluate import render
    from training.train import train

    console = Console(stderr=True)
    results = train(config, directory, resume=resume, console=console)
    for split, scores in results.items():
        console.print(f"\n[bold]{split}[/bold]")
        console.print(render(scores), highlight=False, markup=False, soft_wrap=True)
    typer.echo(f"\ncheckpoint: {directory / 'checkpoint'}", err=True)
    return 0


def _mendable() -> tuple[type[Exception], ...]:
    """Return the errors that speak of the config, the files or the data."""
    from data.artifact import CheckpointError
    from data.conll import ConllError
    from model.vectors import VectorError
    from training.config import ConfigError

    return (ConfigError, ConllError, CheckpointError, VectorError, FloatingPointError, OSError)


def is_training_package(error: ModuleNotFoundError) -> bool:
    """Tell if what is missing is there to train or to evaluate, so that serving lacks it."""
    return (error.name or "").partition(".")[0] in PACKAGES


def setup_hint(error: ModuleNotFoundError) -> str:
    """Return what to do about a training package that is missing."""
    return f"{error.name} is not installed: run `make setup`"


def _tell(message: str) -> None:
    typer.echo(f"tagbelt train: {message}", err=True)


def main() -> None:
    """Run the command on its own."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()

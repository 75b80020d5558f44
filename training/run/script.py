"""`tagbelt train`, also `python -m training.run.train`: options in, messages and exit code out.

Light to import: the `tagbelt` command takes it in for its help, whatever it is asked to do.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tagbelt.training.config import RunConfig

RUNS = Path("runs")

PACKAGES = {"torch", "torchcrf", "onnx", "scipy", "seqeval", "sklearn", "tensorboard"}
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
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train with so many seeds, OUT/seed-1 and so on, and report mean and deviation. "
        "Started again, it goes on: seeds that are finished are left as they are.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        min=1,
        help="So many of the seeds side by side, on one thread each; see OUT/seed-1/train.log.",
    ),
]


def command(
    config: ConfigPath,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    seeds: Seeds = None,
    jobs: Jobs = 1,
) -> None:
    """Train a tagger on CoNLL files; the best epoch ends up in OUT/checkpoint."""
    if seeds is None and jobs > 1:
        raise typer.BadParameter("it takes --seeds as well", param_hint="--jobs")
    if seeds is None:
        code = train_script(config, overrides or [], out=out, resume=resume)
    else:
        code = seeds_script(config, overrides or [], out=out, count=seeds, jobs=jobs)
    raise typer.Exit(code)


def train_script(
    config_path: Path, overrides: Sequence[str], *, out: Path | None = None, resume: bool = False
) -> int:
    """Train; return the exit code: 0, 1 after an error that is the user's to mend, 130 after ^C.

    Errors are told in one message; any other one is raised.
    """

    def work() -> None:
        from tagbelt.training.config import load_config

        config = load_config(config_path, overrides)
        _train(config, out or RUNS / config.name, resume)

    return _told(work, "all whole epochs are kept: go on with --resume")


def train_and_tell(config: "RunConfig", directory: Path, *, resume: bool) -> int:
    """Train as `train_script` does, with a config that was read before."""
    return _told(lambda: _train(config, directory, resume), "all whole epochs are kept")


def seeds_script(
    config_path: Path, overrides: Sequence[str], *, out: Path | None, count: int, jobs: int
) -> int:
    """Train with several seeds and show their scores; return the exit code, as above."""

    def work() -> None:
        from tagbelt.training.config import load_config
        from tagbelt.training.run.seeds import SEEDS, train_seeds
        from tagbelt.training.scores.summary import render

        config = load_config(config_path, overrides)
        directory = out or RUNS / config.name
        summary = train_seeds(config, directory, count=count, jobs=jobs, tell=_tell)
        typer.echo(f"\n{render(summary)}\n\nscores: {directory / SEEDS}", err=True)

    return _told(work, "all whole epochs are kept: go on with the same command")


def _told(work: Callable[[], None], if_stopped: str) -> int:
    """Do the work and tell how it went wrong, if it did; return the exit code."""
    try:
        work()
    except (KeyboardInterrupt, Exception) as error:
        if was_interrupted(error):
            _tell(f"stopped; {if_stopped}")
            return 130
        if isinstance(error, ModuleNotFoundError) and is_training_package(error):
            _tell(setup_hint(error))
        elif isinstance(error, _mendable()):
            _tell(str(error))
        else:
            raise
        return 1
    return 0


def _train(config: "RunConfig", directory: Path, resume: bool) -> None:
    # torch takes seconds to import: not before the config is known to be right
    from rich.console import Console

    from tagbelt.training.run.train import train
    from tagbelt.training.scores.evaluate import render

    console = Console(stderr=True)
    results = train(config, directory, resume=resume, console=console)
    for split, scores in results.items():
        console.print(f"\n[bold]{split}[/bold]")
        console.print(render(scores), highlight=False, markup=False, soft_wrap=True)
    typer.echo(f"\ncheckpoint: {directory / 'checkpoint'}", err=True)


def _mendable() -> tuple[type[Exception], ...]:
    """Return the errors that speak of the config, the files or the data."""
    from tagbelt.errors import CheckpointError, ConfigError, ConllError, SeedsError, VectorError

    ours = (ConfigError, ConllError, CheckpointError, SeedsError, VectorError)
    return (*ours, FloatingPointError, OSError)


def was_interrupted(error: BaseException) -> bool:
    """Tell if an error is, or comes of, an interrupt.

    Ctrl-C inside a library's own code may arrive as an error of that library, raised in its place.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


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

"""`tagbelt train`: a run, or one for each of several seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told

RUNS = Path("runs")

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
EndWithStdin = Annotated[
    bool, typer.Option("--end-with-stdin", hidden=True, help="End when standard input does.")
]


def command(
    config: ConfigPath,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    seeds: Seeds = None,
    jobs: Jobs = 1,
    end_with_stdin: EndWithStdin = False,
) -> None:
    """Train a tagger on CoNLL files; the best epoch ends up in OUT/checkpoint."""
    if seeds is None and jobs > 1:
        raise typer.BadParameter("it takes --seeds as well", param_hint="--jobs")
    kept = "all whole epochs are kept: go on with"
    with told("train", if_stopped=f"{kept} {'--resume' if seeds is None else 'the same command'}"):
        if end_with_stdin:
            from tagbelt.training.run.seeds import end_with_parent

            end_with_parent()
        if seeds is None:
            _train(config, overrides or [], out, resume)
        else:
            _train_seeds(config, overrides or [], out, seeds, jobs)


def _train(path: Path, overrides: Sequence[str], out: Path | None, resume: bool) -> None:
    from tagbelt.training.config import load_config

    config = load_config(path, overrides)
    # torch takes seconds to import: not before the config is known to be right
    from rich.console import Console

    from tagbelt.commands.training_view import TrainingView
    from tagbelt.training.run.train import train

    with TrainingView(Console(stderr=True)) as view:
        train(config, out or RUNS / config.name, resume=resume, progress=view)


def _train_seeds(
    path: Path, overrides: Sequence[str], out: Path | None, count: int, jobs: int
) -> None:
    from tagbelt.training.config import load_config
    from tagbelt.training.run.seeds import SEEDS, train_seeds
    from tagbelt.training.scores.summary import render

    directory = out or RUNS / load_config(path, overrides).name
    summary = train_seeds(path, overrides, directory, count=count, jobs=jobs, tell=_tell)
    typer.echo(f"\n{render(summary)}\n\nscores: {directory / SEEDS}", err=True)


def _tell(message: str) -> None:
    typer.echo(f"tagbelt train: {message}", err=True)

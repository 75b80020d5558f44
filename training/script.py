"""What `tagbelt train` does around `training.train`: arguments in, messages and exit code out."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from training.config import load_config
from training.evaluate import render

RUNS = Path("runs")


def train_script(
    config_path: Path, overrides: Sequence[str], *, out: Path | None = None, resume: bool = False
) -> int:
    """Train; return the exit code: 0, or 130 after an interrupt, with how to go on."""
    config = load_config(config_path, overrides)
    directory = out or RUNS / config.name
    console = Console(stderr=True)
    # torch takes seconds to import: not before the config is known to be right
    from training.train import train

    try:
        results = train(config, directory, resume=resume, console=console)
    except KeyboardInterrupt:
        console.print("\nstopped; the last whole epoch is kept: go on with --resume")
        return 130
    for split, scores in results.items():
        console.print(f"\n[bold]{split}[/bold]")
        console.print(render(scores), highlight=False)
    console.print(f"\ncheckpoint: {directory / 'checkpoint'}", soft_wrap=True)
    return 0

"""What a person sees of a training run."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tagbelt.training.loop.loop import Epoch, Step

BAR = 24


class TrainingView:
    """A progress bar for the batches of the epoch, one for the run, and a line an epoch."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console = console
        self._epochs = epochs
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(BAR),
            TextColumn("{task.fields[figures]:<44}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._run: TaskID | None = None
        self._epoch: TaskID | None = None
        self._best = 0.0

    @contextmanager
    def shown(self, done: int, best: float) -> Iterator[None]:
        """Show the bars while the block runs; `done` epochs were done before, `best` their F1."""
        self._best = max(best, 0.0)
        with self._progress as progress:
            self._run = progress.add_task("run", total=self._epochs, completed=done, figures="")
            self._epoch = progress.add_task("epoch", total=None, figures="")
            yield

    def step(self, step: Step) -> None:
        """Move the bars by one batch."""
        if self._epoch is None or self._run is None:
            return
        self._progress.update(
            self._epoch,
            description=f"epoch {step.epoch}",
            completed=step.done,
            total=step.batches,
            figures=f"loss {step.loss:7.3f}  {step.tokens_per_second:9,.0f} tokens/s",
        )
        self._progress.update(
            self._run,
            completed=step.epoch - 1 + step.done / step.batches,
            figures=f"best dev F1 {self._best:6.2%}",
        )

    def epoch(self, epoch: Epoch) -> None:
        """Print the line of a finished epoch."""
        self._best = max(self._best, epoch.dev.f1)
        self._console.print(
            f"epoch {epoch.epoch:3d}/{self._epochs}  loss {epoch.loss:8.4f}  "
            f"dev P {epoch.dev.precision:6.2%}  R {epoch.dev.recall:6.2%}  "
            f"[bold]F1 {epoch.dev.f1:6.2%}[/bold]{' *' if epoch.is_best else '  '}  "
            f"{epoch.tokens_per_second:8,.0f} tokens/s  {epoch.seconds:5.1f} s",
            highlight=False,
            soft_wrap=True,
        )

"""How `tagbelt train` shows a run: lines for what was read and each epoch, and two bars."""

import shlex
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tagbelt.training.events import Ended, Epoch, Event, Message, Started, Step
from tagbelt.training.scores.evaluate import render

BAR = 24


class TrainingView:
    """A callback for `train`; within its `with` block, bars are shown while epochs go on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs = 0
        self._best = 0.0
        self._bars = Progress(
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Message():
                self._stop()
                text = escape(event.text)
                text = f"[yellow]{text}[/yellow]" if event.is_warning else text
                self._console.print(text, soft_wrap=True)
            case Started():
                self._begin(event)
            case Step():
                self._move(event)
            case Epoch():
                self._show_epoch(event)
            case Ended():
                self._show_scores(event)

    def _begin(self, event: Started) -> None:
        self._epochs, self._best = event.epochs, max(event.best_f1, 0.0)
        if event.done:
            best = f"best dev F1 {100 * self._best:.2f}"
            self._console.print(f"going on after epoch {event.done}, {best}", highlight=False)
        self._run = self._bars.add_task("run", total=event.epochs, completed=event.done, figures="")
        self._epoch = self._bars.add_task("epoch", total=None, figures="")
        self._bars.start()

    def _stop(self) -> None:
        if self._run is not None:
            self._bars.stop()
            self._run = self._epoch = None

    def _move(self, step: Step) -> None:
        if self._epoch is None or self._run is None:
            return
        self._bars.update(
            self._epoch,
            description=f"epoch {step.epoch}",
            completed=step.done,
            total=step.batches,
            figures=f"loss {step.loss:7.3f}  {step.tokens_per_second:9,.0f} tokens/s",
        )
        self._bars.update(
            self._run,
            completed=step.epoch - 1 + step.done / step.batches,
            figures=f"best dev F1 {self._best:6.2%}",
        )

    def _show_epoch(self, epoch: Epoch) -> None:
        self._best = max(self._best, epoch.dev.f1)
        self._console.print(
            f"epoch {epoch.epoch:3d}/{self._epochs}  loss {epoch.loss:8.4f}  "
            f"dev P {epoch.dev.precision:6.2%}  R {epoch.dev.recall:6.2%}  "
            f"[bold]F1 {epoch.dev.f1:6.2%}[/bold]{' *' if epoch.is_best else '  '}  "
            f"{epoch.tokens_per_second:8,.0f} tokens/s  {epoch.seconds:5.1f} s",
            highlight=False,
            soft_wrap=True,
        )

    def _show_scores(self, event: Ended) -> None:
        self._stop()
        for split, scores in event.scores.items():
            self._console.print(f"\n[bold]{split}[/bold]")
            self._console.print(render(scores), highlight=False, markup=False, soft_wrap=True)
        place = f"checkpoint: {event.checkpoint}"
        if event.example:
            command = f"tagbelt tag --model {shlex.quote(str(event.checkpoint))}"
            place += f"\nTry:        echo {shlex.quote(event.example)} | {command}"
        for text in (event.closing, place):
            self._console.print(f"\n{text}", highlight=False, markup=False, soft_wrap=True)

"""How `tagbelt search` shows a study: a line a trial, a line of progress, and the last sentence."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tagbelt.training.events import Epoch, Event, Message, Started
from tagbelt.training.search.page import setting
from tagbelt.training.search.study import Searched, TrialBegan, TrialEnded


class SearchView:
    """A callback for `search`; within its `with` block, the progress line is shown."""

    def __init__(self, console: Console, minutes: float) -> None:
        self._console = console
        self._began = time.monotonic()
        self._told = False
        self._figures = {"number": 0, "epoch": 0, "epochs": 0}
        self._best = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._bar.add_task("reading the data", total=60 * minutes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, event: Event | TrialBegan | TrialEnded) -> None:
        """Show an event; of what runs say, the first one's alone, which is true of all."""
        match event:
            case Message() if not self._told:
                self._say(event.text)
            case TrialBegan():
                self._figures["number"] = event.number
                values = ", ".join(f"{key} {setting(v)}" for key, v in event.values.items())
                again = " goes on" if event.goes_on else ""
                self._say(f"trial {event.number}{again}: {values}")
            case Started():
                self._told = True
                self._figures |= {"epoch": event.done, "epochs": event.epochs}
            case Epoch():
                self._figures["epoch"] = event.epoch
            case TrialEnded():
                self._end(event)
        self._move()

    def _end(self, event: TrialEnded) -> None:
        trial, best = event.trial, event.best
        if event.reason:
            self._say(f"trial {trial.number} failed: {event.reason}")
            return
        self._best = f", best dev F1 {best.f1:.2%}" if best else ""
        mark = " *" if best is not None and best.number == trial.number else ""
        f1 = f"dev F1 {trial.f1:.2%}" if trial.f1 is not None else "no epoch"
        self._say(f"trial {trial.number} {trial.outcome}: {f1}{mark}, {trial.epochs} epochs")

    def _move(self) -> None:
        figures = self._figures
        self._bar.update(
            self._task,
            completed=time.monotonic() - self._began,
            description=f"trial {figures['number']}, epoch {figures['epoch']}/{figures['epochs']}"
            f"{self._best}",
        )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def closing(found: Searched) -> str:
    """Return what a search came to, and what to do next."""
    counts = [
        f"{sum(trial.outcome == kind for trial in found.trials)} {kind}"
        for kind in ("finished", "pruned", "failed", "under way")
    ]
    told = f"\nTrials: {', '.join(counts)}. "
    if found.best is None:
        told += "None is finished yet: the same command goes on."
    else:
        told += (
            f"Best: trial {found.best.number}, dev F1 {found.best.f1:.2%}; train it with "
            f"`tagbelt train {found.config}`, or search on with the same command."
        )
    return f"{told}\n\npage: {found.page}"

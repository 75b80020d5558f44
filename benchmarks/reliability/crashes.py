"""Runs one tiny training many times over, each killed by SIGKILL at another moment, and resumed.

Arguments: a directory, and a config as JSON. `whole/` is the run that nobody killed; `NNN/` one
that was killed at the NNNth change of a file, and then resumed. Each run is a forked process; what
happened is written to standard output, a JSON object a line.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - imported once, before all forks
import seqeval.metrics  # noqa: F401
import torch
import torch._dynamo  # noqa: F401 - as the optimisers do, which takes longer than a run
from torch.utils.tensorboard import writer  # noqa: F401

from tagbelt.errors import ConfigError
from tagbelt.training.config import RunConfig, parse_config
from tagbelt.training.run.train import train

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
WRITING = os.O_WRONLY | os.O_RDWR
STRIDE = 4
"""All renames, and every so-manieth other change, are moments to be killed at."""


def forked(work: Callable[[], None], kill_after: float | None = None) -> int:
    """Do the work in a process of its own; return how that ended, as `waitpid` says.

    `kill_after` so many seconds it is killed, unless it has ended.
    """
    process = os.fork()
    if process:
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)  # not waited for yet, so its number is still its own
        return os.waitpid(process, 0)[1]
    try:
        work()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def watch_changes(directory: Path, do: Callable[[str], None]) -> None:
    """Call `do` before each change below the directory, from here on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and arguments[2] & WRITING)
        # What removes a tree names its files relative to their directory.
        inside = str(arguments[0]).startswith(str(directory)) if changes else False
        if changes and (inside or event in ("os.remove", "os.rmdir")):
            do(event)

    sys.addaudithook(hook)


def run(config: RunConfig, directory: Path, *, resume: bool = False) -> None:
    """Train, or go on."""
    train(config, directory, resume=resume)


def count_changes(config: RunConfig, directory: Path, log: Path) -> list[str]:
    """Run to the end and return the kind of each change."""

    def work() -> None:
        kinds: list[str] = []
        watch_changes(directory, kinds.append)
        run(config, directory)
        log.write_text("\n".join(kinds), encoding="utf-8")

    if forked(work):
        sys.exit("the whole run failed")
    return log.read_text(encoding="utf-8").splitlines()


def killed_run(config: RunConfig, directory: Path, at: int) -> int:
    """Run until the change number `at`, counted from 1."""

    def work() -> None:
        left = at

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        watch_changes(directory, count)
        run(config, directory)

    return forked(work)


def resumed_run(config: RunConfig, directory: Path) -> int:
    """Go on with a run that was killed, to its end."""

    def work() -> None:
        try:
            run(config, directory, resume=True)
        except ConfigError as error:  # killed before it had begun
            if "run without --resume" not in str(error):
                raise
            run(config, directory)

    return forked(work)


def main(root: Path, config: RunConfig) -> None:
    """Kill and resume at all those moments."""
    torch.set_num_threads(1)
    kinds = count_changes(config, root / "whole", root / "changes")
    renames = {n for n, kind in enumerate(kinds, start=1) if kind == "os.rename"}
    for at in sorted({*renames, *range(1, len(kinds) + 1, STRIDE)}):
        directory = root / f"{at:03d}"
        killed = killed_run(config, directory, at)
        found = sorted(path.name for path in directory.iterdir()) if directory.exists() else []
        record = {"at": at, "kind": kinds[at - 1], "killed": killed, "left": found}
        record["resumed"] = resumed_run(config, directory)
        sys.stdout.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), parse_config(json.loads(sys.argv[2]), place="crashes"))

"""One config trained with several seeds: a directory of ordinary runs, `seed-1` and so on.

Light to import: the runs, and torch, are in processes of their own. Each is the command itself,
`python -m tagbelt train`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import NoReturn

from tagbelt.data.checkpoint.artifact import CONFIG, write_json
from tagbelt.errors import ConfigError, SeedsError
from tagbelt.training.config import RunConfig, completed, load_config
from tagbelt.training.initial import fitted
from tagbelt.training.rundir import (
    METRICS,
    Digests,
    check_digests,
    differences,
    digests,
    read_report,
    read_saved,
    refuse_ranks,
)
from tagbelt.training.scores.summary import Summary, summarise

SEEDS = "seeds.json"
LOG = "train.log"

TRAIN = ("-m", "tagbelt", "train", "--end-with-stdin")
GRACE = 3.0
"""So many seconds a process has to leave after it was asked to: an import can lose the request."""
PAUSE = 0.05
"""Seconds between two looks at whether a process has ended."""

MACHINE = {("training", "threads"), ("training", "device")}
"""Settings in which the seeds of a series may differ: where they ran, not what."""

Tell = Callable[[str], None]


def seed_directory(directory: Path, seed: int) -> Path:
    """Return the directory of a seed's run in that of its series."""
    return directory / f"seed-{seed}"


def seed_directories(directory: Path) -> list[Path]:
    """Return the directories of all seeds in a series, by seed; none where there is no series."""
    found = [
        (int(number), path)
        for path in directory.glob("seed-*")
        if (number := path.name.removeprefix("seed-")).isdecimal()
    ]
    return [path for _, path in sorted(found)]


@dataclass(frozen=True)
class SeedTask:
    """The training of one seed: the command's arguments.

    With `log`, what it writes to standard output and error goes to the end of that file.
    """

    arguments: tuple[str, ...]
    log: Path | None = None


def train_seeds(
    config: Path,
    overrides: Sequence[str],
    directory: Path,
    *,
    count: int,
    jobs: int,
    tell: Tell,
) -> Summary:
    """Train with `count` seeds, from the config's own upwards; return their scores together.

    `config` and `overrides` are those of `load_config`. A seed that is finished is left as it is,
    one that was stopped goes on. `jobs` run at a time, on one thread each if that is more than
    one, and write to `train.log` then. `seeds.json` is written anew after each.

    Raises:
        ConfigError: a directory of another run, or a seed there of another config or other files.
        SeedsError: a seed failed. One that does so before its first epoch is over ends the
            series, since all would; others do not.
    """
    refuse_ranks("--seeds")
    read = fitted(load_config(config, overrides))
    found = digests(read)
    configs = _configs(read, directory, count, found, one_thread=jobs > 1)
    done = [seed for seed in configs if read_report(seed_directory(directory, seed)) is not None]
    if done:
        tell(f"finished before: seed {', '.join(map(str, done))}")
    tasks = {
        seed: _task(config, overrides, ours, seed_directory(directory, seed), has_log=jobs > 1)
        for seed, ours in configs.items()
        if seed not in done
    }
    failed = _train_all(tasks, directory, list(configs), jobs=jobs, tell=tell)
    for seed in configs:
        check_digests(seed_directory(directory, seed), found)
    if failed:
        listed = ", ".join(map(str, failed))
        raise SeedsError(f"{directory}: failed: seed {listed}; the same command tries again")
    return _write_summary(directory, list(configs))


def _configs(
    config: RunConfig, directory: Path, count: int, found: Digests, *, one_thread: bool
) -> dict[int, RunConfig]:
    """Return the config of each seed; the directory must be one for them."""
    if (directory / CONFIG).exists():
        raise ConfigError(f"{directory}: a run of one seed is here already; give another --out")
    threads = 1 if one_thread else config.training.threads
    seeds = range(config.training.seed, config.training.seed + count)
    begun = (
        place for seed in seeds if ((place := seed_directory(directory, seed)) / CONFIG).exists()
    )
    for place in begun:  # all seeds train as those that have begun
        config = completed(config, read_saved(place).training)
    configs = {}
    for seed in seeds:
        training = config.training.model_copy(update={"seed": seed, "threads": threads})
        ours = config.model_copy(update={"training": training})
        configs[seed] = _config_of(ours, seed_directory(directory, seed), found)
    return configs


def _config_of(ours: RunConfig, directory: Path, found: Digests) -> RunConfig:
    """Return the config of a seed; of one that has begun, the one that it began with."""
    if not (directory / CONFIG).exists():
        return ours
    begun = read_saved(directory)
    changed = differences(begun, ours, but=MACHINE)
    if changed:
        raise ConfigError(f"{directory}: a run of another config is here: {'; '.join(changed)}")
    check_digests(directory, found)
    return begun


def _task(
    config: Path, overrides: Sequence[str], ours: RunConfig, directory: Path, *, has_log: bool
) -> SeedTask:
    """Return the task of a seed whose config is `ours`, the command's config and overrides."""
    training = ours.training
    names = sorted({"seed", "threads", "device", *training.model_fields_set})
    values = {name: getattr(training, name) for name in names}
    own = [f"training.{name}={value}" for name, value in values.items() if value is not None]
    sets = [part for override in (*overrides, *own) for part in ("--set", override)]
    resume = ["--resume"] if (directory / CONFIG).exists() else []
    arguments = (str(config), *sets, "--out", str(directory), *resume)
    return SeedTask(arguments, directory / LOG if has_log else None)


def _train_all(
    tasks: dict[int, SeedTask], directory: Path, seeds: list[int], *, jobs: int, tell: Tell
) -> list[int]:
    """Train what is left to train; return the seeds that failed."""
    failed: list[int] = []
    hopeless = False
    done = len(seeds) - len(tasks)
    waiting, running = set(tasks), dict[int, float]()  # seeds, and since when
    taken: list[float] = []

    def begins(seed: int) -> bool:
        if not hopeless:
            place, log = seed_directory(directory, seed), tasks[seed].log
            waiting.discard(seed)
            running[seed] = time.monotonic()
            place.mkdir(parents=True, exist_ok=True)
            tell(f"begins: {place}" + (f", log in {log}" if log else ""))
        return not hopeless

    for seed, code in run_tasks(tasks, jobs=jobs, begins=begins):
        place = seed_directory(directory, seed)
        now = time.monotonic()
        took = now - running.pop(seed)
        if code == 0:
            done += 1
            taken.append(took)
            summary = _write_summary(directory, seeds)
            spent = [now - since for since in running.values()]
            left = seconds_left(fmean(taken), spent, len(waiting), jobs)
            bar = f"[{'#' * done}{'.' * (len(seeds) - done)}] {done} of {len(seeds)}"
            tell(f"finished: {place} {bar}{_scores(summary, seed)}{_left(left)}")
            continue
        hopeless = hopeless or not (place / METRICS).exists()
        failed.append(seed)
        tell(f"failed: {place}, exit code {code}{_last_words(tasks[seed].log)}")
    return sorted(failed)


def seconds_left(each: float, spent: Sequence[float], waiting: int, jobs: int) -> float:
    """Return how long seeds of `each` seconds take: those running for `spent`, then `waiting`.

    `jobs` run at a time; none is cut in two.
    """
    ends = sorted(max(0.0, each - seconds) for seconds in spent)
    ends = [0.0] * (jobs - len(ends)) + ends
    for _ in range(waiting):  # each where a place is free first
        ends = sorted([*ends[1:], ends[0] + each])
    return ends[-1]


def _scores(summary: Summary, seed: int) -> str:
    """Say the F1 of a seed on each split."""
    run = next(run for run in summary.runs if run.seed == seed)
    told = [f"{split} F1 {100 * modes['strict']:.2f}" for split, modes in run.f1.items()]
    return f": {', '.join(told)}"


def _left(seconds: float) -> str:
    if not seconds:
        return ""
    time_left = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
    return f"; about {time_left} left"


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _write_summary(directory: Path, seeds: list[int]) -> Summary:
    summary = summarise([seed_directory(directory, seed) for seed in seeds])
    write_json(directory / SEEDS, summary.as_json())
    return summary


def run_tasks(
    tasks: Mapping[int, SeedTask], *, jobs: int, begins: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    """Run at most `jobs` of the numbered tasks at a time; yield number and exit code of each.

    `begins` is asked before a task starts; none does after it has said False. Processes that are
    still running when the caller stops early, as after ^C, are ended. A process that a signal
    ended has an exit code below 0.
    """
    waiting = deque(tasks)
    running: dict[int, subprocess.Popen[bytes]] = {}
    try:
        while True:
            while waiting and len(running) < jobs:
                number = waiting.popleft()
                if begins(number):
                    running[number] = _start(tasks[number])
                else:
                    waiting.clear()
            if not running:
                return
            for number in [number for number, one in running.items() if one.poll() is not None]:
                with running.pop(number) as ended:
                    yield number, ended.returncode
            time.sleep(PAUSE)
    finally:
        _end(list(running.values()))


def _start(task: SeedTask) -> "subprocess.Popen[bytes]":
    # `python -m` looks for packages in the working directory first; an installed command does not.
    here = sys.path[0] in ("", str(Path.cwd()))
    command = [sys.executable, *([] if here else ["-P"]), *TRAIN, *task.arguments]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(task.log.open("ab")) if task.log else None
        # Nothing is written to its standard input. It is closed when this process ends, however.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with process:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()


def end_with_parent() -> None:
    """Let this process, started by `run_tasks`, end when its standard input is closed.

    That is when the process that started it ends, in whatever way: left alone, this one would
    write to a directory that a second start writes to as well.
    """
    # ^C reaches every process of the terminal; the one that started us ends us then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A progress bar on the terminal gives the cursor back as an exception passes it.
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _leave(signum: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)


def _wait_for_parent() -> None:
    with contextlib.suppress(OSError):
        os.read(0, 1)
    os._exit(1)

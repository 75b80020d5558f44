"""One config trained with several seeds: a directory of ordinary runs, `seed-1` and so on.

Light to import: the runs, and torch, are in processes of their own.
"""

from collections.abc import Callable
from pathlib import Path

from tagbelt.data.checkpoint.artifact import CONFIG, write_json
from tagbelt.errors import ConfigError, SeedsError
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.files import Digests, check_digests, digests
from tagbelt.training.run.workers import Task, run_tasks
from tagbelt.training.rundir.saved import METRICS, differences, read_report, read_saved
from tagbelt.training.scores.summary import Summary, summarise

SEEDS = "seeds.json"
LOG = "train.log"

MACHINE = {("training", "threads"), ("training", "device")}
"""Settings in which the seeds of a series may differ: where they ran, not what."""

Tell = Callable[[str], None]


def seed_directory(directory: Path, seed: int) -> Path:
    """Return where the run of a seed lies in the directory of its series."""
    return directory / f"seed-{seed}"


def seed_directories(directory: Path) -> list[Path]:
    """Return the directories of all seeds in a series, by seed; none where there is no series."""
    found = [
        (int(number), path)
        for path in directory.glob("seed-*")
        if (number := path.name.removeprefix("seed-")).isdecimal()
    ]
    return [path for _, path in sorted(found)]


def train_seeds(
    config: RunConfig, directory: Path, *, count: int, jobs: int, tell: Tell
) -> Summary:
    """Train with `count` seeds, from the config's own upwards; return their scores together.

    A seed that is finished is left as it is, one that was stopped goes on. `jobs` run at a time,
    on one thread each if that is more than one, and write to `train.log` then. `seeds.json` is
    written anew after each.

    Raises:
        ConfigError: a directory of another run, or a seed there of another config or other files.
        SeedsError: a seed failed. One that does so before its first epoch is over ends the
            series, since all would; others do not.
    """
    found = digests(config)
    configs = _configs(config, directory, count, found, one_thread=jobs > 1)
    done = [seed for seed in configs if read_report(seed_directory(directory, seed)) is not None]
    if done:
        tell(f"finished before: seed {', '.join(map(str, done))}")
    tasks = {
        seed: _task(seed_config, seed_directory(directory, seed), has_log=jobs > 1)
        for seed, seed_config in configs.items()
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
    configs = {}
    for seed in range(config.training.seed, config.training.seed + count):
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


def _task(config: RunConfig, directory: Path, *, has_log: bool) -> Task:
    return Task(_train_seed, (config, directory), directory / LOG if has_log else None)


def _train_seed(config: RunConfig, directory: Path) -> int:
    from tagbelt.training.run.script import train_and_tell

    return train_and_tell(config, directory, resume=(directory / CONFIG).exists())


def _train_all(
    tasks: dict[int, Task], directory: Path, seeds: list[int], *, jobs: int, tell: Tell
) -> list[int]:
    """Train what is left to train; return the seeds that failed."""
    failed: list[int] = []
    hopeless = False

    def begins(seed: int) -> bool:
        if not hopeless:
            place, log = seed_directory(directory, seed), tasks[seed].log
            place.mkdir(parents=True, exist_ok=True)
            tell(f"begins: {place}" + (f", log in {log}" if log else ""))
        return not hopeless

    for seed, code in run_tasks(tasks, jobs=jobs, begins=begins):
        place = seed_directory(directory, seed)
        if code == 0:
            tell(f"finished: {place}")
            _write_summary(directory, seeds)
            continue
        hopeless = hopeless or not (place / METRICS).exists()
        failed.append(seed)
        tell(f"failed: {place}, exit code {code}{_last_words(tasks[seed].log)}")
    return sorted(failed)


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _write_summary(directory: Path, seeds: list[int]) -> Summary:
    summary = summarise([seed_directory(directory, seed) for seed in seeds])
    write_json(directory / SEEDS, summary.as_json())
    return summary

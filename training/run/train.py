"""`train`: from a config and CoNLL files to a checkpoint that serves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from tagbelt.data.checkpoint.artifact import CONFIG, Header, name_fault, restore, write_json
from tagbelt.errors import ConfigError
from tagbelt.inference.threads import available_threads
from tagbelt.training.config import RunConfig, completed
from tagbelt.training.events import Callback, Ended, Epoch, Started, ignore
from tagbelt.training.initial import bundled_offer, fitted, keeps_old_types
from tagbelt.training.loop.ranks import Ranks, device_of, joined
from tagbelt.training.run.checkpoint import PROGRESS, finish, load_state, save_best, save_state
from tagbelt.training.run.closing import closing
from tagbelt.training.run.prepare import Run, prepare
from tagbelt.training.rundir import (
    BOARD,
    CHECKPOINT,
    METRICS,
    REPORT,
    STATE,
    MetricsLog,
    check_digests,
    digests,
    held,
    read_metrics,
    read_saved,
    write_digests,
)
from tagbelt.training.scores.evaluate import Scores


def train(
    config: RunConfig,
    directory: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Callback | None = None,
) -> dict[str, Scores]:
    """Train as the config says and return the scores of the best checkpoint, by split and mode.

    `directory` receives `checkpoint/` (the best epoch), `state/` (to resume), `metrics.jsonl`,
    `tensorboard/`, `report.json`, and `files.json`: the SHA-256 of each file that was read. Killed
    at any moment, the run loses at most the epoch under way; with `resume` it then ends in the same
    weights as an uninterrupted one, on the CPU. `progress` is called with each event of
    `tagbelt.training.events`; what it raises stops the run, as an interrupt does.

    Started by `torchrun`, the processes share every batch; all read the files and return the
    scores, the first alone writes, and is told of progress.

    Raises:
        ConfigError: a config, file or directory that can't be used, or where another run trains.
        ConllError: a file that can't be read.
        VectorError: vectors that can't be read, or whose package is not installed.
        OSError: the disk is full, or can't be written to; whole epochs are kept.
        FloatingPointError: the loss is no number any more.
        WorkerError: another process of `torchrun` has ended.
        TypeError: a config that `load_config` did not make.
    """
    if not isinstance(config, RunConfig):
        kind = type(config).__name__
        raise TypeError(f"config is a {kind}: load_config(file or tables) makes what train takes")
    place = Path(directory)
    if resume and not place.exists():
        raise _nothing_to_resume(place)
    if not resume:
        check_servable(config)
    with (
        joined(device_of(config.training.device)) as ranks,
        held(place) if ranks.leads else nullcontext(),
    ):
        try:
            return _train(config, place, resume, progress or ignore, ranks)
        except (SafetensorError, OSError) as error:  # of a disk that is full, above all
            if isinstance(error, OSError) and (error.filename or error.errno is None):
                raise
            raise OSError(f"{place}: can't be written: {error}") from error


def check_servable(config: RunConfig) -> None:
    """Refuse a name or version that the server would refuse, before hours of training.

    Raises:
        ConfigError: it can't be served under that.
    """
    for key in ("name", "version"):
        fault = name_fault(key, getattr(config, key))
        if fault is not None:
            raise ConfigError(f"{key}: {fault}")


def _train(
    config: RunConfig, directory: Path, resume: bool, progress: Callback, ranks: Ranks
) -> dict[str, Scores]:
    if ranks.leads:
        resume = _settle_directory(directory, resume=resume)
        config = fitted(config)
        if resume:
            config = completed(config, read_saved(directory).training)
    resume, config = ranks.told((resume, config))
    torch.set_num_threads(torch_threads(config.training.threads))
    run = prepare(config, directory, progress if ranks.leads else ignore, ranks)
    config = run.trainer.config
    found = digests(config)
    if resume:
        load_state(directory / STATE, run.trainer)
        check_digests(directory, found)
    if ranks.leads:
        write_json(directory / CONFIG, config.model_dump(mode="json"))
        write_digests(directory, found)
        _train_epochs(run)
        return ranks.told(_end(run))
    for _ in run.trainer.run():
        pass
    return ranks.told({})


def _end(run: Run) -> dict[str, Scores]:
    """Judge the best checkpoint of a run that has ended, and tell."""
    config, directory = run.trainer.config, run.directory
    check_digests(directory, digests(config, only="test"))  # they are read only now
    scores = finish(run)
    write_json(directory / REPORT, scores)
    offer = bundled_offer(config, run.data.labels, len(run.data.train))
    words = closing(
        run.trainer.progress,
        config.training,
        scores["dev"],
        run.data.train,
        offer,
        keeps_old_types(config),
    )
    examples = Header.read(run.checkpoint).examples
    run.progress(Ended(run.checkpoint, scores, words, examples[0] if examples else ""))
    return scores


def torch_threads(given: int | None) -> int:
    """Return how many threads torch gets: those given (0: all), else `OMP_NUM_THREADS`, else 1.

    Of a list, which is for nested loops, the first counts, as it does for OpenMP.
    """
    if given is not None:
        return given or available_threads()
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else 1


def _settle_directory(directory: Path, *, resume: bool) -> bool:
    """Put right what a killed run left; return whether there is a finished epoch to go on from."""
    for name in (STATE, CHECKPOINT):
        restore(directory / name)
    has_state = (directory / STATE).exists()
    if has_state and not resume:
        raise ConfigError(
            f"{directory}: a run is here already; go on with --resume, or give another --out"
        )
    if any(directory.glob("seed-*/config.json")):
        raise ConfigError(f"{directory}: a series of seeds is here; give another --out")
    epochs = len(read_metrics(directory))
    # An epoch's metrics are written before its state: one may be ahead.
    if resume and (epochs > 1 or has_state) and not (directory / STATE / PROGRESS).exists():
        raise ConfigError(
            f"can't resume: {directory / STATE / PROGRESS} is missing, though {epochs} epochs were "
            "trained; bring it back from a copy, or train anew with another --out"
        )
    # A run that was killed in its first epoch has its config there; to resume is to start anew.
    if resume and not has_state and not (directory / CONFIG).exists():
        raise _nothing_to_resume(directory)
    return has_state


def _nothing_to_resume(directory: Path) -> ConfigError:
    return ConfigError(f"{directory}: no run here to resume; run without --resume")


def _train_epochs(run: Run) -> None:
    done = run.trainer.progress
    log = MetricsLog(run.directory / METRICS)
    log.keep_until(done.epoch)
    run.progress(Started(done.epoch, run.trainer.config.training.epochs, done.best_f1))
    with _board(run.directory / BOARD, done.epoch) as board:
        for event in run.trainer.run():
            if isinstance(event, Epoch):
                _keep(run, event, log, board)
            run.progress(event)


def _keep(run: Run, epoch: Epoch, log: MetricsLog, board: Any) -> None:
    """Write what an epoch leaves behind."""
    if epoch.is_best:
        save_best(run)
    values = _values(epoch)
    log.write({"epoch": epoch.epoch, **values})
    for name, value in values.items():
        board.add_scalar(name, value, epoch.epoch)
    board.flush()
    # Last: an epoch counts once all it leaves behind is there. If the run is killed before, it is
    # run again, and what it had left behind is replaced.
    save_state(run.directory / STATE, run.trainer)


def _values(epoch: Epoch) -> dict[str, float]:
    return {
        "train/loss": epoch.loss,
        "train/learning_rate": epoch.learning_rate,
        "train/tokens_per_second": epoch.tokens_per_second,
        "train/seconds": epoch.seconds,
        "dev/precision": epoch.dev.precision,
        "dev/recall": epoch.dev.recall,
        "dev/f1": epoch.dev.f1,
    }


@contextmanager
def _board(directory: Path, epoch: int) -> Iterator[Any]:
    from torch.utils.tensorboard.writer import SummaryWriter

    # What a killed run had written behind its last whole epoch is not shown.
    writer = SummaryWriter(str(directory), purge_step=epoch + 1)
    try:
        yield writer
    finally:
        writer.close()

"""A bulk run: which shards are left to do, and the engines that do them.

A shard's file is written whole or not at all, and never twice: a run that was stopped, and begun
again with the same command, does what is missing.
"""

import json
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from tagbelt.bulk.job import BulkJob, Outcome, ShardTagger
from tagbelt.bulk.shards import Format, Shard, find_sources, shards_of
from tagbelt.bulk.storage import joined, opened, storage_of
from tagbelt.data.checkpoint.artifact import SUMS, Header, digest_of
from tagbelt.data.checkpoint.finding import find_checkpoint
from tagbelt.errors import InputError

PLAN = "_plan.json"
DONE = "_done.json"
TRIES = 3
"""So often a shard is begun whose worker died over it."""

BulkEngine = Literal["local", "ray"]
Tell = Callable[["BulkProgress"], None]


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a run is. `total` counts all shards, `before` those that an earlier run wrote."""

    total: int
    before: int
    done: int = 0
    rows: int = 0
    bad: int = 0
    tokens: int = 0
    failures: tuple[str, ...] = ()

    def plus(self, one: Outcome) -> "BulkProgress":
        """This and a shard more."""
        return BulkProgress(
            self.total,
            self.before,
            self.done + (not one.failure),
            self.rows + one.rows,
            self.bad + one.bad,
            self.tokens + one.tokens,
            (*self.failures, one.failure) if one.failure else self.failures,
        )


def run(
    inputs: Sequence[str],
    out: str,
    job: BulkJob,
    *,
    given: Format | None = None,
    shard_bytes: int = 8_000_000,
    engine: BulkEngine = "local",
    workers: int = 1,
    address: str | None = None,
    tell: Tell = lambda _: None,
) -> BulkProgress:
    """Tag all rows of files and folders into files below `out`; return what was done.

    `given` is the format of all inputs, else their suffixes tell. `workers` processes, or actors of
    Ray at `address` (a Ray of this run's own unless given), have the model each.

    Raises:
        CheckpointError: no such model.
        InputError: inputs or `out` that cannot be used; `out` has the files of another run.
        MissingPackageError: what Parquet, object storage or Ray need is not installed.
    """
    sources = find_sources(inputs, out, given)
    directory = find_checkpoint(job.model)
    header = Header.read(directory)
    plan = {
        "model": f"{header.name}@{header.version}",
        "digest": digest_of(directory / SUMS),
        "shard_bytes": shard_bytes,
        "job": {key: value for key, value in asdict(job).items() if key != "model"},
        "inputs": {one.name: [one.format, one.size] for one in sources},
    }
    _agree(out, plan)
    shards = [shard for source in sources for shard in shards_of(source, shard_bytes, out)]
    there = {path for path, _ in storage_of(out).files(out)}
    left = [shard for shard in shards if shard.out not in there]
    progress = BulkProgress(len(shards), len(shards) - len(left))
    tell(progress)
    if left:
        # Names are looked up here, where this process was started.
        located = BulkJob(str(directory.resolve()), **plan["job"])  # type: ignore[arg-type]
        for outcome in _outcomes(engine, located, left, min(workers, len(left)), address):
            progress = progress.plus(outcome)
            tell(progress)
    if not progress.failures:
        _write_json(joined(out, DONE), {"shards": len(shards)})
    return progress


def _outcomes(
    engine: BulkEngine, job: BulkJob, shards: list[Shard], workers: int, address: str | None
) -> Iterator[Outcome]:
    if engine == "ray":
        from tagbelt.bulk.on_ray import outcomes

        return outcomes(job, shards, workers, address)
    if workers == 1:
        return map(ShardTagger(job), shards)
    return _in_processes(job, shards, workers)


def _agree(out: str, plan: dict[str, Any]) -> None:
    """Keep the plan of a new run; refuse one that differs from that of the files there."""
    path = joined(out, PLAN)
    storage = storage_of(out)
    files = [found for found, _ in storage.files(out)]
    if path not in files:
        if files:
            raise InputError(f"{out}: has files already, which are no run's; say another --out")
        return _write_json(path, plan)
    with opened(storage, path) as stream:
        try:
            before = json.loads(stream.read())
        except ValueError as error:
            raise InputError(f"{path}: damaged: {error}; say another --out") from error
    differ = [key for key in plan if before.get(key) != plan[key]]
    if differ:
        raise InputError(
            f"{out}: was begun with other {' and '.join(differ)}: {_shown(before, differ)} there, "
            f"{_shown(plan, differ)} now; say another --out"
        )
    return None


def _shown(plan: dict[str, Any], keys: Iterable[str]) -> str:
    text = "; ".join(f"{plan.get(key)}" for key in keys)
    return text if len(text) <= 200 else text[:200] + "..."


def _write_json(path: str, value: object) -> None:
    body = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    storage_of(path).write(path, body.encode("utf-8"))


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    shard: Shard | None = None


def _in_processes(job: BulkJob, shards: list[Shard], workers: int) -> Iterator[Outcome]:
    """Tag in processes of this machine; one that dies is replaced and its shard done again."""
    waiting = deque(shards)
    tries: dict[str, int] = {}
    # A fork would take threads of ours along, in whatever state they are.
    context = multiprocessing.get_context("spawn")
    team = [_start(context, job) for _ in range(workers)]
    try:
        for worker in team:
            _give(worker, waiting)
        while busy := [worker for worker in team if worker.shard is not None]:
            ready = wait([worker.pipe for worker in busy])
            for worker in (one for one in busy if one.pipe in ready):
                shard = worker.shard
                assert shard is not None
                try:
                    outcome = worker.pipe.recv()
                except EOFError:
                    worker.process.join()
                    tries[shard.out] = tries.get(shard.out, 0) + 1
                    if tries[shard.out] < TRIES:
                        waiting.appendleft(shard)
                        outcome = None
                    else:
                        code = worker.process.exitcode
                        failure = f"{shard.path}: its worker died {TRIES} times (exit code {code})"
                        outcome = Outcome(shard.out, failure=failure)
                    team[team.index(worker)] = worker = _start(context, job)
                worker.shard = None
                _give(worker, waiting)
                if isinstance(outcome, Exception):
                    raise outcome
                if outcome is not None:
                    yield outcome
    finally:
        for worker in team:
            worker.pipe.close()
            worker.process.terminate()
        for worker in team:
            worker.process.join()


def _give(worker: _Worker, waiting: deque[Shard]) -> None:
    if waiting:
        worker.shard = waiting.popleft()
        # One that has just died is found out when it does not answer.
        with suppress(BrokenPipeError):
            worker.pipe.send(worker.shard)


def _start(context: Any, job: BulkJob) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(job: BulkJob, pipe: Connection) -> None:
    """A worker: shards in, outcomes out, until nobody sends more."""
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        try:
            tagger = ShardTagger(job)
        except Exception as error:
            pipe.recv()
            pipe.send(error)
            return
        while True:
            pipe.send(tagger(pipe.recv()))

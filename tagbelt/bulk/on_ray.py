"""Bulk runs on Ray Data: one actor a core, on one machine or a cluster."""

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tagbelt.bulk.job import BulkJob, Outcome, ShardTagger
from tagbelt.bulk.shards import Shard


class _Actor:
    """Has the model, and tags the shards that Ray sends it."""

    def __init__(self, job: BulkJob) -> None:
        self._tagger = ShardTagger(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return asdict(self._tagger(Shard(**row)))


def outcomes(
    job: BulkJob, shards: list[Shard], workers: int, address: str | None
) -> Iterator[Outcome]:
    """Tag shards in `workers` actors; yields what each came to, in any order.

    A shard whose actor died is done again, on another machine if need be. Rows stay where they are:
    what passes through Ray are the names of shards and their counts. Raises MissingPackageError.
    """
    import ray
    import ray.data

    if not ray.is_initialized():
        own: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level="WARNING", **own)
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one already
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # A block, the part that is done again, is a shard.
    rows = ray.data.from_items([asdict(one) for one in shards], override_num_blocks=len(shards))
    done = rows.map(
        _Actor,
        fn_constructor_args=(job,),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    yield from (Outcome(**row) for row in done.iter_rows())

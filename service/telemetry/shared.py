"""Metrics of several worker processes: a folder that all of them write into.

prometheus_client decides when it is imported whether it counts for one process or for several.
So this module does not import it: the process that starts the workers calls `share_metrics`
before it does, or before anything that does is imported.
"""

import os
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics(folder: Path) -> None:
    """Makes the metrics of this process and of its children one, kept in `folder`.

    What an earlier run left there is removed. Raises OSError when the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()
    # The first write tells, not a request, that the folder is on a full or read-only disk.
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
    os.environ[VARIABLE] = str(folder)


def forget_worker(pid: int) -> None:
    """Takes a worker that has ended out of the gauges; what it counted stays counted."""
    from prometheus_client.multiprocess import mark_process_dead

    if VARIABLE in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]

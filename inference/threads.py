"""How many cores this process may really use: the container's quota counts, not the machine's."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_threads(cgroup: Path = CGROUP) -> int:
    """Return the cores of the affinity mask, or fewer where a cgroup quota allows fewer (>= 1)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    # Rounded down: a thread that the quota stops keeps the others of its kernel waiting.
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Return the cgroup's CPU quota in cores, or None without one (cgroup v2, else v1)."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            texts = [(cgroup / name).read_text(encoding="ascii") for name in names]
            quota, period = " ".join(texts).split()
            return int(quota) / int(period) if quota not in ("max", "-1") else None
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None

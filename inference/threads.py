"""How many cores this process may really use: the container's quota counts, not the machine's."""

import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available_threads() -> int:
    """Return the cores of the affinity mask, or fewer where a cgroup quota allows fewer (>= 1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota()
    return max(1, min(cores or 1, int(quota) if quota else cores or 1))


def _quota() -> float | None:
    """Return the cgroup's CPU quota in cores, or None without one."""
    try:
        limit, period = _CGROUP_V2.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            limit = (_CGROUP_V1 / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (_CGROUP_V1 / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if limit in ("max", "-1"):
        return None
    return int(limit) / int(period)

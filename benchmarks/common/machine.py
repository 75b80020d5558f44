"""Describe the machine: processor, cores, versions and load; and the memory of a process."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tagbelt.inference.native.quantised import best_tier
from tagbelt.inference.threads import cpu_quota

ROOT = Path(__file__).resolve().parents[2]

# Instruction sets that matrix products use, where Linux names them.
_FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
)
_MAKERS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_PROC = Path("/proc")
_PACKAGES = ("tagbelt", "numpy", "onnxruntime", "torch", "pytorch-crf")


def machine_kind() -> str:
    """Name the kind of this machine, as folders of results are named: maker and tier of kernels."""
    maker = _cpu().get("vendor_id", "")
    return f"{_MAKERS.get(maker, platform.machine())}-{best_tier() or 'none'}".lower()


def machine() -> dict[str, Any]:
    """Describe this machine and our own environment; unknown things are left out."""
    cpu = _cpu()
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "cpu_quota": cpu_quota(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "cache": cpu.get("cache size", ""),
        "tier": best_tier(),
        "flags": [flag for flag in _FLAGS if flag in cpu.get("flags", "").split()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": versions(_PACKAGES),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of those packages that are installed here."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu(source: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; nothing where there is no such file."""
    try:
        first = source.read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _commit() -> str:
    """The commit measured, with "+" where sources differ from it; "" outside a clone."""
    commit = _git("rev-parse", "--short", "HEAD")
    sources = (".", ":!docs", ":!benchmarks/results")
    return commit + ("+" if commit and _git("status", "--porcelain", "--", *sources) else "")


def _git(*arguments: str) -> str:
    told = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


def resident_mb(process: int | str = "self") -> float | None:
    """Resident memory in MB (10^6 bytes), or None where there is no /proc."""
    return _status(process, "VmRSS")


def peak_mb(process: int | str = "self") -> float | None:
    """The most that was resident since the start, or since `reset_peak`, in MB."""
    return _status(process, "VmHWM")


def reset_peak() -> None:
    """Forget this process's peak so far; does nothing where the system has no such thing."""
    mark = _PROC / "self" / "clear_refs"
    if mark.exists():
        mark.write_text("5", encoding="ascii")  # 5: the high water mark


def _status(process: int | str, field: str) -> float | None:
    try:
        text = (_PROC / str(process) / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    return None

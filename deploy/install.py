"""Run `pip install` in this Python's environment: a line of progress, the whole log in a file.

    python deploy/install.py -e . -c constraints.txt

All arguments are pip's. The log is `install.log` in the environment; when pip fails its tail is
shown. Exits as pip does. Needs nothing but the standard library.
"""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

LOG = Path(sys.prefix) / "install.log"
POLL_SECONDS = 0.2
TAIL_LINES = 20
LARGE_MB = 10.0
WIDTH = 100

_FILE = re.compile(r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?([^\s/]+)")
_SIZE = re.compile(r"\(([\d.]+) (kB|MB|GB)\)")
_MEGABYTES = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}
_BUILDING = re.compile(r"\s*Building (?:wheel|editable) for (\S+) .*started")
_INSTALLING = "Installing collected packages: "
# What pip says of each index that lacks a package, dozens of times.
_NOISE = re.compile(r"WARNING: Location .* is ignored|Looking in ")


def step(line: str) -> tuple[str, bool] | None:
    """What a line of pip's log says is being done, and whether that may take long."""
    if line.startswith(_INSTALLING):
        return f"installing {line.count(',') + 1} packages", True
    if building := _BUILDING.match(line):
        return f"building {building[1]}", True
    file = _FILE.match(line)
    if file is None or file[1].endswith(".metadata"):
        return None
    size = _SIZE.search(line)
    megabytes = float(size[1]) * _MEGABYTES[size[2]] if size else 0.0
    return f"fetching {file[1].split('-')[0]}{f' {size[0]}' if size else ''}", megabytes >= LARGE_MB


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line for each step that takes long."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self._is_terminal = target.isatty()
        self._began = time.monotonic()
        self._message = "looking for packages"

    def take(self, line: str) -> None:
        """Show the step that a line of the log begins."""
        if found := step(line):
            self._message, is_long = found
            if is_long and not self._is_terminal:
                self._write("\n")

    def tick(self) -> None:
        """Show how long it has taken so far."""
        if self._is_terminal:
            self._write("\r")

    def end(self, message: str) -> None:
        """Show how it ended."""
        self._message = message
        if self._is_terminal:
            self._target.write("\r" + " " * WIDTH + "\r")
        self._write("\n")

    def _write(self, end: str) -> None:
        line = f"  {time.monotonic() - self._began:4.0f} s  {self._message}"
        padding = WIDTH if self._is_terminal else 0
        self._target.write(f"{line[:WIDTH]:{padding}}{end}")
        self._target.flush()


def install(arguments: list[str], log: Path = LOG) -> int:
    """Run pip, its output into `log`; return its exit status."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    progress = Progress(sys.stdout)
    with log.open("w", encoding="utf-8") as target, log.open(encoding="utf-8") as lines:
        process = subprocess.Popen(
            [*command, "--progress-bar", "off", *arguments], stdout=target, stderr=target
        )
        is_over = False
        while not is_over:
            is_over = process.poll() is not None  # what it wrote last is read once more
            for line in lines:
                progress.take(line)
            progress.tick()
            time.sleep(0 if is_over else POLL_SECONDS)
    if process.returncode:
        told = [line for line in log.read_text(encoding="utf-8").splitlines() if line]
        tail = [line for line in told if not _NOISE.match(line)][-TAIL_LINES:]
        progress.end("pip failed:")
        sys.stderr.write("\n".join([*tail, f"The whole log: {log}", ""]))
    else:
        progress.end("installed")
    return process.returncode


if __name__ == "__main__":
    try:
        sys.exit(install(sys.argv[1:]))
    except KeyboardInterrupt:  # pip has got it as well
        sys.exit(130)

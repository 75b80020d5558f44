"""A server over a fake model in processes of its own, for the time of a block."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("program.py")
PATIENCE = 60


def until(condition, what="it"):
    """Wait until a condition holds, and return what it returned."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)
    return found


class Running:
    def __init__(self, folder, plan, environment):
        self.folder = folder
        self.log_path = folder / "log"
        settings = {"port": 0, "log_format": "json", **plan.pop("settings", {})}
        plan = {"folder": str(folder), "settings": settings, **plan}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TAGBELT_")}
        with self.log_path.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, json.dumps(plan)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
            )
        self.said = ""

    def read_greeting(self):
        while "Try: " not in self.said:
            line = self.process.stdout.readline()
            assert line, f"{self.said}\n{self.log}"
            self.said += line

    @property
    def url(self):
        return re.search(r"https?://[^/ ]+", self.said).group()

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    @property
    def workers(self):
        """The process ids of the workers that live."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return list(map(int, path.read_text(encoding="ascii").split()))

    def count(self):
        """Requests that reached the app and replies that left it, over all processes."""
        counts = [
            json.loads(path.read_text(encoding="utf-8")) for path in self.folder.glob("count-*")
        ]
        return tuple(sum(count[name] for count in counts) for name in ("begun", "done"))

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder, *, greets=True, environment=None, **plan):
    """A server, once it has greeted; ended hard after the block unless it has ended."""
    server = Running(folder, plan, environment or {})
    try:
        if greets:
            server.read_greeting()
        yield server
    finally:
        # A worker that has lost its supervisor ends by itself.
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


def is_alive(pid):
    """Whether a process is there, and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"

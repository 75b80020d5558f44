"""A worker process as its supervisor sees it, and when the next one is started."""

import os
import signal
import socket
import subprocess
import sys
import time

from tagbelt.service.process.channel import Channel

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 60.0


class Restarts:
    """No wait the first time, then 0.5 s, 1, 2 and so on up to 30; all over after a good minute."""

    def __init__(self) -> None:
        self._next = 0.0

    def wait_after(self, lived: float) -> float:
        """The wait in seconds, for a worker that has just ended after `lived` seconds."""
        if lived >= HEALTHY_SECONDS:
            self._next = 0.0
        wait = self._next
        self._next = min(max(2 * wait, FIRST_SECONDS), LONGEST_SECONDS)
        return wait


PROGRAM = (sys.executable, "-P", "-m", "tagbelt.service.process.worker")
# From the last word of a worker to its end.
EXIT_SECONDS = 5.0


class Spawned:
    """A process that was started, the wire to it, and what it has said so far."""

    def __init__(self, job: bytes, listener: socket.socket) -> None:
        """Starts it and gives it its job. Raises OSError when the system refuses."""
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        descriptors = [theirs.fileno(), listener.fileno()]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*PROGRAM, *map(str, descriptors)],
                    pass_fds=descriptors,
                    stdin=subprocess.DEVNULL,
                    # What a terminal sends to all, such as Ctrl-C, comes to the supervisor alone.
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
        except OSError:
            self.channel.close()
            raise
        self.channel.send_object(job)
        self.is_ready = False
        self.failure: str | None = None
        self._since = time.monotonic()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._since

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def reap(self) -> str:
        """Wait for its end and return how it ended; it closes the channel last."""
        self.channel.close()
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"hung at its end for {EXIT_SECONDS:g} s and was killed"
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was ended by {signal.Signals(-code).name}"

"""Handlers of signals, from the first moment of the process to its last."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

logger = logging.getLogger("service.process")

ENDING = (signal.SIGTERM, signal.SIGINT)
# A shell reports a process that a signal ended in this way.
SIGNALLED = 128


class Signals:
    """Handles SIGTERM, SIGINT and SIGHUP while it is entered; later ones are as before.

    The first two call `on_end` once it is set, and a second one ends the process at once. Before,
    SIGINT raises KeyboardInterrupt and SIGTERM ends the process: an exception might get lost in
    the import or the load that it meets. Whatever ends at once calls `clean_up` first. SIGHUP
    calls `on_hangup` when that is set.
    """

    def __init__(self, *, second_ends: bool = True) -> None:
        self.on_end: Callable[[], None] | None = None
        self.on_hangup: Callable[[], None] | None = None
        self.clean_up: Callable[[], None] = lambda: None
        self._second_ends = second_ends
        self._is_ending = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Signals reach the main thread alone; elsewhere whoever runs us has them.
        if threading.current_thread() is threading.main_thread():
            for number in (*ENDING, signal.SIGHUP):
                handler = self._hangup if number == signal.SIGHUP else self._end
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, signum: int, _: FrameType | None) -> None:
        if self.on_end is None:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            self._exit(signum)
        elif not self._is_ending:
            self._is_ending = True
            self.on_end()
        elif self._second_ends:
            logger.warning("a second signal: ended at once")
            self._exit(signum)

    def _exit(self, signum: int) -> None:
        self.clean_up()
        for handler in logging.getLogger().handlers:
            handler.flush()  # there will be no end of the loop's turn
        os._exit(SIGNALLED + signum)

    def _hangup(self, _: int, __: FrameType | None) -> None:
        if self.on_hangup is not None:
            self.on_hangup()


class Wakeup:
    """Signals as something to wait for with a selector, while it is entered."""

    def __enter__(self) -> Self:
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        self._before = {
            number: signal.signal(number, lambda *_: None) for number in (*ENDING, signal.SIGHUP)
        }
        self._wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal has come."""
        return self._read.fileno()

    def signals(self) -> list[int]:
        """The signals that have come since, in order."""
        return list(self._read.recv(64))

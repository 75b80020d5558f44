"""Where the time of a call went."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Phases:
    """Seconds in tokenizing, in the network and in decoding, summed over threads.

    `infer` is looking tokens up and scoring them, `decode` all from there to the results.
    `tokenize` is left to whoever calls `Tagger.read`.
    """

    tokenize: float = 0.0
    infer: float = 0.0
    decode: float = 0.0
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    def add(self, *, tokenize: float = 0.0, infer: float = 0.0, decode: float = 0.0) -> None:
        """Add seconds; safe to call from several threads at once."""
        with self._lock:
            self.tokenize += tokenize
            self.infer += infer
            self.decode += decode

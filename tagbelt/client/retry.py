"""When to try again, and how long a call may take in all."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Retry:
    """Up to `retries` more tries, with pauses drawn from [0, first_seconds * 2**n], capped.

    A server's Retry-After counts when it is longer. No pause is begun that would end after the
    call's deadline. `random` gives numbers in [0, 1), `clock` monotonic seconds.
    """

    retries: int = 4
    first_seconds: float = 0.25
    most_seconds: float = 8.0
    random: Callable[[], float] = field(default=random.random, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        if self.retries < 0 or not 0 <= self.first_seconds <= self.most_seconds:
            raise ValueError(
                f"a retry policy needs retries >= 0 and 0 <= first_seconds <= most_seconds: {self}"
            )

    def pause(self, tries: int) -> float:
        """Seconds to wait after `tries` retries that failed."""
        # Bounded first: the power of a great number of tries is no float.
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** min(tries, 64))
        return self.random() * longest


class Deadline:
    """The end of a call that may take `seconds`; None has no end."""

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"timeout must be more than 0 seconds, or None, not {seconds}")
        self.seconds = math.inf if seconds is None else seconds
        self._clock = clock
        self._end = clock() + self.seconds

    def left(self) -> float:
        """Seconds until then; negative when it has passed, infinite without an end."""
        return self._end - self._clock()


def retry_after(value: str | None, date: str | None) -> float | None:
    """The seconds that a Retry-After header asks for; None when it says nothing of use.

    A date is measured against the reply's own Date header, since the two clocks may differ.
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    then = _instant(value)
    if then is None:
        return None
    now = (date and _instant(date)) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def _instant(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone is in UTC, as all of HTTP's are.
    return found if found.tzinfo else found.replace(tzinfo=UTC)

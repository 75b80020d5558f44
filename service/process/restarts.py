"""How long to wait before a worker that has ended is started again."""

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

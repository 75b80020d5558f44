"""How fast work gets done, to tell beforehand what would come too late."""

# Of what counted before, after each batch: big batches, of which there is much to learn, outlast
# the small ones between them.
_KEPT = 0.9


class Pace:
    """Work done a second, over the last batches. Work is characters times what each costs."""

    def __init__(self) -> None:
        self._work = 0.0
        self._seconds = 0.0

    def add(self, work: float, seconds: float) -> None:
        """A batch was done. From one thread at a time."""
        self._seconds = _KEPT * self._seconds + seconds
        self._work = _KEPT * self._work + work

    def seconds_for(self, work: float) -> float:
        """How long so much work takes; 0 as long as nothing is known."""
        return work * self._seconds / self._work if self._work else 0.0

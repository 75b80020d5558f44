"""The engine's reports on its work: to each request, and to the keeper of the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tagbelt.inference import Annotation, Phases
from tagbelt.service.models.served import Served


@dataclass(slots=True)
class Work:
    """One request's share of the work: its items, and where its time went.

    `queue` is the wait for the first batch in seconds; the others are the seconds of the batches
    that its items were in, with whoever shared them.
    """

    model: str = ""
    items: int = 0
    tokens: int = 0
    queue: float = 0.0
    tokenize: float = 0.0
    infer: float = 0.0
    decode: float = 0.0
    texts: Sequence[object] = ()


Found = Mapping[tuple[str, int, int], float]
"""The score of each entity, by label, start and end."""


@dataclass(frozen=True, slots=True)
class CanaryComparison:
    """What two models found in one item; None where one failed on it."""

    stable: Served
    canary: Served
    by_stable: Found | None
    by_canary: Found | None


class Recorder:
    """Is told of everything that is worth counting, and keeps nothing: whoever counts does.

    Called from the inference thread as well.
    """

    def batch(
        self,
        served: Served,
        *,
        items: int,
        tokens: int,
        phases: Phases,
        waited: Sequence[float],
    ) -> None:
        """A batch was tagged; `waited` are the seconds that each new request of it had waited."""

    def annotated(self, served: Served, annotations: Sequence[Annotation]) -> None:
        """These annotations were made."""

    def rejected(self, reason: str) -> None:
        """A request was turned away, or dropped before it was computed."""

    def failed(self, reason: str) -> None:
        """An item could not be tagged."""

    def answered(self, served: Served) -> None:
        """A request for a name that has a canary was answered by this one of the two."""

    def compared(self, comparison: CanaryComparison) -> None:
        """A canary and the model whose place it took have both tagged an item."""

    def timed(self, served: Served, seconds: float) -> None:
        """One of the two models that are compared took so long over the items of a request."""

    def not_compared(self, canary: Served, items: int) -> None:
        """A canary has answered for items that the other model did not tag as well."""

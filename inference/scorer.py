"""What decoding needs from a network."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """Turns tokens into emissions. Must be safe to call from several threads at once."""

    def emissions(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Scores [T, B, K] of every tag for every token; B sentences, T the longest one's tokens.

        The sentences come longest first and have at least one token each; a token may be any
        string, "" included. What stands after a sentence's end is never read. A sentence's
        scores must not depend on the others.
        """
        ...

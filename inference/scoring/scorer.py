"""What decoding needs from a network."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.crf.parameters import IntArray
from tagbelt.inference.scoring.vector_cache import LexiconUse


class Prepared(Protocol):
    """Tokens that a scorer has looked up. Must be safe to use from several threads at once."""

    def emissions(self, index: IntArray, lengths: IntArray) -> NDArray[np.float32]:
        """Scores [T, B, K] of every tag for every token of B sentences.

        `index` [T, B] says where a sentence's tokens stand among those that were prepared, -1
        after its end; `lengths` [B] are the sentences' tokens, longest first, T of them first,
        none 0. What stands in the result after a sentence's end is never read. A sentence's
        scores must not depend on the others.
        """
        ...


class Scorer(Protocol):
    """Turns tokens into emissions. Must be safe to use from several threads at once."""

    def prepare(self, forms: Sequence[str], lengths: IntArray) -> Prepared:
        """Look up, or compute, what is known of each token; any string is one, "" included.

        They are those of whole sentences of `lengths` tokens (0 for one without), in their order.
        The result holds what it needs, however many other tokens are prepared after it.
        """
        ...

    def lexicon_use(self) -> LexiconUse:
        """How many tokens were looked up since it was made, and how many of them computed."""
        ...

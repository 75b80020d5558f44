"""`tagbelt evaluate CHECKPOINT FILE`: a checkpoint's scores on an annotated file."""

from collections.abc import Sequence
from typing import Any

from data.schemes import Scheme, spans_to_tags
from data.types import Sentence
from inference.tagger import Tagger
from training.metrics import MODES, report


def evaluate_sentences(tagger: Tagger, sentences: Sequence[Sentence]) -> dict[str, Any]:
    """Tag sentences with the Tagger that serves; return seqeval's report in each mode.

    Raises:
        ValueError: a sentence without gold tags, named by its line.
    """
    unlabelled = next((s for s in sentences if s.spans is None), None)
    if unlabelled is not None:
        raise ValueError(f"line {unlabelled.line}: a sentence without tags can't be evaluated on")
    gold = [spans_to_tags(s.spans or (), len(s.tokens), Scheme.IOB2) for s in sentences]
    found = tagger.tag_tokens([s.tokens for s in sentences])
    return {mode: report(gold, found, mode) for mode in MODES}

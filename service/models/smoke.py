"""A test of a model before it serves: an easy sentence, and a look at the answer."""

import math
from collections.abc import Sequence

from tagbelt.inference import Annotation
from tagbelt.service.models.routing import speaks_chinese
from tagbelt.service.models.served import Served

SMOKE_TEXT = "Ada Lovelace wrote to Charles Babbage in London."
SMOKE_TEXT_CHINESE = "李明上周从北京飞往上海，参加华为公司的会议。"

# In sentences; the longest has more tokens than a window.
_LENGTHS = (1, 2, 5, 15, 40)


def smoke_text(served: Served) -> str:
    """A sentence in the model's language."""
    chinese = speaks_chinese(served.info.language)
    return SMOKE_TEXT_CHINESE if chinese else SMOKE_TEXT


def smoke(served: Served) -> None:
    """Tags a sentence. Raises what the model raises, RuntimeError for an answer that cannot be."""
    text = smoke_text(served)
    annotations = _annotate(served, [text])
    if len(annotations) != 1:
        raise RuntimeError(f"{len(annotations)} answers to one test sentence")
    fault = _fault(served, text, annotations[0])
    if fault is not None:
        raise RuntimeError(f"the answer to the test sentence {fault}")


def warm(served: Served) -> None:
    """Tags sentences of several lengths, alone and together, so that the first request is fast."""
    text = smoke_text(served)
    longer = [" ".join([text] * length) for length in _LENGTHS]
    for item in longer:
        _annotate(served, [item])
    _annotate(served, longer)


def _annotate(served: Served, texts: Sequence[str]) -> Sequence[Annotation]:
    return served.tagger.annotate_items([served.tagger.tokenize(text) for text in texts])


def _fault(served: Served, text: str, annotation: Annotation) -> str | None:
    """What is wrong with an annotation of `text`; None when it fits."""
    if not annotation.tokens:
        return "has no tokens"
    if not len(annotation.tokens) == len(annotation.starts) == len(annotation.tags):
        return "has not one tag a token"
    for token, start in zip(annotation.tokens, annotation.starts, strict=True):
        if text[start : start + len(token)] != token:
            return "has tokens that are not in it"
    for entity in annotation.entities:
        if text[entity.start : entity.end] != entity.text:
            return "has entities that are not in it"
        if entity.label not in served.labels:
            return f"has the label {entity.label!r}, which the model does not declare"
        if not (math.isfinite(entity.score) and 0.0 <= entity.score <= 1.0 + 1e-6):
            return f"has the score {entity.score}, which is no probability"
    return None

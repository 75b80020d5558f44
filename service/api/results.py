"""An annotation as the JSON of one result: filtered, and with places in the unit asked for."""

from collections.abc import Callable
from typing import Any

from tagbelt.inference import Annotation, TagPath
from tagbelt.service.api.offsets import convert
from tagbelt.service.api.schemas import TagOptions

# Scores come from float32 emissions; further digits would be noise.
SCORE_DIGITS = 6


def result(
    item: Any, annotation: Annotation, options: TagOptions, *, is_tokens: bool
) -> dict[str, Any]:
    """The JSON object that schemas.Tagged describes. `item` is the text or the token list."""
    place: Callable[[int], int] = int
    if not is_tokens and options.offset_unit != "codepoint":
        place = _places(item, annotation, options)
    members: dict[str, Any] = {"entities": _entities(annotation, options, place)}
    if "tokens" in options.include:
        members["tokens"] = [
            {"text": token, "start": place(start), "end": place(end)}
            for token, (start, end) in zip(annotation.tokens, _token_spans(annotation), strict=True)
        ]
    if "tags" in options.include:
        members["tags"] = list(annotation.tags)
    if "alternatives" in options.include:
        members["alternatives"] = [
            [{"tag": tag, "score": _score(score)} for tag, score in tags.items()]
            for tags in annotation.marginals or ()
        ]
    if annotation.paths is not None:
        members["paths"] = [_reading(path, options, place) for path in annotation.paths]
    return members


def _reading(path: TagPath, options: TagOptions, place: Callable[[int], int]) -> dict[str, Any]:
    wanted = None if options.labels is None else frozenset(options.labels)
    return {
        "score": _score(path.score),
        "tags": list(path.tags),
        "entities": [
            {"label": label, "start": place(start), "end": place(end), "text": text}
            for label, start, end, text in path.entities
            if wanted is None or label in wanted
        ],
    }


def _entities(
    annotation: Annotation, options: TagOptions, place: Callable[[int], int]
) -> list[dict[str, Any]]:
    labels = None if options.labels is None else frozenset(options.labels)
    least = options.min_score or 0.0
    return [
        {
            "label": entity.label,
            "start": place(entity.start),
            "end": place(entity.end),
            "text": entity.text,
            "score": _score(entity.score),
        }
        for entity in annotation.entities
        if (labels is None or entity.label in labels) and entity.score >= least
    ]


def _score(probability: float) -> float:
    return round(probability, SCORE_DIGITS)


def _token_spans(annotation: Annotation) -> list[tuple[int, int]]:
    if not annotation.starts:  # token input: places are token indices
        return [(index, index + 1) for index in range(len(annotation.tokens))]
    return [
        (start, start + len(token))
        for token, start in zip(annotation.tokens, annotation.starts, strict=True)
    ]


def _places(item: str, annotation: Annotation, options: TagOptions) -> Callable[[int], int]:
    """From the tagger's positions to those of the reply."""
    spans = [(entity.start, entity.end) for entity in annotation.entities]
    if "tokens" in options.include:
        spans += _token_spans(annotation)
    spans += [(one.start, one.end) for path in annotation.paths or () for one in path.entities]
    positions = (position for span in spans for position in span)
    return convert(item, positions, options.offset_unit).__getitem__

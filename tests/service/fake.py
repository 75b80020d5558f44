"""A tagger without a network: fixed names are entities, and faults come when asked for."""

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI

from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Entity, Tokens
from tagbelt.errors import CheckpointError
from tagbelt.inference import (
    Annotation,
    ModelInfo,
    Phases,
    TagPath,
    TokenizedItem,
    UnscoredEntity,
    VectorCacheUse,
)
from tagbelt.service.app import create_app
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.served import Served
from tagbelt.service.settings import Settings

NAMES = {
    "Angela Merkel": "PER",
    "Toyota": "ORG",
    "Nagoya": "LOC",
    "李明": "PER",
    "上海": "LOC",
    "👩‍🚀Ana": "PER",
    "<b>Bold</b>": "ORG",
    "محمد": "PER",
}
TOKEN = re.compile("|".join([*map(re.escape, NAMES), r"[A-Za-z0-9]+|\S"]))
SCORE = 0.87654321


def info(name: str = "fake", **changes: object) -> ModelInfo:
    fields: dict[str, object] = {
        "name": name,
        "version": "3",
        "labels": ("PER", "ORG", "LOC"),
        "tags": ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
        "scheme": Scheme.IOB2,
        "unit": "word",
        "digest": "ab" * 32,
        "language": "en",
        "description": "A tagger for tests.",
        "metrics": {"f1": 0.5},
    }
    return ModelInfo(**(fields | changes))  # type: ignore[arg-type]


class FakeTagger:
    """Each name of NAMES is one token and one entity.

    A text that holds `poison` makes the call raise. `gate` closed makes every call wait.
    """

    def __init__(self, name: str = "fake", *, poison: str | None = None, **changes: object) -> None:
        self.info = info(name, **changes)
        self.poison = poison
        self.gate = threading.Event()
        self.gate.set()
        self.annotated = 0
        self.calls: list[list[object]] = []
        self.threads: set[str] = set()

    def tokenize(self, item: object, *, marginals: bool = False, paths: int = 0) -> TokenizedItem:
        if isinstance(item, str):
            words = [match.group() for match in TOKEN.finditer(item)]
            starts = tuple(match.start() for match in TOKEN.finditer(item))
            return TokenizedItem(
                item, (Tokens(tuple(words), starts),), len(words), marginals, paths
            )
        return TokenizedItem(None, (Tokens(tuple(item), ()),), len(item), marginals, paths)

    def annotate_items(
        self,
        readings: Sequence[TokenizedItem],
        phases: Phases | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> list[Annotation]:
        self._enter([list(r.sentences[0].words) if r.text is None else r.text for r in readings])
        if phases is not None:
            phases.add(infer=0.002, decode=0.001)
        annotations = []
        for reading in readings:
            between()
            annotations.append(self._annotation(reading))
            self.annotated += 1
        return annotations

    def check_inspect(self, item: TokenizedItem) -> None:  # noqa: ARG002
        raise CheckpointError("a fake has no network to look into")

    def count_unknown(self, forms: Sequence[str]) -> int:
        return sum(form not in NAMES for form in forms)

    def vector_cache_use(self) -> VectorCacheUse:
        return VectorCacheUse(hits=len(self.calls), misses=1)

    def _enter(self, items: list[object]) -> None:
        self.calls.append(items)
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(timeout=30)
        if self.poison is not None and any(self.poison in str(item) for item in items):
            raise RuntimeError(f"poisoned by {items}")

    def _annotation(self, reading: TokenizedItem) -> Annotation:
        (sentence,) = reading.sentences
        tokens = sentence.words
        tags = tuple(map(_tag, tokens))
        entities = tuple(
            Entity(NAMES[token], *reading.place(sentence, index, index + 1), SCORE)
            for index, token in enumerate(tokens)
            if token in NAMES
        )
        return Annotation(
            tokens=tokens,
            starts=sentence.starts,
            tags=tags,
            entities=entities,
            marginals=_marginals(tokens) if reading.marginals else None,
            paths=_paths(tags, entities)[: reading.paths] if reading.paths else None,
        )


def _paths(tags: tuple[str, ...], entities: Sequence[Entity]) -> tuple[TagPath, ...]:
    """As it is, and without its last entity."""
    named = [UnscoredEntity(e.label, e.start, e.end, e.text) for e in entities]
    if not named:
        return (TagPath(1.0, tags, ()),)
    last = max(index for index, tag in enumerate(tags) if tag != "O")
    without = (*tags[:last], "O", *tags[last + 1 :])
    return TagPath(0.75, tags, tuple(named)), TagPath(0.25, without, tuple(named[:-1]))


def _tag(token: str) -> str:
    return f"B-{NAMES[token]}" if token in NAMES else "O"


def _marginals(tokens: Sequence[str]) -> tuple[dict[str, float], ...]:
    return tuple(
        {_tag(token): 0.75, "I-LOC": 0.25} if _tag(token) != "O" else {"O": 1.0} for token in tokens
    )


def fake_app(tagger: Any = None, **settings: Any) -> FastAPI:
    """The app over one tagger, or several."""
    taggers = tagger if isinstance(tagger, list) else [FakeTagger() if tagger is None else tagger]
    return create_app(Settings(**settings), Registry([Served(tagger) for tagger in taggers]))

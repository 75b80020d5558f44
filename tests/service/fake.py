"""A tagger without a network: fixed names are entities, and faults come when asked for."""

import re
import threading
from collections.abc import Sequence

from data.schemes import Scheme
from data.types import Entity
from inference import Annotation, ModelInfo

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
        self.calls: list[list[object]] = []
        self.threads: set[str] = set()

    def annotate(self, texts: Sequence[str], *, marginals: bool = False) -> list[Annotation]:
        self._enter(list(texts))
        return [self._annotation(text, marginals) for text in texts]

    def annotate_tokens(
        self, sentences: Sequence[Sequence[str]], *, marginals: bool = False
    ) -> list[Annotation]:
        self._enter(list(sentences))
        return [self._token_annotation(tokens, marginals) for tokens in sentences]

    def _enter(self, items: list[object]) -> None:
        self.calls.append(items)
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(timeout=30)
        if self.poison is not None and any(self.poison in str(item) for item in items):
            raise RuntimeError(f"poisoned by {items}")

    def _annotation(self, text: str, marginals: bool) -> Annotation:
        found = list(TOKEN.finditer(text))
        return Annotation(
            tokens=tuple(match.group() for match in found),
            starts=tuple(match.start() for match in found),
            tags=tuple(_tag(match.group()) for match in found),
            entities=tuple(
                Entity(NAMES[match.group()], *match.span(), match.group(), SCORE)
                for match in found
                if match.group() in NAMES
            ),
            marginals=_marginals([match.group() for match in found]) if marginals else None,
        )

    def _token_annotation(self, tokens: Sequence[str], marginals: bool) -> Annotation:
        return Annotation(
            tokens=tuple(tokens),
            starts=(),
            tags=tuple(map(_tag, tokens)),
            entities=tuple(
                Entity(NAMES[token], index, index + 1, token, SCORE)
                for index, token in enumerate(tokens)
                if token in NAMES
            ),
            marginals=_marginals(tokens) if marginals else None,
        )


def _tag(token: str) -> str:
    return f"B-{NAMES[token]}" if token in NAMES else "O"


def _marginals(tokens: Sequence[str]) -> tuple[dict[str, float], ...]:
    return tuple(
        {_tag(token): 0.75, "I-LOC": 0.25} if _tag(token) != "O" else {"O": 1.0} for token in tokens
    )

"""Tagbelt as a recognizer of Presidio's analyzer, over a checkpoint or a server.

Needs presidio-analyzer: tagbelt[presidio]; for a server, tagbelt[client] too.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

from tagbelt.data.checkpoint.finding import ENGLISH
from tagbelt.inference.tagger import Tagger

if TYPE_CHECKING:
    from tagbelt.client import Client

PRESIDIO_LABELS: Mapping[str, str] = {
    "PER": "PERSON",
    "PERSON": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "ORG": "ORGANIZATION",
}
"""Presidio's names of the common labels."""


class FoundEntity(Protocol):
    """An entity, as a checkpoint or a server gives it."""

    @property
    def label(self) -> str:
        """Its type."""

    @property
    def start(self) -> int:
        """Its first code point."""

    @property
    def end(self) -> int:
        """The code point after its last."""

    @property
    def score(self) -> float:
        """Its probability."""


Find = Callable[[str], Sequence[FoundEntity]]


class TagbeltRecognizer(EntityRecognizer):  # type: ignore[misc]  # Presidio is not fully typed
    """Recognizes what a model has labels for.

    Args:
        checkpoint: directory or name of a model; the bundled English one unless a URL is given.
        url: a server instead. Its key is taken from TAGBELT_API_KEY.
        model: the server's model, name@version or "auto"; its default one unless given.
        timeout: seconds that the server may take for a text.
        threads: threads of one call of a checkpoint; None takes as many as the CPU quota gives.
        labels: the model's labels and what Presidio is to call them, in place of
            `PRESIDIO_LABELS`. A label that is not in there keeps its name.
        ignored: labels of the model to leave out.
        min_score: leave out entities that are less probable.
        supported_language: the language of the texts that it is asked about.
        name: the recognizer's name in results and explanations.
        options: what else `EntityRecognizer` takes, such as `context`.

    `close()` ends the connections to a server, as does the end of the recognizer.

    Raises what `Tagger.load` raises, a TagbeltError when the server cannot be asked, and
    ValueError when both a checkpoint and a URL are given.
    """

    def __init__(
        self,
        checkpoint: str | None = None,
        *,
        url: str | None = None,
        model: str | None = None,
        timeout: float = 60.0,
        threads: int | None = None,
        labels: Mapping[str, str] = PRESIDIO_LABELS,
        ignored: Iterable[str] = (),
        min_score: float = 0.0,
        supported_language: str = "en",
        name: str = "TagbeltRecognizer",
        **options: Any,
    ) -> None:
        if checkpoint is not None and url is not None:
            raise ValueError("give either a checkpoint or a url to TagbeltRecognizer, not both")
        self._min_score = min_score
        if url is None:
            known, version, self._find = _local(checkpoint, threads)
            self.close: Callable[[], object] = lambda: None
        else:
            known, version, self._find, close = _remote(url, model, timeout)
            self.close = weakref.finalize(self, close)
        self._labels = labels
        self._ignored = frozenset(ignored)
        names = [self._labels.get(label, label) for label in known if label not in self._ignored]
        super().__init__(
            **{"version": version, **options},
            supported_entities=list(dict.fromkeys(names)),
            supported_language=supported_language,
            name=name,
        )

    def load(self) -> None:
        """Nothing is left to do: the model is loaded, or the server asked, at the start."""

    def analyze(
        self,
        text: str,
        entities: Sequence[str] | None,
        nlp_artifacts: Any = None,
    ) -> list[RecognizerResult]:
        """Find the entities of a text, at code points of it; of all types without `entities`."""
        del nlp_artifacts  # the model has a tokenizer of its own
        wanted = [
            found
            for found in self._find(text)
            if found.score >= self._min_score and found.label not in self._ignored
        ]
        results = [self._result(found) for found in wanted]
        return [r for r in results if entities is None or r.entity_type in entities]

    def _result(self, found: FoundEntity) -> RecognizerResult:
        entity = self._labels.get(found.label, found.label)
        why = AnalysisExplanation(
            recognizer=self.name,
            original_score=found.score,
            textual_explanation=f"{found.label}, by Tagbelt {self.version}; the score is the "
            "probability of exactly this span and label",
        )
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(entity, found.start, found.end, found.score, why, metadata)


def _local(checkpoint: str | None, threads: int | None) -> tuple[Sequence[str], str, Find]:
    path = ENGLISH if checkpoint is None else checkpoint
    tagger = Tagger.load(path, threads=threads)
    info = tagger.info
    return info.labels, f"{info.name}@{info.version}", lambda text: tagger.tag([text])[0]


def _remote(
    url: str, model: str | None, timeout: float
) -> tuple[Sequence[str], str, Find, Callable[[], None]]:
    from tagbelt.client import Client  # needs httpx, which a checkpoint does not

    client = Client(url, timeout=timeout)

    def find(text: str) -> Sequence[FoundEntity]:
        return client.tag(text, model=model).entities

    try:
        labels, version = _served(client, model)
    except BaseException:
        client.close()
        raise
    return labels, version, find, client.close


def _served(client: "Client", model: str | None) -> tuple[Sequence[str], str]:
    """Return the labels and the name of the model that answers."""
    listed = client.models()
    if model == "auto":
        loaded = [card for card in listed.models if card.state == "loaded"]
        return list(dict.fromkeys(label for card in loaded for label in card.labels)), model
    card = client.model(model or listed.default)
    return card.labels, card.full_name

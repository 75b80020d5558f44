"""Tagbelt as a component of a spaCy pipeline: nlp.add_pipe("tagbelt", config={...}).

Needs spaCy: tagbelt[spacy]. spaCy finds the component by its entry point.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import minibatch
from spacy.vocab import Vocab

from tagbelt.data.checkpoint.artifact import CONFIG
from tagbelt.data.checkpoint.finding import ENGLISH, find_checkpoint
from tagbelt.data.text.sentences import sentence_starts
from tagbelt.errors import ModelNotFoundError
from tagbelt.inference.tagger import Tagger

SCORE = "tagbelt_score"
"""Of a span: `span._.tagbelt_score`, the probability of exactly this entity, else None."""
MISALIGNED = "tagbelt_misaligned"
"""Of a document: `doc.user_data[...]`, the entities that are no whole tokens of it."""

_STATE = "tagbelt.json"
_COPY = "checkpoint"

By = Literal["auto", "tokens", "text"]
Alignment = Literal["strict", "contract", "expand"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the component.

    Attributes:
        checkpoint: directory or name of the model; None takes the bundled English one.
        overwrite: let new entities replace those of `doc.ents` that they overlap; otherwise those
            stay, and so do blocked tokens.
        min_score: leave out entities that are less probable.
        labels: only entities of these labels.
        by: "tokens" tags the document's own tokens, in its sentences if it has any; "text" its
            text, with the model's own tokenizer. "auto" takes "text" for models of characters.
        alignment: what becomes of an entity that ends within a token, as `Doc.char_span` says.
        spans_key: the group of `doc.spans` that gets all entities found, its `attrs["scores"]`
            their probabilities.
        threads: threads of one call; None takes as many as the CPU quota gives.
        copy_checkpoint: have `nlp.to_disk` copy the checkpoint, so that the pipeline can be moved.
    """

    checkpoint: str | None = None
    overwrite: bool = False
    min_score: float = 0.0
    labels: list[str] | None = None
    by: By = "auto"
    alignment: Alignment = "strict"
    spans_key: str = "tagbelt"
    threads: int | None = None
    copy_checkpoint: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """An entity over tokens of a document, `end` exclusive."""

    start: int
    end: int
    label: str
    score: float


@Language.factory(  # type: ignore[untyped-decorator]
    "tagbelt",
    assigns=["doc.ents", "doc.spans", "token.ent_iob", "token.ent_type"],
    default_config={**asdict(Options()), "scorer": {"@scorers": "spacy.ner_scorer.v1"}},
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_tagbelt(
    nlp: Language,
    name: str,
    checkpoint: str | None,
    overwrite: bool,
    min_score: float,
    labels: list[str] | None,
    by: By,
    alignment: Alignment,
    spans_key: str,
    threads: int | None,
    copy_checkpoint: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> "TagbeltComponent":
    """Make the component; spaCy calls this. See `Options`."""
    options = Options(
        checkpoint, overwrite, min_score, labels, by, alignment, spans_key, threads, copy_checkpoint
    )
    return TagbeltComponent(nlp.vocab, name, options, scorer=scorer)


class TagbeltComponent(Pipe):  # type: ignore[misc]  # spaCy has no types for it
    """Sets `doc.ents` and a group of `doc.spans`.

    The checkpoint is verified when the component is made. Raises `CheckpointError`
    when there is none, and ValueError for labels that the model does not have.
    """

    def __init__(
        self,
        vocab: Vocab,
        name: str = "tagbelt",
        options: Options | None = None,
        *,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        if not Span.has_extension(SCORE):
            Span.set_extension(SCORE, default=None)
        self.vocab = vocab
        self.name = name
        self.options = options or Options()
        self.scorer = scorer
        path = self.options.checkpoint
        self._path = Path(ENGLISH if path is None else path)
        self._tagger: Tagger | None = None
        self._process = os.getpid()
        # A pipeline that took its checkpoint along has it in place of one that is gone.
        with suppress(ModelNotFoundError) if self.options.copy_checkpoint else nullcontext():
            self._path = find_checkpoint(self._path)
        if not self.options.copy_checkpoint or (self._path / CONFIG).exists():
            self._load()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that entities may have; none before the checkpoint is there."""
        if self.options.labels is not None:
            return tuple(self.options.labels)
        return () if self._tagger is None else self._tagger.info.labels

    @property
    def digest(self) -> str:
        """SHA-256 of the checkpoint."""
        return self.tagger.info.digest

    @property
    def tagger(self) -> Tagger:
        """The model. Each process loads its own, since threads do not come along in a fork."""
        if self._tagger is None or self._process != os.getpid():
            return self._load()
        return self._tagger

    def __call__(self, doc: Doc) -> Doc:
        """Tag one document."""
        for _ in self.pipe([doc], batch_size=1):
            pass
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag documents, `batch_size` of them at a time.

        If that fails, the error handler of the pipeline is told of the batch.
        """
        handle = self.get_error_handler()
        for docs in minibatch(stream, batch_size):
            try:
                found = self._find(docs)
            except Exception as error:
                handle(self.name, self, docs, error)
                continue
            for doc, entities in zip(docs, found, strict=True):
                self._annotate(doc, entities)
            yield from docs

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the digest of the checkpoint, and the checkpoint itself if it is to be copied.

        Where it is otherwise is in the pipeline's config.
        """
        del exclude
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / _COPY
        if self.options.copy_checkpoint and not _same(self._path, copy):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self._path, copy)
        (folder / _STATE).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "TagbeltComponent":
        """Check that the checkpoint is the one that was written with, or take the copy of it.

        Raises ValueError when it is another.
        """
        del exclude
        state = (Path(path) / _STATE).read_bytes()
        copy = Path(path) / _COPY
        loaded = self._tagger is not None and self.digest == json.loads(state)["digest"]
        if self.options.copy_checkpoint and not loaded:
            self._path = copy
            self._load()
        return self.from_bytes(state)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The digest of the checkpoint; the checkpoint itself must come another way."""
        del exclude
        return json.dumps({"digest": self.digest}).encode()

    def from_bytes(self, state: bytes, *, exclude: Iterable[str] = ()) -> "TagbeltComponent":
        """Check that the checkpoint is the one that was written with. Raises ValueError if not."""
        del exclude
        expected = json.loads(state)["digest"]
        if self.digest != expected:
            raise ValueError(
                f"the pipeline was saved with a checkpoint of digest {expected} and {self._path} "
                f"has {self.digest}: put that checkpoint back, name the place where it is with "
                f'config={{"components": {{"{self.name}": {{"checkpoint": ...}}}}}}, or save the '
                "pipeline again"
            )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.vocab, self.name, self.options, self.scorer, str(self._path))

    def _load(self) -> Tagger:
        tagger = Tagger.load(self._path, threads=self.options.threads)
        unknown = [label for label in self.options.labels or () if label not in tagger.info.labels]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no labels of {self._path}, which has: "
                f"{', '.join(tagger.info.labels)}"
            )
        self._tagger, self._process = tagger, os.getpid()
        return tagger

    def _find(self, docs: Sequence[Doc]) -> list[list[_Found]]:
        by = self.options.by
        if by == "auto":
            by = "text" if self.tagger.info.unit == "character" else "tokens"
        return self._in_text(docs) if by == "text" else self._in_tokens(docs)

    def _in_tokens(self, docs: Sequence[Doc]) -> list[list[_Found]]:
        sentences = [
            (index, tokens) for index, doc in enumerate(docs) for tokens in _sentences(doc)
        ]
        words = [[docs[index][i].text for i in tokens] for index, tokens in sentences]
        found: list[list[_Found]] = [[] for _ in docs]
        annotations = self.tagger.annotate_tokens(words)
        for (index, tokens), annotation in zip(sentences, annotations, strict=True):
            found[index] += [
                _Found(tokens[e.start], tokens[e.end - 1] + 1, e.label, e.score)
                for e in annotation.entities
                if self._wanted(e.label, e.score)
            ]
        return found

    def _in_text(self, docs: Sequence[Doc]) -> list[list[_Found]]:
        return [
            self._aligned(doc, [e for e in entities if self._wanted(e.label, e.score)])
            for doc, entities in zip(docs, self.tagger.tag([doc.text for doc in docs]), strict=True)
        ]

    def _aligned(self, doc: Doc, entities: Iterable[Any]) -> list[_Found]:
        """Entities over characters as entities over tokens; others are noted in the document."""
        found: list[_Found] = []
        misaligned = []
        for entity in entities:
            span = doc.char_span(
                entity.start, entity.end, entity.label, alignment_mode=self.options.alignment
            )
            # Two that share a token cannot both have it.
            if span is None or not len(span) or (found and span.start < found[-1].end):
                misaligned.append(asdict(entity))
            else:
                found.append(_Found(span.start, span.end, entity.label, entity.score))
        if misaligned:
            doc.user_data[MISALIGNED] = misaligned
        return found

    def _wanted(self, label: str, score: float) -> bool:
        labels = self.options.labels
        return score >= self.options.min_score and (labels is None or label in labels)

    def _annotate(self, doc: Doc, entities: Sequence[_Found]) -> None:
        spans = [Span(doc, e.start, e.end, label=e.label) for e in entities]
        for span, entity in zip(spans, entities, strict=True):
            span._.set(SCORE, entity.score)
        key, scores = self.options.spans_key, [entity.score for entity in entities]
        doc.spans[key] = SpanGroup(doc, name=key, attrs={"scores": scores}, spans=spans)
        _set_entities(doc, spans, overwrite=self.options.overwrite)


def _set_entities(doc: Doc, spans: Sequence[Span], *, overwrite: bool) -> None:
    """Add spans to `doc.ents`; of two that overlap, the old or the new one stays."""
    old = list(doc.ents)
    blocked = [doc[t.i : t.i + 1] for t in doc if t.ent_iob_ == "B" and not t.ent_type]
    if overwrite:
        taken = _tokens(spans)
        old = [span for span in old if taken.isdisjoint(_tokens([span]))]
        blocked = [span for span in blocked if span.start not in taken]
        doc.set_ents([*old, *spans], blocked=blocked)
    else:
        taken = _tokens([*old, *blocked])
        new = [span for span in spans if taken.isdisjoint(_tokens([span]))]
        doc.set_ents([*old, *new], blocked=blocked)


def _tokens(spans: Iterable[Span]) -> set[int]:
    return {i for span in spans for i in range(span.start, span.end)}


def _sentences(doc: Doc) -> list[list[int]]:
    """The indices of the tokens of each sentence, without those that are white space.

    A document without sentence boundaries is cut where Tagbelt would cut its text.
    """
    if doc.has_annotation("SENT_START"):
        found = [[token.i for token in sentence if not token.is_space] for sentence in doc.sents]
        return [tokens for tokens in found if tokens]
    tokens = [token for token in doc if not token.is_space]
    text = doc.text
    ends = [0, *(token.idx + len(token) for token in tokens)]
    starts = [token.idx for token in tokens]
    gaps = [text[end:start] for end, start in zip(ends, [*starts, len(text)], strict=True)]
    begins = sentence_starts([token.text for token in tokens], starts, gaps, text)
    return [
        [token.i for token in tokens[begin:end]]
        for begin, end in zip(begins, [*begins[1:], len(tokens)], strict=True)
    ]


def _same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)


def _again(vocab: Vocab, name: str, options: Options, scorer: Any, path: str) -> TagbeltComponent:
    """Return the component in another process."""
    return TagbeltComponent(vocab, name, replace(options, checkpoint=path), scorer=scorer)

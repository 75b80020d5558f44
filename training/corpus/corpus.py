"""The sentences of a run, read from the files of its config, and their ids for the network."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from tagbelt.data.checkpoint.artifact import Header, read_vocabulary
from tagbelt.data.checkpoint.bigrams import Bigrams, build_bigrams
from tagbelt.data.checkpoint.vocabulary import Vocabulary, build_vocabulary
from tagbelt.data.conll.reading import guess_unit
from tagbelt.data.conll.schemes import CONTINUING, Scheme, spans_to_tags, split_tag, tag_set
from tagbelt.data.lexicon.gazetteer import Gazetteer
from tagbelt.data.lexicon.packages import folded_characters, jieba_terms, name_terms, place_terms
from tagbelt.data.lexicon.soft_lexicon import SoftLexicon
from tagbelt.data.lexicon.term_lists import read_term_list
from tagbelt.data.lexicon.terms import Term
from tagbelt.data.types import Sentence, Span, Unit
from tagbelt.errors import ConfigError, DataError
from tagbelt.model.batch import EncodedSentences, encode
from tagbelt.model.features.vectors import Vectors, by_rank, load_vectors, reduced
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.copies import copies
from tagbelt.training.corpus.synthesis import names_of, synthesise
from tagbelt.training.corpus.unlabelled import unlabelled_sentences
from tagbelt.training.data_config import (
    SPLITS,
    GazetteerSource,
    SourceFile,
    Split,
    annotating,
    into_characters,
    renamed,
)
from tagbelt.training.initial import initial_checkpoint

COMMON_NAMES = 100_000
"""How many first and how many last names are read unless the config says."""

LARGE_CITY = 15_000
"""How many people a city has at least, unless the config says."""


@dataclass(frozen=True)
class RunData:
    """The sentences of a run and what was derived from the training part of them.

    `unlabelled` sentences, which have teachers instead of tags, are part of that. `repairs` are
    the messages of invalid tags that were repaired, as the config allowed. `sources` are those of
    `model.vectors`, None where a transformer computes them.
    """

    train: tuple[Sentence, ...]
    dev: tuple[Sentence, ...]
    labels: tuple[str, ...]
    tags: tuple[str, ...]
    vocabulary: Vocabulary
    vectors: Vectors | None
    repairs: tuple[str, ...]
    unlabelled: tuple[Sentence, ...] = ()
    lexicon_vectors: NDArray[np.float32] | None = None
    sources: tuple[Vectors | None, ...] = ()


def load_run_data(config: RunConfig) -> RunData:
    """Read training and dev files (not the test files) and collect labels and vocabulary.

    Raises:
        ConfigError: a file that is not there, no entity to train on or to choose by, or a dev
            label that training lacks.
    """
    _check_files(config)
    parts = _read_sources(config, "train")
    train, repaired = _joined(parts)
    _check_unit(config, train)
    train += _made(config, parts)
    for_dev = _read_sources(config, "dev")
    dev, more = _joined(for_dev)
    _check_renaming(config, (*parts, *for_dev))
    old = initial_checkpoint(config.init_from) if config.init_from is not None else None
    labels = _labels(config, train, dev, Header.read(old).labels if old else ())
    _check_open(config, {"train": parts, "dev": for_dev}, labels)
    if config.distillation and any(sentence.open for sentence in train):
        raise ConfigError("distillation: it takes train files without tags such as `?`")
    words = config.model.words
    vectors = load_vectors(words.vectors, lowercase=words.lowercase) if words.vectors else None
    begun = read_vocabulary(old) if old else None
    if begun and vectors and vectors.matrix.shape[1] != words.size:
        raise ConfigError(
            f"model.words.vectors: {vectors.matrix.shape[1]} numbers a word, init_from has"
            f" {words.size}"
        )
    sources = tuple(
        None if source.is_encoder else load_vectors(source.source, lowercase=words.lowercase)
        for source in config.model.vectors
    )
    pretrained = by_rank([given.words for given in (vectors, *sources) if given])
    unlabelled = unlabelled_sentences(config) if config.distillation else ()
    folded = _folded(config)
    known = [
        replace(s, tokens=tuple(folded.get(token, token) for token in s.tokens)) if folded else s
        for s in (*train, *unlabelled)
    ]
    vocabulary = build_vocabulary(
        (sentence.tokens for sentence in known),
        pretrained=tuple(dict.fromkeys((*_words(begun), *pretrained))),
        extra=len(_words(begun)) + words.max_words,
        min_count=words.min_count,
        min_character_count=config.model.characters.min_count,
        lowercase=words.lowercase,
        zero_digits=words.zero_digits,
        folded=folded,
    )
    lexicon, lexicon_vectors = (
        build_lexicon(config, known)
        if config.model.lexicon.vectors and not begun
        else (begun.lexicon if begun else None, None)
    )
    vocabulary = replace(_with_context(vocabulary, config, known), lexicon=lexicon)
    if begun:
        vocabulary = _joined_vocabulary(begun, vocabulary)
    return RunData(
        train=train,
        dev=dev,
        labels=labels,
        tags=tag_set(labels, config.data.tags),
        vocabulary=vocabulary,
        vectors=vectors,
        repairs=(*repaired, *more),
        unlabelled=unlabelled,
        lexicon_vectors=lexicon_vectors,
        sources=sources,
    )


def _words(begun: Vocabulary | None) -> tuple[str, ...]:
    return begun.words[1:] if begun else ()


def _joined_vocabulary(old: Vocabulary, new: Vocabulary) -> Vocabulary:
    """Return a new vocabulary with the characters, pairs and term lists of an old one too."""
    bigrams = new.bigrams
    if old.bigrams and bigrams:
        bigrams = Bigrams(tuple(dict.fromkeys((*old.bigrams.pairs, *bigrams.pairs))))
    characters = "".join(dict.fromkeys(old.characters + new.characters))
    return replace(new, characters=characters, bigrams=bigrams, gazetteer=old.gazetteer)


def _folded(config: RunConfig) -> dict[str, str]:
    if config.model.words.fold is None:
        return {}
    try:
        return folded_characters()
    except DataError as error:
        raise ConfigError(f"model.words.fold: {error}") from error


def _with_context(
    vocabulary: Vocabulary, config: RunConfig, train: Sequence[Sentence]
) -> Vocabulary:
    """Add what tells tokens apart by their neighbours: pairs and term lists."""
    settings = config.model.bigrams
    forms = (sentence.tokens for sentence in train)
    bigrams = build_bigrams(forms, min_count=settings.min_count) if settings.size else None
    return replace(vocabulary, bigrams=bigrams, gazetteer=build_gazetteer(config))


def build_gazetteer(config: RunConfig) -> Gazetteer | None:
    """Read all lists and packages of a config; None if it names none.

    Raises:
        ConfigError: a list that is not there or has a fault, or a package that is not installed.
    """
    data = config.data
    if not data.gazetteers:
        return None
    packages = (source for source in data.gazetteers if source.package)
    try:
        lists = [
            list(read_term_list(path, source.type, data.unit, source.max_terms))
            for path, source in data.term_lists()
        ]
        found = (_package_terms(source, data.unit) for source in packages)
        terms = chain(chain.from_iterable(lists), chain.from_iterable(found))
        return Gazetteer(terms, lowercase=data.lowercase_terms)
    except FileNotFoundError as error:
        raise ConfigError(f"data.gazetteers: no such file: {error.filename}") from error
    except (DataError, OSError, ValueError) as error:
        raise ConfigError(f"data.gazetteers: {error}") from error


def _package_terms(source: GazetteerSource, unit: Unit) -> Iterator[Term]:
    least = source.min_population
    match source.package:
        case "jieba":
            return jieba_terms(source.max_terms)
        case "names-dataset":
            return name_terms(unit, source.max_terms or COMMON_NAMES)
        case _:
            return place_terms(
                unit,
                source.max_terms,
                min_population=LARGE_CITY if least is None else least,
                alternate_names=source.alternate_names,
            )


def build_lexicon(
    config: RunConfig, train: Sequence[Sentence]
) -> tuple[SoftLexicon | None, NDArray[np.float32] | None]:
    """Return the lexicon of a config with frequencies in training, and its vectors [W, E].

    Raises:
        ConfigError: a lexicon for tokens that are words, or one of phrases alone.
        VectorError: vectors that can't be read, or are too short.
    """
    settings = config.model.lexicon
    if settings.vectors is None:
        return None, None
    if config.data.unit != "character":
        raise ConfigError("model.lexicon: its words cover characters: data.unit is 'word'")
    vectors = load_vectors(settings.vectors, lowercase=False)
    kept = [row for row, word in enumerate(vectors.words) if not any(map(str.isspace, word))]
    if not kept:
        raise ConfigError(f"model.lexicon: {settings.vectors}: all its words hold spaces")
    words = [vectors.words[row] for row in kept]
    lexicon = SoftLexicon.counted(words, (sentence.tokens for sentence in train))
    return lexicon, reduced(vectors.matrix[kept], settings.size)


def _check_files(config: RunConfig) -> None:
    """Refuse a file that is not there, one of `test` too: not after hours of training."""
    for split in SPLITS:
        for path, _ in config.data.sources(split):
            if not path.exists():
                raise ConfigError(f"data.{split}: no such file: {path}")


def read_split(config: RunConfig, split: Split) -> tuple[tuple[Sentence, ...], tuple[str, ...]]:
    """Read the files of a split; return its sentences and the messages of repaired tags."""
    return _joined(_read_sources(config, split))


@dataclass(frozen=True)
class _Part:
    """The sentences of one file of a split, its repairs, and the labels that it is written with."""

    source: SourceFile
    sentences: tuple[Sentence, ...]
    repairs: tuple[str, ...]
    labels: frozenset[str]


def _read_sources(config: RunConfig, split: Split) -> list[_Part]:
    parts = []
    for path, source in config.data.sources(split):
        corpus = source.read(path)
        part = _part_of(path, source, corpus.sentences)
        sentences = tuple(
            annotating(renamed(sentence, source.labels), source.annotates, path)
            for sentence in part
        )
        if source.split_words:
            sentences = tuple(map(into_characters, sentences))
        repairs = tuple(f"{corpus.path}:{r.line}: {r.message}" for r in corpus.repairs)
        parts.append(_Part(source, sentences, repairs, frozenset(count_labels(corpus.sentences))))
    return parts


def _part_of(path: Path, source: SourceFile, sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    if source.sentences is None:
        return sentences
    first, stop = source.sentences
    if stop > len(sentences):
        raise ConfigError(f"{path}: sentences: it has {len(sentences)}, not {stop}")
    return sentences[first:stop]


def _joined(parts: Sequence[_Part]) -> tuple[tuple[Sentence, ...], tuple[str, ...]]:
    sentences = (s for part in parts for s in part.sentences * part.source.repeat)
    return tuple(sentences), tuple(repair for part in parts for repair in part.repairs)


def _made(config: RunConfig, parts: Sequence[_Part]) -> tuple[Sentence, ...]:
    """Return sentences made of templates and copies, with names of the files that lend theirs."""
    data, seed = config.data, config.training.seed
    lending = (s for part in parts if part.source.names for s in part.sentences)
    names = names_of(lending, data.unit) if data.synthesis or data.copies else {}
    templates = (
        synthesise(data.synthesis, names, seed=seed, unit=data.unit) if data.synthesis else ()
    )
    if data.copies is None:
        return templates
    copied = (*_joined(parts)[0], *(templates if data.copies.templates else ()))
    return templates + copies(copied, data.copies, names, seed=seed)


def _labels(
    config: RunConfig, train: Iterable[Sentence], dev: Iterable[Sentence], old: Sequence[str]
) -> tuple[str, ...]:
    """Return the types of a run; the `old` ones of its first checkpoint where they stay open."""
    found = count_labels(train)
    if not found:
        raise ConfigError(f"data.train: no entity in {[s.path for s in config.data.train]}")
    if any(source.annotates for source in config.data.train):
        found.update(dict.fromkeys(old, 0))
    in_dev = count_labels(dev)
    if not in_dev:
        raise ConfigError(
            f"data.dev: no entity in {[s.path for s in config.data.dev]}: nothing to choose the"
            " best epoch by"
        )
    lacking = sorted(set(in_dev) - set(found))
    if lacking:
        raise ConfigError(
            f"data.dev: labels that training never shows: {', '.join(lacking)}; rename them with"
            ' data.labels (to "" to leave them out)'
        )
    named = {t for split in SPLITS for s in getattr(config.data, split) for t in s.annotates or ()}
    unknown = sorted(named - set(found))
    if unknown:
        raise ConfigError(f"data: annotates: no training file has a {', '.join(unknown)}")
    return tuple(sorted(found))


def _check_open(
    config: RunConfig, splits: Mapping[Split, Sequence[_Part]], labels: Sequence[str]
) -> None:
    """Refuse a token that is said not to be of a type that no training file has: it is misspelt."""
    for split, parts in splits.items():
        for (path, _), part in zip(config.data.sources(split), parts, strict=True):
            for sentence in part.sentences:
                for place in sentence.open:
                    unknown = sorted(set(place.never) - set(labels))
                    if unknown:
                        raise ConfigError(
                            f"{path}:{sentence.line + place.start}: not of type {unknown[0]}, which"
                            f" no training file has; they have {', '.join(labels)}"
                        )


def _check_renaming(config: RunConfig, parts: Sequence[_Part]) -> None:
    """Refuse a label to rename that no file with this renaming has: it is misspelt, or gone."""
    lacking = _not_renamed(parts)
    if lacking and config.data.test:
        lacking &= _not_renamed(_read_sources(config, "test"))
    if lacking:
        found = ", ".join(sorted({label for part in parts for label in part.labels}))
        raise ConfigError(
            f"labels: nothing is labelled {', '.join(sorted(lacking))}; the files have {found}"
        )


def _not_renamed(parts: Sequence[_Part]) -> set[str]:
    keys = {key for part in parts for key in part.source.labels}
    used = {key for part in parts for key in part.source.labels.keys() & part.labels}
    return keys - used


def _check_unit(config: RunConfig, train: Sequence[Sentence]) -> None:
    """Refuse words where characters are said: a text would be cut otherwise than training was."""
    if config.data.unit == "word" or guess_unit(train) == "character":
        return
    example = next((t for s in train for t in s.tokens if len(t) > 1), None)
    if example is not None:
        raise ConfigError(
            f"data.unit: 'character', but the tokens of data.train are words, as {example!r}; "
            'say unit = "word"'
        )


def count_labels(sentences: Iterable[Sentence]) -> Counter[str]:
    """Count the entities of each label."""
    return Counter(span.label for sentence in sentences for span in sentence.spans or ())


def encode_split(
    sentences: Sequence[Sentence], vocabulary: Vocabulary, tags: Sequence[str], config: RunConfig
) -> EncodedSentences:
    """Turn sentences and their spans into ids; spans None count as no entity.

    Where a sentence's file does not speak of all types, a token outside its spans may be outside
    or part of any entity of the others; where its annotation leaves tokens open, these may have
    the tags that this leaves them.
    """
    ids = {tag: index for index, tag in enumerate(tags)}
    gold = [
        [ids[tag] for tag in spans_to_tags(s.spans or (), len(s.tokens), config.data.tags)]
        for s in sentences
    ]
    encoded = encode([s.tokens for s in sentences], vocabulary, gold)
    labels = {label for _, label in map(split_tag, tags)} - {""}
    if not any(s.open or (s.annotates is not None and s.annotates < labels) for s in sentences):
        return encoded
    rows = (
        allowed_tags(row, sentence, tags, config.data.tags)
        for row, sentence in zip(gold, sentences, strict=True)
    )
    return replace(encoded, allowed=tuple(rows))


def allowed_tags(
    gold: Sequence[int], sentence: Sentence, tags: Sequence[str], scheme: Scheme
) -> Tensor:
    """Return bool [n, K], the tags that each token of a sentence may have.

    `gold` [n] are those that its spans give. With the transitions of the scheme they allow exactly
    the taggings that agree with what is known.
    """
    parts = [split_tag(tag) for tag in tags]
    types = [label for _, label in parts]  # "" of O
    allowed = one_hot(torch.tensor(gold), len(tags)).bool()
    if sentence.annotates is not None:
        is_open = torch.tensor([bool(label) and label not in sentence.annotates for label in types])
        outside = torch.tensor([not types[tag] for tag in gold])
        allowed |= outside[:, None] & is_open
    for part in sentence.open:
        if part.is_entity:
            allowed[part.start : part.end] = _any_type(part.end - part.start, tags, types, scheme)
        else:
            row = torch.tensor([label not in part.never for label in types])
            allowed[part.start : part.end] = row
    # An entity that is written ends there: no tag that would go on with it may stand behind it.
    goes_on = torch.tensor([prefix in CONTINUING for prefix, _ in parts])
    loose = {i for part in sentence.open if not part.is_entity for i in range(part.start, part.end)}
    ends = {span.end for span in sentence.spans or ()}
    ends |= {part.end for part in sentence.open if part.is_entity}
    for end in loose & ends:
        allowed[end] &= ~goes_on
    return allowed


def _any_type(length: int, tags: Sequence[str], types: Sequence[str], scheme: Scheme) -> Tensor:
    """Return bool [length, K]: the tags of an entity of so many tokens, whatever its type."""
    allowed = torch.zeros(length, len(tags), dtype=torch.bool)
    for label in set(types) - {""}:
        written = spans_to_tags([Span(0, length, label)], length, scheme)
        allowed[torch.arange(length), torch.tensor([tags.index(tag) for tag in written])] = True
    return allowed

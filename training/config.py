"""The training config: a TOML file, `--set` overrides, and errors that name the key."""

import copy
import json
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tagbelt.errors import ConfigError
from tagbelt.model.config import ModelConfig, Probability, Section, Size
from tagbelt.training.data_config import DataConfig, FileLayout, TextSource

S = TypeVar("S", bound=Section)


class DistillationConfig(Section):
    """Trained taggers whose probabilities a new one learns, besides or without gold tags.

    `teachers` are checkpoints with the run's own tags, in the same unit. `weight` is their share
    in the loss of a sentence with gold tags, 1 where there are none: in `text`, of which at most
    `sentences` are taken, evenly from all of it.
    """

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    text: tuple[TextSource, ...] = ()
    sentences: Size | None = None


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
    """How long to train and on what.

    `patience` epochs without a better dev F1 end the run; they count from the first F1 above 0.
    `batch_size`, `epochs` and `patience` that are left out follow the size of the training data:
    see `sized`; what stands here is for large data.

    `threads` of torch are as many as `OMP_NUM_THREADS` says unless given, and one without it: two
    that share a busy machine are much slower than one. `threads = 0` takes all cores that the
    process may use. A run repeats exactly with the same number of them: another number adds in
    another order.
    """

    seed: Annotated[int, Field(ge=0)] = 1
    epochs: Size = 30
    patience: Size = 10
    batch_size: Size = 16
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] | None = None


class SearchSpace(Section):
    """What `tagbelt search` tries for one setting: `choices`, or numbers from `low` to `high`.

    With `log` orders of magnitude are equally likely; whole numbers stand `step` apart.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: Size | None = None
    choices: tuple[bool | int | float | str, ...] | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.choices is not None:
            if len(self.model_fields_set) > 1:
                raise ValueError("say choices, or low and high: not both")
            if not self.choices:
                raise ValueError("no choices: list one or more")
            if len({json.dumps(choice) for choice in self.choices}) < len(self.choices):
                raise ValueError("a choice stands there twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("say both low and high, or list the choices")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"empty range: low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low}")
        if self.log and self.step is not None:
            raise ValueError("say log or step: not both")
        return self


class RunConfig(Section):
    """A whole training run, from its files to its checkpoint. `notes` go into the model card.

    `init_from` is the checkpoint that it begins with, a bundled model's name or a path: see
    `tagbelt.training.initial`; `init_keep` concerns types of it that no training file speaks of.
    `search` is what `tagbelt search` tries, by `section.key`; a run has no use for it and does not
    keep it.
    """

    name: str
    version: str = "1"
    language: str = ""
    description: str = ""
    licence: str = ""
    notes: str = ""
    init_from: str | None = None
    init_keep: bool = True
    data: DataConfig
    model: ModelConfig = ModelConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    training: TrainingConfig = TrainingConfig()
    distillation: DistillationConfig | None = None
    search: dict[str, SearchSpace] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def _teachers_need_whole_annotation(self) -> Self:
        if self.distillation and any(source.annotates for source in self.data.train):
            raise ValueError("distillation: it takes train files without `annotates`")
        return self

    def unlabelled(self) -> list[tuple[Path, TextSource]]:
        """Return each file of unlabelled text, with its settings."""
        files = self.distillation.text if self.distillation else ()
        return [(self.data.place(source.path), source) for source in files]


SIZED = ("batch_size", "epochs", "patience")
"""The settings of `TrainingConfig` that follow the size of the data unless they are given."""

SMALL_BATCHES = ((1000, 4), (4000, 8))
"""Below so many sentences, batches of so many: what is small needs more steps, not larger ones."""

FEWEST_STEPS, FEWEST_WAITING, MOST_EPOCHS = 600, 250, 100
"""Steps of a run, and steps of patience, where the epochs of large data have fewer."""


def sized(config: RunConfig, sentences: int) -> RunConfig:
    """Set those of `SIZED` that a config leaves out for so many training sentences.

    Batches of 4 below 1,000 sentences, of 8 below 4,000, of 16 from there on; 30 epochs, or more
    (100 at most) up to 600 steps; patience of 10 epochs, or as many as have 250 steps.
    """
    defaults, given = TrainingConfig(), config.training.model_fields_set
    batch = next((size for limit, size in SMALL_BATCHES if sentences < limit), defaults.batch_size)
    if "batch_size" in given:
        batch = config.training.batch_size
    steps = math.ceil(sentences / batch)  # an epoch
    epochs = max(defaults.epochs, min(MOST_EPOCHS, math.ceil(FEWEST_STEPS / steps)))
    patience = max(defaults.patience, min(MOST_EPOCHS, math.ceil(FEWEST_WAITING / steps)))
    found = TrainingConfig(batch_size=batch, epochs=epochs, patience=patience)
    return completed(config, found)


def completed(config: RunConfig, training: TrainingConfig) -> RunConfig:
    """Take those of `SIZED` that a config leaves out from other settings."""
    lacking = set(SIZED) - config.training.model_fields_set
    values = {name: getattr(training, name) for name in lacking}
    return config.model_copy(update={"training": config.training.model_copy(update=values)})


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> RunConfig:
    """Read a config from a TOML file, or from nested tables, and apply overrides.

    An override is `section.key=value`, and its value is TOML.

    Raises:
        ConfigError: no such file, no TOML, an unknown key or a value of the wrong type.
    """
    if isinstance(source, Mapping):
        value, place = copy.deepcopy(dict(source)), "config"
    else:
        value, place = _read_toml(Path(source)), str(source)
    for override in overrides:
        _apply(value, override)
    return parse_config(value, place=place)


def parse_config(value: object, *, place: str) -> RunConfig:
    """Validate a config given as nested tables; `place` stands in front of errors."""
    return _validated(RunConfig, _with_tables(value), place)


def layout_of_options(
    columns: Sequence[str] | None,
    separator: str,
    scheme: str | None,
    *,
    repair: bool,
    tag_style: str = "hyphen",
) -> FileLayout:
    """Validate the layout of a file as options of the command line give it; None is not given.

    Raises:
        ConfigError: columns without token or tag, an unknown separator, scheme or style of tags.
    """
    on_invalid = "repair" if repair else "error"
    given = {
        "columns": columns,
        "separator": separator,
        "scheme": scheme,
        "on_invalid": on_invalid,
        "tag_style": tag_style,
    }
    return _validated(FileLayout, given, "options")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config") from error
    except (ValueError, RecursionError) as error:  # also of numbers too long, brackets too deep
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _validated(model: type[S], value: object, place: str) -> S:
    try:
        # By way of JSON, where a list is as good as a tuple and strictness still holds.
        return model.model_validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error, place))) from error


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
    if isinstance(value.get("search"), dict):
        written["search"] = dict(_spaces(value["search"], ()))
    return written


def _spaces(table: dict[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Yield the whole key of each setting to search, and its space as a table."""
    for key, item in table.items():
        place = (*path, key)
        if not isinstance(item, dict):  # a single value is the only choice
            yield ".".join(place), {"choices": item if isinstance(item, list) else [item]}
        elif item and not item.keys() & SearchSpace.model_fields.keys():
            yield from _spaces(item, place)
        else:
            yield ".".join(place), item


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
    except (ValueError, RecursionError):
        return text

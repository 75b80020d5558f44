"""What a search tries: a default space by the size of the data, and the config's own."""

from collections.abc import Mapping
from typing import Any

from tagbelt.errors import ConfigError
from tagbelt.model.config import Section
from tagbelt.training.config import RunConfig, SearchSpace, parse_config, sized

Value = bool | int | float | str
Space = dict[str, SearchSpace]

SECTIONS = ("model", "optimiser", "training")
"""Where settings to search stand; data stays as it is, or scores could not be compared."""

APART = ("training.seed", "training.device", "training.threads")
"""What these sections hold and no model is better for."""

UNITS = ((1000, 50, 200), (4000, 100, 300))
MOST_UNITS = (100, 400)
"""Below so many sentences, so many units a direction; and from there on."""

RATES = {"adam": (0.0005, 0.01), "adamw": (0.0005, 0.01), "sgd": (0.005, 0.1)}


def search_space(config: RunConfig, sentences: int) -> Space:
    """Return the space of a search with so many training sentences, the config's own entries last.

    An entry of the config replaces the default one of that key or joins them; one with a single
    choice fixes the setting.

    Raises:
        ConfigError: a key that is no setting, or a value that it can't have; the message names it.
    """
    own = {key: _checked(config, key, space) for key, space in config.search.items()}
    return {**_default_space(config, sentences), **own}


def own_values(config: RunConfig, space: Space) -> dict[str, Value]:
    """Return the config's own values of the settings in a space, those that the space holds."""
    values = {key: value_of(config, key) for key in space}
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, Value) and _holds(space[key], value)
    }


def _holds(space: SearchSpace, value: Value) -> bool:
    if space.choices is not None:
        return value in space.choices
    if isinstance(value, str) or space.low is None or space.high is None:
        return False
    return space.low <= value <= space.high and (
        space.step is None or (value - space.low) % space.step == 0
    )


def _default_space(config: RunConfig, sentences: int) -> Space:
    model = config.model
    batch = sized(config, sentences).training.batch_size
    low, high = RATES[config.optimiser.name]
    space = {
        "optimiser.learning_rate": SearchSpace(low=low, high=high, log=True),
        "model.encoder.dropout": SearchSpace(low=0.1, high=0.6),
        "model.words.word_dropout": SearchSpace(low=0.0, high=0.3),
        "training.batch_size": SearchSpace(choices=(max(batch // 2, 1), batch, 2 * batch)),
    }
    if model.characters.kind != "none":
        space["model.characters.dropout"] = SearchSpace(low=0.0, high=0.6)
    if not model.encoder.attention_heads:  # which must divide the units
        few, many = next((units for limit, *units in UNITS if sentences < limit), MOST_UNITS)
        space["model.encoder.hidden"] = SearchSpace(low=few, high=many, step=50)
    if not model.encoder.peephole:  # which not every cell has
        space["model.encoder.cell"] = SearchSpace(choices=("lstm", "lstm-coupled", "gru"))
    return space


def tables(config: RunConfig) -> dict[str, Any]:
    """Return what a config states, as nested tables without `search`."""
    return config.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def with_values(config: RunConfig, values: Mapping[str, Value], *, place: str) -> RunConfig:
    """Return a config with other values of some settings, by `section.key`.

    Raises:
        ConfigError: values that the config can't have; `place` stands in front.
    """
    changed = tables(config)
    for key, value in values.items():
        table = changed
        *sections, last = key.split(".")
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return parse_config(changed, place=place)


def value_of(config: RunConfig, key: str) -> object:
    """Return the value of a setting, by `section.key`.

    Raises:
        LookupError: no such setting.
    """
    found: object = config
    for name in key.split("."):
        if not isinstance(found, Section) or name not in type(found).model_fields:
            raise LookupError(key)
        found = getattr(found, name)
    if isinstance(found, Section):
        raise LookupError(key)
    return found


def _checked(config: RunConfig, key: str, space: SearchSpace) -> SearchSpace:
    """Return an entry with ends of the setting's own type.

    Raises:
        ConfigError: a key that is no setting, or ends or choices that it can't have.
    """
    place = f"search.{key}"
    try:
        value = value_of(config, key)
    except LookupError as error:
        raise ConfigError(f"{place}: unknown key") from error
    if key.partition(".")[0] not in SECTIONS or key in APART:
        raise ConfigError(f"{place}: a search does not choose it; leave it out")
    if space.choices is None:
        space = _range(place, value, space)
    for item in space.choices or (space.low, space.high):
        if item is not None:
            with_values(config, {key: item}, place=place)
    return space


def _range(place: str, value: object, space: SearchSpace) -> SearchSpace:
    low, high, step = space.low, space.high, space.step
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{place}: not a number (is {value!r}): list the choices instead")
    assert low is not None
    assert high is not None
    if isinstance(value, float):
        if step is not None:
            raise ConfigError(f"{place}: step is for whole numbers: list the choices instead")
        return SearchSpace(low=float(low), high=float(high), log=space.log)
    if not (isinstance(low, int) and isinstance(high, int)):
        raise ConfigError(f"{place}: whole numbers alone, not from {low} to {high}")
    if step is None:
        return space
    if step > high - low:
        raise ConfigError(f"{place}: empty range: no step of {step} fits between {low} and {high}")
    return SearchSpace(low=low, high=high - (high - low) % step, step=step)

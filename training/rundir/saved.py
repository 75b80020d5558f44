"""What a run leaves in its directory, and its reading back: config, report, metrics."""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from tagbelt.data.checkpoint.artifact import CONFIG
from tagbelt.errors import ConfigError
from tagbelt.training.config import RunConfig, Source, parse_config

STATE = "state"
CHECKPOINT = "checkpoint"
METRICS = "metrics.jsonl"
BOARD = "tensorboard"
REPORT = "report.json"


def parse_saved(value: object, *, place: str) -> RunConfig:
    """Validate a config as a run has written it; what is new since has its default value.

    Raises:
        ConfigError: a setting that there is no more.
    """
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(data, dict):
        splits = {
            split: [_without_defaults(entry) for entry in data[split]]
            for split in ("train", "dev", "test")
            if isinstance(data.get(split), list)
        }
        value = {**value, "data": {**data, **splits}}
    return parse_config(value, place=place)


def _without_defaults(entry: object) -> object:
    """Undo what runs once did: write all defaults into the entry of each file, null among them."""
    if not isinstance(entry, dict) or None not in entry.values():
        return entry
    fields = Source.model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields}
    return {name: item for name, item in entry.items() if item != defaults.get(name, ...)}


def read_saved(directory: Path) -> RunConfig:
    """Read the config of the run in a directory.

    Raises:
        ConfigError: no run there, or a config that can't be read.
    """
    path = directory / CONFIG
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{directory}: no run here ({CONFIG} is missing)") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    return parse_saved(value, place=str(path))


def read_report(directory: Path) -> dict[str, Any] | None:
    """Return the report of a finished run, None for one that is not."""
    try:
        value: dict[str, Any] = json.loads((directory / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut short where the run was killed
        return None
    return value


def read_metrics(directory: Path) -> list[dict[str, float]]:
    """Return the metrics of a run's whole epochs, in order."""
    path = directory / METRICS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def differences(before: RunConfig, after: RunConfig, *, but: Set[tuple[str, ...]]) -> list[str]:
    """Return what to say of each setting that differs, apart from those in `but`."""
    found = _differences(before.model_dump(mode="json"), after.model_dump(mode="json"), ())
    return [
        f"{'.'.join(path)} (was {old!r}, is {new!r})" for path, old, new in found if path not in but
    ]


def _differences(
    before: Any, after: Any, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        return [
            found
            for key in keys
            for found in _differences(before.get(key), after.get(key), (*path, key))
        ]
    return [] if before == after else [(path, before, after)]

"""Training runs that take a second: our own small corpora and very small networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagbelt.training.config import RunConfig, parse_config

EXAMPLES = Path(__file__).parents[2] / "examples"

ENGLISH: dict[str, Any] = {
    "name": "tiny",
    "language": "en",
    "data": {
        "root": str(EXAMPLES),
        "train": "train.conll",
        "dev": "dev.conll",
        "test": "test.conll",
        "tags": "BIOES",
    },
    "model": {
        "words": {"size": 12},
        "characters": {"size": 6, "hidden": 8, "dropout": 0.0},
        "encoder": {"hidden": 12, "dropout": 0.1},
    },
    "optimiser": {"learning_rate": 0.03, "average": 0.99},
    "training": {"epochs": 3, "batch_size": 8, "threads": 1},
}

CHINESE: dict[str, Any] = {
    "name": "winzig",
    "language": "zh",
    "data": {
        "root": str(EXAMPLES / "zh"),
        "train": "train.bmes",
        "dev": "dev.bmes",
        "test": "test.bmes",
        "unit": "character",
    },
    "model": {
        "words": {"size": 12},
        "characters": {"kind": "none"},
        "encoder": {"hidden": 12, "dropout": 0.1},
    },
    "optimiser": {"learning_rate": 0.03},
    "training": {"epochs": 3, "batch_size": 4, "threads": 1},
}


def merged(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables with `section.key` changes applied."""
    result = {k: merged(v, {}) if isinstance(v, Mapping) else v for k, v in value.items()}
    for key, item in changes.items():
        *sections, last = key.split(".")
        table = result
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = item
    return result


def tiny_config(
    changes: Mapping[str, Any] | None = None, base: Mapping[str, Any] = ENGLISH
) -> RunConfig:
    """The config of a tiny run, changed at `section.key`."""
    return parse_config(merged(base, changes or {}), place="tiny")


def as_toml(value: Mapping[str, Any]) -> str:
    """A config as a TOML file; enough of TOML for what stands above."""
    return "\n".join(_lines(value, ()))


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{k} = {_literal(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    for key, item in table.items():
        if isinstance(item, Mapping):
            lines += _lines(item, (*path, key))
    return lines


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)

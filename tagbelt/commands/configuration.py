"""The settings of a server with where each comes from, and what was misspelt among them."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tagbelt.errors import SettingsError
from tagbelt.service.settings import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    SECRETS,
    Settings,
    load_settings,
    read_toml,
)

MASK = "********"
# Variables with our prefix that are no settings of the server.
OTHERS = {
    f"{ENV_PREFIX}{name}"
    for name in (
        *("API_KEY", "URL"),  # of the client
        *("CONFIG", "RUNTIME"),
        *("COMPOSE", "DATA", "GID", "NATIVE", "TEST_ROOT", "UID"),  # of scripts and tests
    )
}
# Kubernetes sets these in every container for a service that is called tagbelt.
_LINKS = re.compile(ENV_PREFIX + r"(SERVICE_(HOST|PORT)(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)")
_LINK_HINT = (
    "; Kubernetes sets it for a service called tagbelt: set enableServiceLinks to false in the "
    f"pod, or {ENV_PREFIX}PORT yourself"
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings that can be used, the source of each, and warnings for the operator."""

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any], file: Path | None = None) -> "Configuration":
        """Read arguments (None is not given), the environment and the file, that or the named one.

        Raises SettingsError, also for a key in the file that is no setting.
        """
        named = os.environ.get(CONFIG_VARIABLE)
        path = file or (Path(named) if named else None)
        in_file = {} if path is None else read_toml(path)
        complaints = [
            _complaint(f"{path}: {key}", _meant(key))
            for key in in_file
            if key not in Settings.model_fields
        ]
        if complaints:
            raise SettingsError("\n".join(complaints))
        with _variable(CONFIG_VARIABLE, path):
            settings = _load(given)
        sources = {name: _source(name, given, in_file, path) for name in Settings.model_fields}
        return cls(settings, sources, tuple(_misspelt(os.environ)))

    def toml(self) -> str:
        """Return the settings as TOML, with a comment on each line; secrets are left out."""
        return "".join(
            _line(name, getattr(self.settings, name), self.sources[name])
            for name in Settings.model_fields
        )


def _load(given: Mapping[str, Any]) -> Settings:
    try:
        return load_settings(**given)
    except SettingsError as error:
        port = os.environ.get(f"{ENV_PREFIX}PORT", "")
        hint = _LINK_HINT if "://" in port and port in str(error) else ""
        raise SettingsError(f"{error}{hint}") from error


def _source(name: str, given: Mapping[str, Any], in_file: Mapping[str, Any], path: object) -> str:
    if given.get(name) is not None:
        return "argument"
    variable = f"{ENV_PREFIX}{name.upper()}"
    if variable in map(str.upper, os.environ):
        return f"environment {variable}"
    return f"file {path}" if name in in_file else "default"


def _line(name: str, value: object, source: str) -> str:
    if value is None:
        return f"# {name} is not set  # {source}\n"
    if name in SECRETS:
        return f"# {name} = {_toml(MASK)}  # {source}\n"
    return f"{name} = {_toml(value)}  # {source}\n"


def _toml(value: object) -> str:
    """Return a value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case str() | Path():
            # What JSON does not escape and TOML wants escaped is this one character.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case SecretStr():
            raise TypeError("a secret is not shown")
        case _:
            raise TypeError(f"{type(value).__name__} has no form in TOML")


def _misspelt(environment: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like a setting and is none."""
    for variable in sorted(environment):
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or name in OTHERS or _LINKS.fullmatch(name):
            continue
        field = name.removeprefix(ENV_PREFIX).lower()
        if field not in Settings.model_fields:
            meant = _meant(field)
            yield _complaint(variable, meant and f"{ENV_PREFIX}{meant.upper()}")


def _complaint(name: str, meant: str | None) -> str:
    return f"{name} is not a setting" + (f"; did you mean {meant}?" if meant else "")


def _meant(name: str) -> str | None:
    """Return the setting that is closest to a misspelt one."""
    known = list(Settings.model_fields)
    longer = [field for field in known if field.startswith(name)]
    return next(iter(longer or get_close_matches(name, known, n=1)), None)


@contextmanager
def _variable(name: str, value: Path | None) -> Iterator[None]:
    """Set an environment variable for the time of the block."""
    before = os.environ.get(name)
    try:
        if value is not None:
            os.environ[name] = str(value)
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before

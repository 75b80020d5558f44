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

from service.settings import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    SECRETS,
    Settings,
    SettingsError,
    load_settings,
    read_toml,
)

MASK = "********"
# Variables with our prefix that are no settings of the server.
OTHERS = frozenset(
    ENV_PREFIX + name
    for name in "API_KEY COMPOSE CONFIG DATA GID NATIVE RUNTIME TEST_ROOT UID URL".split()
)
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
        """From arguments (None is not given), the environment and the file, that or the named one.

        Raises SettingsError, also for a key in the file that is no setting.
        """
        named = os.environ.get(CONFIG_VARIABLE)
        path = file or (Path(named) if named else None)
        in_file = {} if path is None else read_toml(path)
        unknown = [_unknown(f"{path}: {key}", key, Settings.model_fields) for key in in_file]
        complaints = [complaint for complaint in unknown if complaint is not None]
        if complaints:
            raise SettingsError("\n".join(complaints))
        with _variable(CONFIG_VARIABLE, path):
            settings = _load(given)
        sources = {name: _source(name, given, in_file, path) for name in Settings.model_fields}
        return cls(settings, sources, tuple(_misspelt(os.environ)))

    def toml(self) -> str:
        """A file that says the same, with a comment on each line; secrets are left out."""
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
    """A value as TOML writes it."""
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
    """A warning for each variable that looks like a setting and is none."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variable in sorted(environment):
        name = variable.upper()
        if name.startswith(ENV_PREFIX) and name not in OTHERS and not _LINKS.fullmatch(name):
            complaint = _unknown(variable, name, known)
            if complaint is not None:
                yield complaint


def _unknown(shown: str, name: str, known: Iterable[str]) -> str | None:
    """What to say of a name; None when it is known."""
    names = list(known)
    if name in names:
        return None
    close = get_close_matches(name, names, n=1)
    return f"{shown} is not a setting" + (f"; did you mean {close[0]}?" if close else "")


@contextmanager
def _variable(name: str, value: Path | None) -> Iterator[None]:
    """Sets an environment variable for the time of the block."""
    before = os.environ.get(name)
    try:
        if value is not None:
            os.environ[name] = str(value)
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before

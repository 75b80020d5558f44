"""The admin's choice of the default model and of versions, in a file that outlives the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tagbelt.service.models.registry import Snapshot
from tagbelt.service.models.store import Store
from tagbelt.service.private_logging import logger

FILE = ".default-model.json"


class Choices(BaseModel):
    """The choices, and the setting `default_model` under which they were made."""

    model_config = ConfigDict(frozen=True)

    setting: str | None = None
    default: str | None = None
    """The name that answers when a request names no model."""
    current: dict[str, str] = {}
    """For a name the full name that it means."""

    def under(self, setting: str | None) -> "Choices":
        """Return what is left of them under a setting: one that was changed since wins."""
        if setting == self.setting:
            return self
        name, _, version = (setting or "").partition("@")
        current = {k: v for k, v in self.current.items() if not (version and k == name)}
        return Choices(setting=setting, current=current)


class ChoiceFile:
    """The file of choices: in `folder`, or beside the models unless one is given.

    `setting` is the default model that the settings name. Several worker processes may share the
    file; they write it one at a time.
    """

    def __init__(self, store: Store, *, folder: Path | None, setting: str | None) -> None:
        self.path = (folder or store.root) / FILE
        self._setting = setting
        # A single checkpoint leaves nothing to choose, and is no place for other files.
        self._is_used = folder is not None or not store.is_checkpoint

    def read(self) -> Choices:
        """Return the choices that hold; none when the file is missing or cannot be read."""
        nothing = Choices(setting=self._setting)
        if not self._is_used:
            return nothing
        try:
            found = Choices.model_validate_json(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return nothing
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no choices of ours"
            message = "%s: %s, so no choice is taken over; delete it, or choose again"
            logger.warning(message, self.path, why)
            return nothing
        return found.under(self._setting)

    def keep(self, name: str, version: str | None, snapshot: Snapshot) -> str | None:
        """Write that `name` is the default or, with a version, means it. Return why that failed.

        A name that means its newest version goes on meaning the newest.
        """
        if not self._is_used:
            return None
        kept = self.read()
        current = dict(kept.current)
        if version is None:
            kept = kept.model_copy(update={"default": name})
        elif (full := f"{name}@{version}") == snapshot.versions(name)[-1].served.full_name:
            current.pop(name, None)
        else:
            current[name] = full
        try:
            self._write(kept.model_copy(update={"current": current}))
        except OSError as error:
            return f"the choice will not survive a restart: {self.path}: {error.strerror}"
        return None

    def _write(self, choices: Choices) -> None:
        """Write a file that is there whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{FILE}.{os.getpid()}")
        try:
            with fresh.open("w", encoding="utf-8") as stream:
                stream.write(choices.model_dump_json(indent=1) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(self.path)
        finally:
            fresh.unlink(missing_ok=True)


def chosen(snapshot: Snapshot, choices: Choices, path: Path) -> Snapshot:
    """Return a snapshot with the choices; one whose model is not loaded is logged and left out."""
    current = {}
    for name, full in choices.current.items():
        if full in snapshot.models:
            current[name] = full
        else:
            _warn(path, full, f"{name} means {_meaning(snapshot.current, name)}")
    default = choices.default
    if default is not None and default not in snapshot.current:
        _warn(path, default, f"the default is {snapshot.default}")
        default = None
    return snapshot.changed(current=current, default=default)


def _meaning(current: Mapping[str, str], name: str) -> str:
    return current.get(name, "nothing")


def _warn(path: Path, model: str, instead: str) -> None:
    logger.warning("%s: the chosen model %s is not there; %s instead", path, model, instead)

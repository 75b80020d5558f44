"""The admin's choice of default, versions and canaries, in a file that outlives the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tagbelt.service.models.registry import Canary, Snapshot
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
    canaries: dict[str, Canary] = {}

    @property
    def models(self) -> set[str]:
        """The full names that must be loaded for them."""
        return {*self.current.values(), *(one.full_name for one in self.canaries.values())}

    def under(self, setting: str | None) -> "Choices":
        """Return what is left of them under a setting: one that was changed since wins."""
        if setting == self.setting:
            return self
        name, _, version = (setting or "").partition("@")
        stated = name if version else None
        return Choices(
            setting=setting,
            current={k: v for k, v in self.current.items() if k != stated},
            canaries={k: v for k, v in self.canaries.items() if k != stated},
        )


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
        if version is None:
            return self._try_to_write(kept.model_copy(update={"default": name}))
        return self._keep_version(kept, name, f"{name}@{version}", snapshot)

    def keep_canary(self, name: str, snapshot: Snapshot) -> str | None:
        """Write which canary a name has, or that it has none, beside what it means; as `keep`."""
        if not self._is_used:
            return None
        return self._keep_version(self.read(), name, snapshot.current[name], snapshot)

    def _keep_version(self, kept: Choices, name: str, full: str, snapshot: Snapshot) -> str | None:
        current, canaries = dict(kept.current), dict(kept.canaries)
        current.pop(name, None)
        canaries.pop(name, None)
        if full != snapshot.versions(name)[-1].served.full_name:
            current[name] = full
        canary = snapshot.canaries.get(name)
        if canary is not None and canary.full_name != full:
            canaries[name] = canary
        return self._try_to_write(
            kept.model_copy(update={"current": current, "canaries": canaries})
        )

    def _try_to_write(self, choices: Choices) -> str | None:
        try:
            self._write(choices)
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
    for name, canary in choices.canaries.items():
        if canary.full_name not in snapshot.models:
            _warn(path, canary.full_name, f"{name} has no canary")
    return snapshot.changed(current=current, default=default, canaries=choices.canaries)


def _meaning(current: Mapping[str, str], name: str) -> str:
    return current.get(name, "nothing")


def _warn(path: Path, model: str, instead: str) -> None:
    logger.warning("%s: the chosen model %s is not there; %s instead", path, model, instead)

"""Where a model lies: a path, a folder of models, an installed package, the source tree."""

import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from tagbelt.data.checkpoint.artifact import CONFIG, checkpoint_at
from tagbelt.errors import ModelNotFoundError

ENGLISH = "en"
"""The model of whoever names none."""
FOLDER = "checkpoints"
VARIABLE = "TAGBELT_MODELS"
"""The environment variable with a folder of models, or several as in PATH."""
GROUP = "tagbelt.models"
"""The entry points of installed models: `NAME = package` whose folder is the checkpoint."""
PACKAGES = "tagbelt_models"
"""The namespace package that `tagbelt package` puts models into, so that they share a folder."""


def find_checkpoint(model: str | Path = ENGLISH) -> Path:
    """Return the directory of a model's checkpoint.

    `model` is a path that exists (a training run stands for its checkpoint) or a name, looked for
    in the folders of TAGBELT_MODELS, the installed model packages, `checkpoints/` here and that of
    the source tree, in this order. A path of several parts is returned as it is.

    Raises:
        ModelNotFoundError: there is no such model; the message lists those that there are.
    """
    path = Path(model)
    if path.exists():
        return checkpoint_at(path)
    name = os.fspath(model)
    if name != path.name:
        return path
    found = dict(_named())
    if name not in found:
        there = ", ".join(sorted(found)) or f"none; {VARIABLE} may name a folder of models"
        raise ModelNotFoundError(f"{name}: no such directory, and no model of this name: {there}")
    return found[name]


def models_folder() -> Path:
    """Return the folder of models to serve when none is named.

    Raises:
        ModelNotFoundError: there is none.
    """
    for folder in (*_own_folders(), *_package_folders(), *_near_folders()):
        if any(_checkpoints(folder)):
            return folder
    raise ModelNotFoundError(f"no model in {FOLDER}/ here: say which checkpoint to use")


def _named() -> Iterator[tuple[str, Path]]:
    """The models by name; of several with one name the last counts."""
    for folder in reversed(_near_folders()):
        yield from _checkpoints(folder)
    for entry in entry_points(group=GROUP):
        yield from ((entry.name, at) for at in _folders_of(entry.value) if (at / CONFIG).is_file())
    for folder in reversed(_own_folders()):
        yield from _checkpoints(folder)


def _own_folders() -> list[Path]:
    return [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]


def _package_folders() -> list[Path]:
    return _folders_of(PACKAGES)


def _near_folders() -> list[Path]:
    return [Path(FOLDER), Path(__file__).resolve().parents[2] / FOLDER]


def _folders_of(package: str) -> list[Path]:
    """The folders of a package, which is not run."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    return [Path(at) for at in (spec.submodule_search_locations or ())] if spec else []


def _checkpoints(folder: Path) -> Iterator[tuple[str, Path]]:
    if folder.is_dir():
        for inside in sorted(folder.iterdir()):
            at = checkpoint_at(inside)
            if (at / CONFIG).is_file():
                yield inside.name, at

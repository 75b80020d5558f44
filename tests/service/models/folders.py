"""Checkpoints on the disk: real ones, and folders that only a fake loader can read."""

import json
import shutil
from pathlib import Path

from tagbelt.data.checkpoint.artifact import CONFIG, Header, write_sums
from tagbelt.errors import CheckpointError
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.loading import Load
from tagbelt.service.models.manager import first_models
from tagbelt.service.models.registry import Registry
from tagbelt.service.models.store import Place, Store
from tests.service.fake import FakeTagger

GOLDEN = Path(__file__).parents[2] / "golden" / "checkpoint"


def write_header(path: Path, **changes: object) -> Path:
    """Change the header of a checkpoint, and its sums to fit."""
    header = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    (path / CONFIG).write_text(json.dumps({**header, **changes}), encoding="utf-8")
    write_sums(path)
    return path


def real(path: Path, **changes: object) -> Path:
    """A copy of the golden checkpoint."""
    shutil.copytree(GOLDEN, path)
    return write_header(path, **changes)


def folder(path: Path, **changes: object) -> Path:
    """A header and sums, without a network; a description of "bad" cannot be loaded."""
    path.mkdir(parents=True, exist_ok=True)
    shutil.copy(GOLDEN / CONFIG, path / CONFIG)
    return write_header(path, **{"name": path.name, **changes})


class FakeLoad:
    """Loads a fake tagger; `places` are all that it was asked for."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self.poison: str | None = None

    def __call__(self, place: Place) -> FakeTagger:
        self.places.append(place.full_name)
        header = Header.read(place.path)
        if header.description == "bad":
            raise CheckpointError(f"{place.path}: no good")
        return FakeTagger(
            place.name,
            version=place.version,
            digest=place.digest(),
            language=header.language,
            description=header.description,
            poison=self.poison,
        )


def changes_of(root: Path, load: Load | None = None, **options: object) -> Changes:
    """What a server that begins with the models at `root` can do."""
    load = load or FakeLoad()
    store = Store(root)
    versions = options.get("versions", "latest")
    snapshot = first_models(store, load, versions=versions, default=options.pop("default", None))
    return Changes(Registry.of(snapshot), store, load, **options)


def loaded(changes: Changes) -> dict[str, str]:
    """Full name -> digest of all that is loaded."""
    return {one.full_name: one.digest for one in changes.registry.served}

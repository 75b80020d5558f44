"""The small models that are there to be looked into: of three cells each, trained alike.

They are part of the package and not of what is served: none is listed, the default or found by
`auto`, and each is read when it is first asked for by its name.
"""

import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.inference import Tagger
from tagbelt.service.models.served import Served

FOLDER = Path(__file__).parents[1] / "inside"


@cache
def small_models() -> Mapping[str, Header]:
    """Their headers by name; the name is that of the directory in FOLDER."""
    return {path.name: Header.read(path) for path in sorted(FOLDER.glob("small-*"))}


class SmallModels:
    """Reads each when it is first asked for, once. Safe to share by threads."""

    def __init__(self) -> None:
        self._read: dict[str, Served] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Served:
        """Return it. Raises KeyError for a name that is none of theirs, CheckpointError."""
        path = FOLDER / small_models()[name].name
        with self._lock:
            if name not in self._read:
                self._read[name] = Served(Tagger.load(path, threads=1))
            return self._read[name]

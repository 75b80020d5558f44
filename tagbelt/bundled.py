"""Finds the bundled models."""

from pathlib import Path

from tagbelt.errors import ModelNotFoundError

FOLDER = "checkpoints"
ENGLISH = "en"


def default_models() -> Path:
    """Return the folder of bundled models: that of the working directory, or of the source tree.

    Raises:
        ModelNotFoundError: neither is there.
    """
    for root in (Path.cwd(), Path(__file__).resolve().parent.parent):
        if (root / FOLDER).is_dir():
            return root / FOLDER
    raise ModelNotFoundError(f"no {FOLDER}/ here: say which checkpoint to use")


def default_model() -> Path:
    """Return the bundled English checkpoint."""
    return default_models() / ENGLISH

"""Where checkpoints lie."""

from pathlib import Path

from data.artifact import CONFIG


def find_checkpoints(path: Path) -> list[Path]:
    """`path` itself when it is a checkpoint, else the checkpoints right below it, by name.

    Raises FileNotFoundError when there is none.
    """
    if (path / CONFIG).is_file():
        return [path]
    found = sorted(mark.parent for mark in path.glob(f"*/{CONFIG}"))
    if not found:
        raise FileNotFoundError(
            f"no checkpoint at {path}: neither it nor a folder in it has a {CONFIG}"
        )
    return found

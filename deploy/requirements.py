"""Prints the requirements of pyproject.toml, and those of the extras named, one a line.

They make an image layer of their own, which a change of our code leaves in the cache.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: str, extras: list[str]) -> list[str]:
    """The requirements of a pyproject.toml, as text, with those of `extras`."""
    project = tomllib.loads(pyproject)["project"]
    chosen: list[str] = list(project["dependencies"])
    for extra in extras:
        chosen += project["optional-dependencies"][extra]
    return chosen


if __name__ == "__main__":
    lines = requirements(Path("pyproject.toml").read_text(encoding="utf-8"), sys.argv[1:])
    sys.stdout.write("\n".join(lines) + "\n")

"""Make the peers' environments, one each, from their pinned requirements, with pip.

    python -m benchmarks.common.environments [NAME ...]

They stand in `benchmarks/.venvs/NAME` and are made again when their requirements change.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.record import BenchmarkError, tell

HERE = Path(__file__).resolve().parents[1]
ENVIRONMENTS = HERE / ".venvs"
OURS = "tagbelt"
"""The environment that this runs in: it has torch and pytorch-crf as well."""


class EnvironmentMissingError(BenchmarkError):
    """A peer's environment that was not made; the message says how to."""


def names() -> list[str]:
    """All peers that have an environment of their own."""
    prefix = "requirements-"
    found = sorted((HERE / "peers").glob(f"{prefix}*.txt"))
    return [path.stem.removeprefix(prefix) for path in found]


def python_of(name: str) -> Path:
    """The Python of an environment.

    Raises EnvironmentMissingError where there is none.
    """
    if name == OURS:
        return Path(sys.executable)
    path = ENVIRONMENTS / name / "bin" / "python"
    if not path.exists():
        raise EnvironmentMissingError(
            f"{path}: not there; run python -m benchmarks.common.environments"
        )
    return path


def make(name: str) -> bool:
    """Make an environment unless it is there as its requirements want it; return whether it was."""
    requirements = HERE / "peers" / f"requirements-{name}.txt"
    wanted = requirements.read_text(encoding="utf-8")
    directory = ENVIRONMENTS / name
    stamp = directory / "requirements.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return False
    tell(f"{name}: installing into {directory} (once)")
    venv.create(directory, clear=True, with_pip=True)
    command = [str(python_of(name)), str(ROOT / "deploy" / "install.py"), "-r", str(requirements)]
    subprocess.run(command, check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return True


def main() -> None:
    """Make the environments named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    for name in parser.parse_args().names or names():
        make(name)


if __name__ == "__main__":
    main()

"""How much of each experiment is done, and the command line that says so."""

import argparse
import random
from pathlib import Path

from benchmarks.common.record import RESULTS
from benchmarks.serving import workload

SIZES = ("quick", "normal", "long")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with --size, --seed, --models and --results."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--size", choices=SIZES, default="normal", help="how much is done")
    made.add_argument("--seed", type=int, default=1, help="what is drawn follows from it")
    made.add_argument("--models", type=Path, default=workload.MODELS)
    made.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    return made


def chance(seed: int, *names: object) -> random.Random:
    """Chance of its own for a case, so that it can be drawn again alone."""
    return random.Random(":".join(map(str, (seed, *names))))

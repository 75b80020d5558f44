"""The command line that all measurements share."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.machine import machine_kind
from benchmarks.common.record import RESULTS, BenchmarkError


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with --quick, --checkpoint, --data and --results."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="less of everything, in a few minutes")
    made.add_argument(
        "--checkpoint",
        type=Path,
        help="of CoNLL-2003, 200 units a direction with char-CNN; trained where none is given",
    )
    made.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("TAGBELT_DATA"),
        help="directory that holds conll2003/ and resume/; $TAGBELT_DATA unless given",
    )
    kind = machine_kind()
    made.add_argument(
        "--results",
        type=lambda path: Path(path) / kind,
        default=RESULTS / kind,
        help="where the JSON goes, in a folder for this kind of machine",
    )
    return made


def run(main: Callable[[], None]) -> None:
    """Run a measurement; what a user can put right ends in a message and not in a traceback."""
    try:
        main()
    except BenchmarkError as error:
        sys.exit(f"error: {error}")

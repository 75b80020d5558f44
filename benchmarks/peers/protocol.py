"""The child's side: calls come as JSON lines on stdin, answers go as JSON lines to stdout.

Needs nothing but the standard library, since every peer has an environment of its own. Between
calls a child sleeps in its read, so that it takes no time from the others.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

Functions = Mapping[str, Callable[..., Any]]


def serve(functions: Functions) -> None:
    """Answer calls until stdin ends.

    A call is `{"call": name, "with": {argument: value}}`, its answer `{"result": value}` or
    `{"error": traceback}`. What libraries print goes to stderr and does not mix with answers.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            call = json.loads(line)
            answer = json.dumps({"result": functions[call["call"]](**call["with"])})
        except Exception:  # whatever it is, the parent has to hear of it
            answer = json.dumps({"error": traceback.format_exc()})
        answers.write(f"{answer}\n")
        answers.flush()


def read_json(path: str) -> Any:
    """The content of a JSON file that the parent wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def versions(*packages: str) -> dict[str, str]:
    """Versions of the packages that do a peer's work."""
    return {package: version(package) for package in packages}


def megabytes(package: str) -> float:
    """How much an installed package takes on the disk."""
    paths = (Path(str(path.locate())) for path in files(package) or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def slices(items: list[Any], size: int) -> list[list[Any]]:
    """The items in lists of `size`, the last one shorter."""
    return [items[begin : begin + size] for begin in range(0, len(items), size)]

"""The kernels in C under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m benchmarks.reliability.sanitized LIBRARY COUNT SEED

asks a sanitized build for emissions, best paths and posteriors of networks whose arrays fit each
other while their values are wrong as a whole: huge, NaN, infinite. A finding of a sanitizer ends
the process. `build` and `variables` make what it needs.
"""

import ctypes
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.machine import ROOT
from benchmarks.common.record import Row
from benchmarks.reliability.sizes import chance
from tagbelt.inference import native

SOURCES = ROOT / "inference" / "native"
FLAGS = ("-shared", "-fPIC", "-g", "-O1", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math")
# As shipped, sums of infinities and shifts of levels are meant; what a C program may not do is not.
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ODD = (0.0, -0.0, 1e-40, 1e30, -1e30, float("nan"), float("inf"), -float("inf"))
SHOWN = 5


def build(target: Path, compiler: str = "cc") -> None:
    """Compile the kernels. Raises CalledProcessError."""
    sources = sorted(map(str, SOURCES.glob("*.c")))
    command = [compiler, *FLAGS, *SANITIZERS, *sources, "-o", str(target), "-lm"]
    subprocess.run(command, check=True, capture_output=True)


def variables(compiler: str = "cc") -> dict[str, str]:
    """The environment of a Python that loads such a build."""
    asked = [compiler, "-print-file-name=libasan.so"]
    library = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def values(drawn: random.Random, shape: tuple[int, ...], size: float = 2.0) -> Any:
    """Numbers, some of them odd."""
    made = np.random.default_rng(drawn.getrandbits(32)).normal(0, size, shape).astype(np.float32)
    if drawn.random() < 0.04 and made.size:
        for _ in range(drawn.randint(1, 5)):
            made.flat[drawn.randrange(made.size)] = drawn.choice(ODD)
    return made


def network(drawn: random.Random, cell: str, gates: int) -> dict[str, Any]:
    """Arrays of a network that fit each other."""
    directions, tags = drawn.choice((1, 2)), drawn.choice((1, 2, 9, 17, 40))
    hidden, inputs = drawn.choice((1, 3, 15, 16, 17, 40)), drawn.choice((1, 5, 16, 63, 64, 65))
    weights: dict[str, Any] = {
        "cell": np.frombuffer(cell.encode(), np.uint8),
        "bound": np.array([drawn.choice((1e-30, 0.5, 2.5, 1e30))], np.float32),
        "tags.weight": values(drawn, (tags, directions * hidden)),
        "tags.bias": values(drawn, (tags,)),
    }
    numbers = np.random.default_rng(drawn.getrandbits(32))
    for layer in range(drawn.choice((1, 1, 2, 3))):
        width = directions * hidden if layer else inputs
        shape = (directions, gates, hidden)
        weights |= {
            f"{layer}.weight": numbers.integers(-127, 128, (*shape, width + hidden), np.int8),
            f"{layer}.scale": values(drawn, shape, drawn.choice((1e-5, 1.0, 1e20))),
            f"{layer}.bias": values(drawn, shape, drawn.choice((0.1, 1e10))),
        }
        if drawn.random() < 0.3:
            weights[f"{layer}.peephole"] = values(drawn, (directions, gates - 1, hidden))
    return weights


def case(drawn: random.Random) -> None:
    """One network and a batch for it, on one of the processor's tiers."""
    from tagbelt.data.conll.schemes import Scheme, allowed_transitions, tag_set
    from tagbelt.inference.crf import algorithms
    from tagbelt.inference.crf.parameters import CrfParameters, tag_table
    from tagbelt.inference.native import quantised

    name, row = drawn.choice(sorted(quantised.kernel_cells().items()))
    made = quantised.QuantisedNetwork(
        network(drawn, name, row.gates), tier=drawn.choice(quantised.tiers())
    )
    numbers = np.random.default_rng(drawn.getrandbits(32))
    rows, sentences = drawn.choice((1, 7, 200)), drawn.choice((1, 2, 5, 33))
    lengths = np.sort(numbers.integers(1, drawn.choice((2, 9, 70)), sentences))[::-1].copy()
    table = made.row_bytes(values(drawn, (rows, made.inputs)))
    found = made.emissions(table, numbers.integers(0, rows, (lengths[0], sentences)), lengths)
    if found.shape != (lengths[0], sentences, made.tags):
        raise AssertionError(f"emissions of shape {found.shape}")
    scheme = drawn.choice((Scheme.IOB2, Scheme.BIOES))
    tags = tag_set([f"L{n}" for n in range(drawn.choice((1, 2, 8)))], scheme)
    count = len(tags)
    parameters = (values(drawn, shape) for shape in ((count,), (count, count), (count,)))
    crf = CrfParameters.constrained(*parameters, allowed_transitions(tags, scheme))
    emissions = values(drawn, (lengths[0], sentences, count), drawn.choice((1.0, 500.0)))
    algorithms.token_marginals(emissions, lengths, crf)
    paths, _ = algorithms.viterbi(emissions, lengths, crf)
    spans = algorithms.find_spans(paths, lengths, tag_table(tags, scheme))
    algorithms.span_posteriors(emissions, lengths, crf, spans, tag_table(tags, scheme))


def run(count: int, seed: int) -> Row:
    """So many cases; a ValueError refuses one."""
    counts: Counter[str] = Counter(refused=0, failures=0, hangs=0)
    shown: list[str] = []
    for number in range(count):
        try:
            with np.errstate(all="ignore"):
                case(chance(seed, "kernels", number))
        except ValueError:
            counts["refused"] += 1
        except Exception as error:
            counts["failures"] += 1
            shown.append(f"{number}: {type(error).__name__}: {error}")
    return {"cases": count, **counts, "shown": shown[:SHOWN]}


if __name__ == "__main__":
    path, *given = sys.argv[1:]
    kernels = ctypes.CDLL(path)
    # Before anything else takes it by this name.
    native.library = lambda: kernels  # type: ignore[assignment]
    sys.stdout.write(json.dumps(run(*map(int, given))) + "\n")

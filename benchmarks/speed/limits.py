"""The limit: the time of the model's matrix products alone, in ONNX Runtime, on one thread.

    python -m benchmarks.speed.limits [--quick]

A token of the measured model costs three products, here for batches of B rows (tokens; one step of
B sentences for the recurrent one): input [B, D] x [D, 8H], recurrent 2 x [B, H] x [H, 4H], one for
each direction, and emission [B, 2H] x [2H, K]. int8 is MatMulInteger with uint8 rows and int8
weights, as the model's 8-bit operator has them; its emission stays float32. Weights are constants,
so that the runtime packs them beforehand; outputs are allocated beforehand. Each product is timed
for many B; at its best B it then takes turns with the whole tagger.

The kernels' own limit stands beside that: the instructions by which the tier of this processor
multiplies and adds bytes, in a loop that touches no memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from benchmarks.common.materials import CONLL, checkpoint, sentences
from benchmarks.common.measure import Series, interleaved, ratio, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.speed.products import KINDS, Shape, bare_loop, shapes, timed
from benchmarks.speed.systems import Systems, opened, read_json
from benchmarks.speed.taggers import Rounds, warmed
from tagbelt.data.checkpoint.artifact import EMBEDDINGS

ROWS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
SURVEYS = 3
LEAST, QUICK_LEAST = 0.2, 0.05

Case = tuple[str, str]
"""Name of a product and its number format."""

# What is left out of each limit: a table of words can hold their products with the input weights.
LIMITS = {"all": (), "without input": ("input",)}


def survey(wanted: Sequence[Shape], rows: Sequence[int], least: float) -> dict[Case, Row]:
    """Time each product in each format for each B; return a row each, with the best B."""
    cases = {
        f"{shape.name}/{kind}/{count}": timed(shape, kind, count, least)
        for shape in wanted
        for kind, count in product(shape.kinds, rows)
    }
    series = interleaved(cases, SURVEYS, tell=tell)
    found: dict[Case, Row] = {}
    for shape in wanted:
        for kind in shape.kinds:
            times = {n: spread(series[f"{shape.name}/{kind}/{n}"])["median"] for n in rows}
            best = min(times, key=lambda count: float(times[count]))
            row = {"system": kind, "product": shape.name, "rows": best, "by_rows": times}
            found[shape.name, kind] = row
    return found


def measured(
    wanted: Sequence[Shape],
    rows: Sequence[int],
    taggers: Mapping[str, Callable[[], float]],
    rounds: Rounds,
) -> list[Row]:
    """A row a product and format; then, for each format, the limits and the tagger's share of them.

    `taggers` has, by format, what returns the tokens a second of the whole tagger.
    """
    found = survey(wanted, rows, rounds.least)
    calls = dict(taggers)
    bare = bare_loop(wanted, rounds.least)
    if bare is not None:
        calls[bare.name] = bare.seconds
    for shape in wanted:
        for kind in shape.kinds:
            best = found[shape.name, kind]["rows"]
            calls[f"{shape.name}/{kind}"] = timed(shape, kind, best, rounds.least)
    series = interleaved(calls, rounds.count, tell=tell)
    for (name, kind), row in found.items():
        row["seconds_per_token"] = spread(series[f"{name}/{kind}"])
    limits = list(_limits(wanted, series))
    if bare is not None:
        own = _limit("int8", bare.name, series[bare.name], series["int8"])
        limits.append(own | {"limit": "bare loop"})
    return [*found.values(), *limits]


def _limits(wanted: Sequence[Shape], series: Series) -> Iterator[Row]:
    for kind, (name, left_out) in product(KINDS, LIMITS.items()):
        parts = [
            series[f"{shape.name}/{kind if kind in shape.kinds else shape.kinds[0]}"]
            for shape in wanted
            if shape.name not in left_out
        ]
        seconds = [sum(values) for values in zip(*parts, strict=True)]
        yield _limit(kind, name, seconds, series[kind])


def _limit(kind: str, name: str, seconds: Sequence[float], tagger: Sequence[float]) -> Row:
    rates = [1 / value for value in seconds]
    return {
        "system": kind,
        "product": name,
        "seconds_per_token": spread(seconds),
        "rate": spread(rates),
        "tagger": spread(tagger),
        "share": ratio(tagger, rates),
    }


def _inputs(model: Path, network: dict[str, Any]) -> int:
    """How many numbers a word's vector has: embedding, shape and characters."""
    embedding = load_file(model / EMBEDDINGS)["embeddings"].shape[1]
    characters = network["characters"]
    features = 0 if characters["kind"] == "none" else characters["hidden"]
    return int(embedding + network["words"]["shape_size"] + features)


def main() -> None:
    """Measure the products of the checkpoint's network, and its tagger beside them."""
    given = parser(__doc__).parse_args()
    model = checkpoint("conll2003", given.checkpoint, given.data, quick=given.quick)
    header = read_json(model / "config.json")
    hidden, tags = header["model"]["encoder"]["hidden"], len(header["tags"])
    inputs = _inputs(model, header["model"])
    least = QUICK_LEAST if given.quick else LEAST
    rounds = Rounds(Rounds.of(quick=given.quick).count, least)
    rows = ROWS[::2] if given.quick else ROWS
    test = sentences(given.data, CONLL.format("test"), quick=given.quick)
    systems = Systems(model, given.data)
    with opened([systems.tagbelt(kind, precision=kind) for kind in KINDS]) as children:
        ready = {name: warmed(child, "tokens", test) for name, child in children.items()}
        taggers = {name: partial(warm.rate, 5 * least) for name, warm in ready.items()}
        found = measured(shapes(inputs, hidden, tags), rows, taggers, rounds)
    settings = {
        "base": "int8",
        "rounds": rounds.count,
        "least_seconds": least,
        "quick": given.quick,
        "threads": 1,
        "inputs": inputs,
        "hidden": hidden,
        "tags": tags,
        "rows": rows,
        "data": "CoNLL-2003 test, for the tagger",
        "warm_up": "one pass of each product, three of the tagger",
    }
    write_result("limits", settings, found, directory=given.results)


if __name__ == "__main__":
    run_program(main)

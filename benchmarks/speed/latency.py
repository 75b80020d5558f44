"""Latency of a single request: one sentence of 20 tokens as text, one call, microseconds.

    python -m benchmarks.speed.latency [--quick]

Systems take turns in slices of calls; percentiles are of all calls of a system together.
"""

from functools import partial

from benchmarks.common.materials import CONLL, checkpoint, kept, sentences
from benchmarks.common.measure import interleaved, percentile, ratio, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.speed.systems import Opened, Systems, opened

BASE = "Tagbelt int8"
TOKENS = 20
SLICES, QUICK_SLICES = 20, 4
CALLS, QUICK_CALLS = 250, 50
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def main() -> None:
    """Call all systems in turns and record percentiles."""
    given = parser(__doc__).parse_args()
    model = checkpoint("conll2003", given.checkpoint, given.data, quick=given.quick)
    found = sentences(given.data, CONLL.format("test"))
    texts = [" ".join(words) for words in found if len(words) == TOKENS]
    slices, calls = (QUICK_SLICES, QUICK_CALLS) if given.quick else (SLICES, CALLS)
    s = Systems(model, given.data, quick=given.quick)
    systems = [
        s.tagbelt(BASE),
        s.tagbelt("Tagbelt float32", precision="float32"),
        s.tagbelt("Tagbelt int8, no C kernels", native=False),
        s.tagbelt("Tagbelt int8, 2 threads", threads=2),
        s.spacy_small(),
        s.spacy_trained(),
    ]
    with opened(systems) as children:
        rows = measured(children, texts, slices, calls)
    settings = {
        "base": BASE,
        "rounds": slices,
        "calls_a_round": calls,
        "quick": given.quick,
        "threads": 1,
        "data": f"the {len(texts)} sentences of {TOKENS} tokens in CoNLL-2003 test, in turn",
        "warm_up": "every sentence once, then one slice of calls",
        "unit": "microseconds",
    }
    write_result("latency", settings, rows, directory=given.results)


def measured(children: dict[str, Opened], texts: list[str], slices: int, calls: int) -> list[Row]:
    """Warm up, call in turns, and make a row a system."""
    path = str(kept("items-latency.json", texts))
    pooled: dict[str, list[float]] = {name: [] for name in children}
    for name, opened_system in children.items():
        tell(f"warming {name}")
        opened_system.child.call("read", job="texts", path=path)
        opened_system.child.call("warm", job="texts")
        opened_system.child.call("latency", job="texts", calls=calls, start=0)
    turns = {name: partial(_slice, child, pooled[name], calls) for name, child in children.items()}
    medians = interleaved(turns, slices, tell=tell)
    rows = []
    for name, values in pooled.items():
        row: Row = {"system": name, "calls": len(values)}
        row |= {key: percentile(values, share) for key, share in SHARES.items()}
        row["p99_over_p50"] = row["p99"] / row["p50"]
        row["p50_of_slices"] = spread(medians[name])
        row["threads"] = children[name].system.threads
        row["versions"] = children[name].about["versions"]
        row["note"] = children[name].system.note
        rows.append(row if name == BASE else row | {"ratio": ratio(medians[name], medians[BASE])})
    return rows


def _slice(opened_system: Opened, pool: list[float], calls: int) -> float:
    """Median of some more calls, which are added to the pool."""
    values = opened_system.child.call("latency", job="texts", calls=calls, start=len(pool))
    pool += values
    return percentile(values, 0.5)


if __name__ == "__main__":
    run_program(main)

"""The bars: what Tagbelt set out to reach, and where in the parts each is found."""

from collections.abc import Sequence
from functools import partial

from benchmarks.report.bar import Bar, Find, Spread
from benchmarks.report.parts import Parts, first_spread, rows
from benchmarks.report.service_bars import SERVICE_BARS

BASE = "Tagbelt int8"
TUTORIAL = "torch + pytorch-crf tutorial"
CHINESE = "Chinese characters"


def _over(part: str, system: str) -> Find:
    """The ratio of our rate to a system's."""
    return partial(first_spread, part=part, system=system, path=("ratio",))


def _inverted(spread: Spread | None) -> Spread | None:
    if spread is None:
        return None
    middle = {"q1": 1 / spread["q3"], "q3": 1 / spread["q1"]} if "q1" in spread else {}
    return {"median": 1 / spread["median"], **middle}


def _cell(name: str) -> Find:
    """A cell's training rate over that of the LSTM."""
    return lambda parts: _inverted(_over("training", f"Tagbelt {name}")(parts))


def _two_threads(parts: Parts) -> Spread | None:
    return first_spread(parts, "threads", ("ratio",), system=BASE, threads=2)


def _chinese(files: str) -> Find:
    return _over("chinese", f"{BASE}, Chinese characters{files}")


def _tail(parts: Parts) -> Spread | None:
    """The 99th percentile over the median."""
    found = next(rows(parts, "latency", system=BASE), None)
    return found and {"median": found["p99_over_p50"]}


def _flat(part: str, experiment: str) -> Find:
    return partial(first_spread, part=part, experiment=experiment, path=())


def _share(parts: Parts) -> Spread | None:
    """Our rate as a share of the rate of the int8 products alone, round by round."""
    return first_spread(parts, "limits", ("share",), system="int8", product="all")


ONE = "One thread, tokens in, tags out"
TRAINING = "Training, LSTM + char-CNN + CRF, batch 16"
SERVING = "`tagbelt serve` with two models"

BARS: Sequence[Bar] = (
    Bar(
        ONE, "against spaCy small, ner only", "tokens", _over("tokens", "spaCy small, ner only"), 16
    ),
    Bar(ONE, "against CRFsuite, features as dicts", "tokens", _over("tokens", "CRFsuite"), 1.3),
    Bar(
        ONE,
        "against CRFsuite, leanest features",
        "tokens",
        _over("tokens", "CRFsuite, lean features"),
        1.3,
    ),
    Bar(ONE, "against Flair, same network", "tokens", _over("tokens", "Flair"), 16),
    Bar(ONE, "against torch + pytorch-crf as in tutorials", "tokens", _over("tokens", TUTORIAL), 8),
    Bar(
        "One thread, raw text in, entities with offsets and posteriors out",
        "against spaCy small on the same text",
        "texts",
        _over("texts", "spaCy small, ner only"),
        10,
    ),
    Bar("Two threads", "against one", "threads", _two_threads, 1.8),
    Bar(
        "Bulk path",
        "share of the speed of its own int8 matrix products alone",
        "limits",
        _share,
        0.7,
        form="{:.0%}",
    ),
    Bar(
        "One sentence of 20 tokens, `Tagger.tag`",
        "spaCy small's p50 over ours",
        "latency",
        _over("latency", "spaCy small, ner only"),
        5,
    ),
    Bar(
        "One sentence of 20 tokens, `Tagger.tag`",
        "p99 over its own p50",
        "latency",
        _tail,
        3,
        floor=False,
    ),
    Bar(CHINESE, "of the test file, against English words", "chinese", _chinese(""), 1),
    Bar(CHINESE, "of all files, against English words", "chinese", _chinese(", all files"), 1),
    Bar(
        TRAINING,
        "against torch + pytorch-crf as in tutorials",
        "training",
        _over("training", TUTORIAL),
        2,
    ),
    Bar(TRAINING, "against `bi-lstm-crf`", "training", _over("training", "bi-lstm-crf"), 2),
    Bar(TRAINING, "peephole cell against LSTM", "training", _cell("lstm-peephole"), 0.9),
    Bar(TRAINING, "coupled cell against LSTM", "training", _cell("lstm-coupled"), 0.9),
    Bar(TRAINING, "GRU against LSTM", "training", _cell("gru"), None),
    Bar(
        "Memory",
        "growth over 10 million tokens of ever-new words",
        "memory",
        _flat("memory", "growth"),
        5,
        floor=False,
        form="{:.1f} %",
    ),
    Bar(
        "Cost per token",
        "1,000 to 1,000,000 sentences: dearest over cheapest",
        "scale",
        _flat("scale", "corpus: dearest / cheapest"),
        1.15,
        floor=False,
    ),
    Bar(
        "Cost per token",
        "5 to 5,000 tokens a sentence: dearest over cheapest",
        "scale",
        _flat("scale", "length: dearest / cheapest"),
        1.15,
        floor=False,
    ),
    Bar(
        SERVING,
        "cold start to ready",
        "start",
        _flat("start", "ready, 2 models"),
        1.5,
        floor=False,
        form="{:.3g} s",
    ),
    Bar(
        SERVING,
        "resident memory",
        "start",
        _flat("start", "resident, 2 models"),
        250,
        floor=False,
        form="{:.0f} MB",
    ),
    *SERVICE_BARS,
)

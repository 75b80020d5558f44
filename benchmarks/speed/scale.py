"""Cost per token against the size of the corpus, the length of sentences and the vocabulary.

    python -m benchmarks.speed.scale [--quick] [--checkpoint DIR] [--only corpus length]

One thread. Tokens go to `Tagger.tag_tokens` in blocks of 2,048 sentences, as a program that reads
a long file would do it; raw texts, one sentence each, go to `Tagger.stream`. The sizes take turns.
Memory is that of the whole process. The text is CoNLL-2003's test file.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice

from benchmarks.common import machine
from benchmarks.common.materials import CONLL, checkpoint, sentences
from benchmarks.common.measure import interleaved, ratio, spread
from benchmarks.common.options import parser
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.speed import words
from benchmarks.speed.tokenizers import natural
from tagbelt.data.text.tokenize import tokenize
from tagbelt.inference.tagger import Tagger

BLOCK = 2048
LEAST_SECONDS = 0.2
"""A shorter pass is repeated within a turn until it has taken that long."""

EXPERIMENTS = ("corpus", "texts", "length", "vocabulary")

Sentence = Sequence[str]


@dataclass(frozen=True)
class Point:
    """One size of one experiment: `run` makes one pass over `tokens` tokens, returning seconds."""

    experiment: str
    size: int
    tokens: int
    run: Callable[[], float]

    def seconds(self) -> float:
        """The mean of as many passes as make a time that can be read off the clock."""
        passes, spent = 0, 0.0
        while spent < LEAST_SECONDS:
            spent += self.run()
            passes += 1
        return spent / passes


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    repeats: int
    corpus: Sequence[int]
    texts: Sequence[int]
    lengths: Sequence[int]
    vocabulary: Sequence[int]
    tokens: int
    """Tokens of each length and each vocabulary."""


FULL = Plan(
    repeats=5,
    corpus=(1_000, 10_000, 100_000, 1_000_000),
    texts=(1_000, 10_000, 100_000),
    lengths=(5, 10, 20, 50, 100, 200, 256, 257, 300, 500, 1_000, 2_000, 5_000),
    vocabulary=(100, 1_000, 10_000, 30_000, 60_000, 100_000),
    tokens=200_000,
)
QUICK = Plan(
    repeats=3,
    corpus=(1_000, 10_000),
    texts=(1_000, 10_000),
    lengths=(5, 20, 100, 256, 300, 1_000, 5_000),
    vocabulary=(100, 1_000, 10_000),
    tokens=40_000,
)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tag_blocks(tagger: Tagger, stream: Iterable[Sentence]) -> None:
    """Tag sentences that are read as they come, a block at a time."""
    source = iter(stream)
    while block := list(islice(source, BLOCK)):
        tagger.tag_tokens(block)


def drain(results: Iterator[object]) -> None:
    """Read a stream to its end and keep nothing."""
    for _ in results:
        pass


def corpus_points(tagger: Tagger, corpus: Sequence[Sentence], sizes: Sequence[int]) -> list[Point]:
    """The corpus over and over, up to each number of sentences."""

    def point(size: int) -> Point:
        def run() -> float:
            return timed(lambda: tag_blocks(tagger, islice(cycle(corpus), size)))

        return Point("corpus", size, sum(map(len, islice(cycle(corpus), size))), run)

    return [point(size) for size in sizes]


def text_points(tagger: Tagger, corpus: Sequence[Sentence], sizes: Sequence[int]) -> list[Point]:
    """The same as raw texts, tokenizing included."""
    texts = [natural(sentence)[0] for sentence in corpus]
    counts = [sum(len(s.words) for s in tokenize(text, "word")) for text in texts]

    def point(size: int) -> Point:
        def run() -> float:
            return timed(lambda: drain(tagger.stream(islice(cycle(texts), size))))

        return Point("texts", size, sum(islice(cycle(counts), size)), run)

    return [point(size) for size in sizes]


def length_points(
    tagger: Tagger, corpus: Sequence[Sentence], lengths: Sequence[int], tokens: int
) -> list[Point]:
    """The corpus without its sentence ends, cut into sentences of one length."""

    def point(length: int) -> Point:
        pool = words.cut(corpus, length, tokens)
        return Point("length", length, length * len(pool), partial(timed_blocks, tagger, pool))

    return [point(length) for length in lengths]


def vocabulary_points(
    load: Callable[[], Tagger], sizes: Sequence[int], tokens: int
) -> tuple[list[Point], list[Point]]:
    """Made-up words in sentences of 20; warm, and cold: by a tagger that has met none of them.

    Each warm point has a tagger of its own, which the words of the others leave as it is.
    """
    warm, cold = [], []
    for size in sizes:
        pool = words.of_vocabulary(size, 20, tokens)
        count = sum(map(len, pool))
        run = partial(timed_blocks, load(), pool)
        warm.append(Point("vocabulary, warm", size, count, run))
        run = partial(timed_cold, load, pool)
        cold.append(Point("vocabulary, cold", size, count, run))
    return warm, cold


def timed_cold(load: Callable[[], Tagger], pool: Sequence[Sentence]) -> float:
    """Seconds for a pool of sentences with a tagger just loaded; loading does not count."""
    gc.collect()  # the tagger before this one
    return timed_blocks(load(), pool)


def timed_blocks(tagger: Tagger, pool: Sequence[Sentence]) -> float:
    """Seconds for a pool of sentences."""
    return timed(lambda: tag_blocks(tagger, pool))


def measure(points: Sequence[Point], repeats: int) -> list[Row]:
    """One row a point, in microseconds a token, and one that compares the dearest and cheapest."""
    peaks: dict[str, float | None] = {}

    def cost(point: Point) -> float:
        machine.reset_peak()
        seconds = point.seconds()
        peaks[str(point.size)] = machine.peak_mb()
        return 1e6 * seconds / point.tokens

    runs = {str(point.size): partial(cost, point) for point in points}
    interleaved(runs, 1)  # warms up
    costs = interleaved(runs, repeats, tell=tell)
    rows: list[Row] = [
        {
            "candidate": "tagbelt",
            "experiment": point.experiment,
            "size": point.size,
            "tokens": point.tokens,
            "unit": "us/token",
            **spread(costs[str(point.size)]),
            "peak_mb": peaks[str(point.size)],
        }
        for point in points
    ]
    return [*rows, extremes(points[0].experiment, costs)]


def extremes(experiment: str, costs: Mapping[str, Sequence[float]]) -> Row:
    """The row of the dearest size over the cheapest, compared round by round.

    Which they are is judged by each size's share of its round, so that a round in which the
    machine was busy counts as much as a quiet one.
    """
    totals = [sum(values) for values in zip(*costs.values(), strict=True)]
    shares = {
        size: statistics.median(cost / total for cost, total in zip(values, totals, strict=True))
        for size, values in costs.items()
    }
    most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    return {
        "candidate": "tagbelt",
        "experiment": f"{experiment}: dearest / cheapest",
        "dearest": int(most),
        "cheapest": int(least),
        "unit": "x",
        **ratio(costs[most], costs[least]),
    }


def groups(
    load: Callable[[], Tagger], corpus: Sequence[Sentence], plan: Plan
) -> Iterator[list[Point]]:
    """The experiments, each a list of points that take turns."""
    tagger = load()
    yield corpus_points(tagger, corpus, plan.corpus)
    yield text_points(tagger, corpus, plan.texts)
    yield length_points(tagger, corpus, plan.lengths, plan.tokens)
    yield from vocabulary_points(load, plan.vocabulary, plan.tokens)


def main() -> None:
    """Measure all experiments and write the part `scale`."""
    made = parser(__doc__)
    made.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    given = made.parse_args()
    plan = QUICK if given.quick else FULL
    corpus = words.shuffled(sentences(given.data, CONLL.format("test")))
    path = checkpoint("conll2003", given.checkpoint, given.data, quick=given.quick)
    load = partial(Tagger.load, path, threads=1)
    rows: list[Row] = []
    for points in groups(load, corpus, plan):
        if points[0].experiment.split(",")[0] in given.only:
            rows += measure(points, plan.repeats)
    settings = {"quick": given.quick, "threads": 1, "block": BLOCK, **asdict(plan)}
    write_result("scale", settings, rows, directory=given.results)


if __name__ == "__main__":
    run_program(main)

"""What trained taggers show and keep: `exposure`, `keeping`, and what `attention` looks at."""

import random
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.reading import FIRST_AND_LAST, read_conll
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import DataError
from tagbelt.inference.crf.algorithms import span_posteriors
from tagbelt.inference.crf.parameters import CrfParameters, Spans, TagTable, tag_table
from tagbelt.inference.equations import Floats
from tagbelt.inference.float_network import FloatNetwork
from tagbelt.inference.inspection import SentenceTrace
from tagbelt.inference.tagger import Tagger
from tagbelt.model.batch import encode
from tagbelt.model.checkpoint import load_network
from tagbelt.model.config import CELLS
from tagbelt.model.network import Network
from tagbelt.training.events import Epoch
from tagbelt.training.experiments.drawing import COLOURS, MARKERS, legend, points
from tagbelt.training.experiments.taggers import (
    LOOKED_INTO,
    Size,
    dev_sentences,
    tagger_config,
    trained,
)
from tagbelt.training.experiments.trials import (
    Experiment,
    Key,
    Record,
    Records,
    Table,
    Tell,
    Trying,
    grouped,
    spread,
)
from tagbelt.training.loop.loop import Trainer
from tagbelt.training.run.prepare import prepare
from tagbelt.training.rundir import read_report

LOOKED_AT = {True: 40, False: 400}
"""Sentences that are looked at."""


def _cells(options: Trying, _: Records) -> Iterator[Key]:
    size = LOOKED_INTO[options.quick]
    for cell in options.variants(*CELLS):
        for seed in range(1, options.seeds + 1):
            yield {"variant": cell, "train": size.train or "all", "seed": seed}


def _f1(checkpoint: Path) -> float:
    report = read_report(checkpoint.parent)
    assert report is not None  # a finished run has one
    return round(float(report["dev"]["strict"]["micro"]["f1"]), 4)


# Exposure.
def _expose(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    checkpoint = trained(options, key["variant"], key["seed"], tell)
    tagger, shown = Tagger.load(checkpoint, threads=1), []
    for sentence in dev_sentences(options)[: LOOKED_AT[options.quick]]:
        for directions in tagger.inspect(sentence.tokens).sentences[0].layers:
            for trace in directions:
                memory = np.tanh(trace.cell) if "output" in trace.gates else trace.cell
                shown.extend(np.linalg.norm(trace.state, axis=1) / np.linalg.norm(memory, axis=1))
    low, middle, high = np.quantile(shown, (0.05, 0.5, 0.95))
    names = {"low": low, "median": middle, "high": high}
    return {**{k: round(float(v), 4) for k, v in names.items()}, "f1": _f1(checkpoint)}


def _draw_exposure(figure: Figure, records: Sequence[Record]) -> None:
    axes = figure.subplots()
    found = grouped(records, "variant")
    names = [name for (name,) in found]
    for place, results in enumerate(found.values()):
        low, high = (statistics.fmean(r[end] for r in results) for end in ("low", "high"))
        axes.plot([low, high], [place, place], color=COLOURS[6], linewidth=1.5, alpha=0.6)
    points(axes, names, [[r["median"] for r in results] for results in found.values()])
    axes.set_xlim(0, 1.05)
    axes.set_xlabel("share of its memory that a cell shows; the bar holds nine tokens in ten")
    axes.set_title("What the next step and the next layer see", loc="left")


def _exposure_table(records: Sequence[Record]) -> Table:
    rows = [
        (
            variant,
            *(spread([r[name] for r in results]) for name in ("median", "low", "high")),
            spread([100 * r["f1"] for r in results]),
        )
        for (variant,), results in grouped(records, "variant").items()
    ]
    columns = ("cell", "memory shown, median", "one token in twenty below", "above", "dev F1")
    return Table(columns, tuple(rows))


# Keeping.
MEASURES = ("occlusion", "gradient", "carried", "nearness", "chance")
"""What may say which token an entity rests on."""
LONGEST, FEWEST = 40, 4
"""Tokens of a sentence that is read so often, and others that an entity must have around it."""


@dataclass(frozen=True)
class Reader:
    """A network in torch, asked for the probability of an entity in variants of a text."""

    network: Network
    vocabulary: Vocabulary
    table: TagTable

    @classmethod
    def load(cls, checkpoint: Path) -> "Reader":
        """Read a checkpoint."""
        network, vocabulary, header = load_network(checkpoint)
        return cls(network, vocabulary, tag_table(header.tags, header.scheme))

    @torch.no_grad()
    def posteriors(
        self, texts: Sequence[Sequence[str]], places: Sequence[tuple[int, int]], label: str
    ) -> list[float]:
        """Return the posterior of one entity in each text; all have the same number of tokens."""
        batch = encode(texts, self.vocabulary).batch(range(len(texts)))
        emissions = self.network(batch).view(len(texts[0]), len(texts), -1).numpy()
        start, step, end = (scores.double().numpy() for scores in self.network.crf.scores())
        crf = CrfParameters(start=start, transitions=step, end=end)
        starts, ends = (np.array(column) for column in zip(*places, strict=True))
        labels = np.full(len(texts), self.table.labels.index(label))
        spans = Spans(np.arange(len(texts)), starts, ends, labels)
        lengths = np.full(len(texts), len(texts[0]), np.intp)
        found: list[float] = span_posteriors(emissions, lengths, crf, spans, self.table).tolist()
        return found

    def influence(self, text: Sequence[str], path: Sequence[int], first: int, end: int) -> Floats:
        """Return [T] the gradient of an entity's tags times each token's row, without its sign."""
        batch = encode([text], self.vocabulary).batch([0])
        rows = self.network.rows(batch).detach().requires_grad_()
        scores = self.network.scores(rows, batch.batch_sizes).log_softmax(dim=1)
        chosen = torch.tensor(path[first:end])
        scores[first:end].gather(1, chosen[:, None]).sum().backward()  # type: ignore[no-untyped-call]
        assert rows.grad is not None  # for the type checker: it is a leaf
        influence: Floats = (rows.grad * rows.detach()).sum(dim=1).abs().numpy()
        return influence


def _keep(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    checkpoint = trained(options, key["variant"], key["seed"], tell)
    tagger, reader = Tagger.load(checkpoint, threads=1), Reader.load(checkpoint)
    chance = random.Random(key["seed"])
    drops: dict[str, list[float]] = {}
    likeness: dict[str, list[float]] = {}
    sentences = [s for s in dev_sentences(options) if FEWEST < len(s.tokens) <= LONGEST]
    for sentence in sentences[: LOOKED_AT[options.quick]]:
        trace = tagger.inspect(sentence.tokens, occlude="all").sentences[0]
        tell(f"{len(drops.get('chance', ()))} entities")
        for number, entity in enumerate(trace.entities):
            found = measures(trace, number, reader, chance)
            others = [j for j in range(len(trace.tokens)) if not entity.start <= j < entity.end]
            if len(others) < FEWEST:
                continue
            tops = {name: max(others, key=values.__getitem__) for name, values in found.items()}
            for name, drop in dropped(reader, trace, number, tops).items():
                drops.setdefault(name, []).append(drop)
            for name in found.keys() - {"occlusion"}:
                likeness.setdefault(name, []).append(
                    rank_correlation(found[name][others], found["occlusion"][others])
                )
    if not drops:
        raise DataError(f"{checkpoint}: it found no entity in {len(sentences)} sentences")
    return {
        "entities": len(drops["chance"]),
        "drops": {name: round(statistics.fmean(drops[name]), 4) for name in sorted(drops)},
        "likeness": {k: round(statistics.fmean(likeness[k]), 4) for k in sorted(likeness)},
    }


def measures(
    trace: SentenceTrace, number: int, reader: Reader, chance: random.Random
) -> dict[str, Floats]:
    """Return how much an entity of a sentence rests on each token, [T], by every measure.

    `carried` is the share of what the token left in the memory that is still there where the
    entity begins, or read from the end where it ends: the product of the forget gates between.
    """
    entity, count = trace.entities[number], len(trace.tokens)
    first, last = entity.start, entity.end - 1
    place = np.arange(count)
    found = {
        "occlusion": trace.rests_on[number],
        "gradient": reader.influence(trace.tokens, trace.path, first, entity.end),
        "nearness": -np.where(place < first, first - place, np.maximum(place - last, 0)),
        "chance": np.array([chance.random() for _ in range(count)]),
    }
    onward, back = (direction.carried() for direction in trace.layers[-1])
    if onward is not None and back is not None:
        found["carried"] = np.where(place < first, onward[:, first], back[:, last])
    return found


def dropped(
    reader: Reader, trace: SentenceTrace, number: int, tops: dict[str, int]
) -> dict[str, float]:
    """Return how much less probable an entity is in the sentence without each of some tokens."""
    entity, tokens = trace.entities[number], list(trace.tokens)
    (whole,) = reader.posteriors([tokens], [(entity.start, entity.end)], entity.label)
    texts = [tokens[:j] + tokens[j + 1 :] for j in tops.values()]
    shifts = [1 if j < entity.start else 0 for j in tops.values()]
    places = [(entity.start - shift, entity.end - shift) for shift in shifts]
    left = reader.posteriors(texts, places, entity.label)
    return {name: whole - after for name, after in zip(tops, left, strict=True)}


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation; 0 where one of both is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = float(spearmanr(a, b).statistic)
    return found if np.isfinite(found) else 0.0


HUE_OF = dict(zip(MEASURES, (2, 1, 0, 4, 6), strict=True))


def _draw_keeping(figure: Figure, records: Sequence[Record]) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    found = grouped(records, "variant")
    names = [name for (name,) in found]
    for axes, figures, skipped in ((left, "drops", ()), (right, "likeness", ("occlusion",))):
        for order, measure in enumerate(m for m in MEASURES if m not in skipped):
            hue = HUE_OF[measure]
            rows = [
                [r[figures][measure] for r in results if measure in r[figures]]
                for results in found.values()
            ]
            shown = {"color": COLOURS[hue], "marker": MARKERS[hue]}
            points(axes, names, rows, offset=0.14 * (order - 2), label=measure, **shown)
        axes.axvline(0, color="#b0b0b0", linewidth=0.8)
    left.set_xlabel("probability lost")
    left.set_title("Without the token that each names first", loc="left")
    right.set_xlabel("rank correlation with occlusion")
    right.set_title("Over all tokens of a sentence", loc="left")
    legend(figure, left)


def _keeping_table(records: Sequence[Record]) -> Table:
    rows = []
    for (variant,), results in grouped(records, "variant").items():
        drops = [
            spread([r["drops"][name] for r in results if name in r["drops"]], 3)
            if name in results[0]["drops"]
            else "-"
            for name in MEASURES
        ]
        likeness = [
            spread([r["likeness"][name] for r in results if name in r["likeness"]])
            if name in results[0]["likeness"]
            else "-"
            for name in ("carried", "nearness")
        ]
        rows.append((variant, *drops, *likeness))
    columns = (
        "cell",
        *(f"lost without {name}'s first" for name in MEASURES),
        "carried ~ occlusion",
        "nearness ~ occlusion",
    )
    return Table(columns, tuple(rows))


# Attention.
HEADS = (0, 1, 4)
TEXTS = {True: Size(600, 300, 3), False: Size(None, 1300, 10)}
JOINED = 6
"""Sentences of one document that stand as one in "documents"."""
FAR = 10


def _attention_trials(options: Trying, _: Records) -> Iterator[Key]:
    size = TEXTS[options.quick]
    for corpus in ("conll2003", "documents", "cluener"):
        for heads in HEADS:
            for seed in range(1, options.seeds + 1):
                yield {"corpus": corpus, "heads": heads, "train": size.train or "all", "seed": seed}


def _attend(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    corpus, size, root = key["corpus"], TEXTS[options.quick], None
    if corpus == "documents":
        corpus, root = "conll2003", _documents(options, size)
        size = Size(None, len(read_conll(root / "dev.txt").sentences), size.epochs)
    encoder = {"cell": "lstm", "attention_heads": key["heads"]}
    config = tagger_config(options, corpus, encoder, key["seed"], size, root=root)
    run, began, best = prepare(config, Path()), time.process_time(), 0.0
    for event in run.trainer.run():
        if isinstance(event, Epoch):
            best = max(best, event.dev.f1)
            tell(f"epoch {event.epoch}, dev F1 {event.dev.f1:.3f}")
    spent = time.process_time() - began
    looks = looked_at(run.trainer, run.data.dev[: LOOKED_AT[options.quick]]) if key["heads"] else {}
    return {"f1": round(best, 4), "seconds": round(spent, 2), **looks}


def _documents(options: Trying, size: Size) -> Path:
    """Write the sentences of each document as few long ones; return the folder."""
    folder = options.runs / ("documents-quick" if options.quick else "documents")
    folder.mkdir(parents=True, exist_ok=True)
    for split, limit in (("train", size.train), ("dev", size.dev)):
        path = options.corpus("conll2003") / f"{split}.txt"
        corpus = read_conll(path, columns=FIRST_AND_LAST)
        joined, left = [], limit or len(corpus.sentences)
        for document in corpus.documents():
            part = document[: max(0, left)]
            left -= len(part)
            joined += [_joined(part[i : i + JOINED]) for i in range(0, len(part), JOINED)]
        write_conll(folder / f"{split}.txt", joined)
    return folder


def _joined(sentences: Sequence[Sentence]) -> Sentence:
    tokens: list[str] = []
    spans: list[Span] = []
    for sentence in sentences:
        before = len(tokens)
        spans += [Span(s.start + before, s.end + before, s.label) for s in sentence.spans or ()]
        tokens += sentence.tokens
    return Sentence(tuple(tokens), tuple(spans))


@torch.no_grad()
def looked_at(trainer: Trainer, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return the shares of attention that go to the token itself, near, far, and to entities.

    `on_entities` is the share on tokens of gold entities divided by their share of the tokens.
    """
    weights = {name: value.numpy() for name, value in trainer.network.state_dict().items()}
    network = FloatNetwork.read(weights, trainer.config.model.encoder.model_dump(mode="json"))
    trainer.network.eval()
    shares = np.zeros(3)
    on, there = 0.0, 0.0
    tokens = 0
    for index, sentence in enumerate(sentences):
        rows = trainer.network.rows(trainer.dev.batch([index])).numpy()
        _, attention, _ = network.run(rows[:, None])
        assert attention is not None  # it has heads
        mean, count = attention[0].mean(axis=0), len(rows)  # [T, T]
        apart = np.abs(np.arange(count)[:, None] - np.arange(count))
        inside = np.zeros(count, bool)
        for span in sentence.spans or ():
            inside[span.start : span.end] = True
        masks = (apart == 0, (apart > 0) & (apart <= 3), apart > FAR)
        shares += [float((mean * mask).sum()) for mask in masks]
        on += float(mean[:, inside].sum())
        there += float(inside.sum())
        tokens += count
    itself, near, far = (shares / tokens).round(4).tolist()
    return {
        "itself": itself,
        "near": near,
        "far": far,
        "on_entities": round(on / max(there, 1.0), 4),
    }


def _draw_attention(figure: Figure, records: Sequence[Record]) -> None:
    corpora = list(dict.fromkeys(record["corpus"] for record in records))
    grid = figure.subplots(1, len(corpora), squeeze=False)[0]
    for axes, corpus in zip(grid, corpora, strict=True):
        found = grouped([r for r in records if r["corpus"] == corpus], "heads")
        names = [f"{heads} heads" if heads != 1 else "1 head" for (heads,) in found]
        rows = [[100 * r["f1"] for r in results] for results in found.values()]
        points(axes, names, rows, color=COLOURS[0], marker="o")
        axes.set_xlabel("F1 on dev")
        axes.set_title(corpus, loc="left")


def _attention_table(records: Sequence[Record]) -> Table:
    found = grouped(records, "corpus", "heads")
    rows = []
    for (corpus, heads), results in found.items():
        times = [
            r["seconds"] / base["seconds"]
            for r, base in zip(results, found.get((corpus, 0), results), strict=False)
        ]
        looks = [
            spread([r[name] for r in results]) if heads else "-"
            for name in ("itself", "near", "far", "on_entities")
        ]
        f1 = spread([100 * r["f1"] for r in results])
        rows.append((corpus, str(heads), f1, spread(times), *looks))
    columns = (
        *("text", "heads", "dev F1", "training time, of that without"),
        *("weight on itself", "on 1 to 3 tokens away", f"on more than {FAR} away"),
        "on a token of an entity, of the mean",
    )
    return Table(columns, tuple(rows))


exposure = Experiment(
    "A GRU does not control how much of its memory it shows.",
    _cells,
    _expose,
    _draw_exposure,
    _exposure_table,
    (7.6, 3.4),
)
keeping = Experiment(
    "Gates learn to keep what matters and drop the rest.",
    _cells,
    _keep,
    _draw_keeping,
    _keeping_table,
    (10.5, 4.6),
)
attention = Experiment(
    "Attention picks from all states, and is what comes next.",
    _attention_trials,
    _attend,
    _draw_attention,
    _attention_table,
    (10.5, 2.8),
)

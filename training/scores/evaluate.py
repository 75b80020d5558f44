"""Entity scores: a span F1 for choosing epochs, and seqeval's for what is reported."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypedDict

from tagbelt.data.conll.partial import open_counts
from tagbelt.data.conll.reading import Corpus
from tagbelt.data.conll.schemes import OUTSIDE, Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import InputError
from tagbelt.inference.checkpoint import Precision
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import layout_of_options
from tagbelt.training.corpus.corpus import count_labels
from tagbelt.training.data_config import annotating, renamed
from tagbelt.training.scores.significance import f1_interval

SURE = 1000
"""Entities from which on a score is told without its interval."""

Mode = Literal["default", "strict"]
MODES: tuple[Mode, ...] = ("strict", "default")


class ScoreRow(TypedDict):
    """Precision, recall and F1 in [0, 1], and how many gold entities they speak of."""

    precision: float
    recall: float
    f1: float
    support: int


class ModeScores(TypedDict):
    """Scores in one of seqeval's modes: of all entities (micro mean), and of each type."""

    tool: str
    mode: Mode
    scheme: str
    micro: ScoreRow
    types: dict[str, ScoreRow]


Scores = dict[Mode, ModeScores]
"""Scores in each of seqeval's modes."""


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 in [0, 1], and how many gold entities they speak of."""

    precision: float
    recall: float
    f1: float
    support: int


def is_judged(gold: Sentence, found: Span) -> bool:
    """Tell whether gold can judge an entity found.

    It is of a type that gold's file speaks of, and touches no token of which gold leaves open
    whether it is right; one that gold says is not of its type is wrong.
    """
    if gold.annotates is not None and found.label not in gold.annotates:
        return False
    touched = [p for p in gold.open if p.start < found.end and found.start < p.end]
    return not touched or any(found.label in part.never for part in touched)


def judged(gold: Sentence, found: Iterable[Span]) -> tuple[Span, ...]:
    """Return the entities found that gold can judge; see `is_judged`."""
    return tuple(span for span in found if is_judged(gold, span))


def span_score(gold: Iterable[Sequence[Span]], found: Iterable[Sequence[Span]]) -> Score:
    """Score spans that match exactly in place and label, all types together.

    On valid tag sequences this equals seqeval in both modes.
    """
    true = total_gold = total_found = 0
    for gold_spans, found_spans in zip(gold, found, strict=True):
        true += len(set(gold_spans) & set(found_spans))
        total_gold += len(gold_spans)
        total_found += len(found_spans)
    return score_of(true, total_gold, total_found)


def score_of(true: int, gold: int, found: int) -> Score:
    """Return the score of counts; 0 where there is nothing to divide by."""
    precision = true / found if found else 0.0
    recall = true / gold if gold else 0.0
    f1 = 2 * true / (gold + found) if gold + found else 0.0
    return Score(precision, recall, f1, gold)


def report(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], mode: Mode) -> ModeScores:
    """Return seqeval's scores of IOB2 tags: `micro` and by entity type, with how they were made."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    options: dict[str, Any] = {"output_dict": True, "zero_division": 0}
    if mode == "strict":
        options |= {"mode": "strict", "scheme": IOB2}
    rows: Mapping[str, Any] = {}
    if any(tag != OUTSIDE for row in (*gold, *found) for tag in row):  # or seqeval has no mean
        rows = classification_report([list(r) for r in gold], [list(r) for r in found], **options)
    scores = {name: _score(row) for name, row in rows.items()}
    averages = {"micro avg", "macro avg", "weighted avg"}
    nothing = ScoreRow(precision=0.0, recall=0.0, f1=0.0, support=0)
    return {
        "tool": f"seqeval {version('seqeval')}",
        "mode": mode,
        "scheme": str(Scheme.IOB2),
        "micro": scores.get("micro avg", nothing),
        "types": {name: score for name, score in scores.items() if name not in averages},
    }


def _score(row: Mapping[str, Any]) -> ScoreRow:
    return {
        "precision": float(row["precision"]),
        "recall": float(row["recall"]),
        "f1": float(row["f1-score"]),
        "support": int(row["support"]),
    }


def evaluate(
    checkpoint: str | os.PathLike[str],
    gold: str | os.PathLike[str] | Corpus | Iterable[Sentence],
    *,
    columns: Sequence[str] | None = None,
    separator: str = "whitespace",
    scheme: str | None = None,
    repair: bool = False,
    tag_style: str = "hyphen",
    annotates: Sequence[str] | None = None,
    precision: Precision = "auto",
    threads: int | None = None,
    labels: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = warnings.warn,
) -> Scores:
    """Score a checkpoint, or that of a training run, on a CoNLL file or on annotated sentences.

    `columns`, `separator`, `scheme`, `repair` and `tag_style` say how a file is read, see
    `FileLayout`. `labels` renames the labels of gold, those renamed to "" are left out. `tell` is
    given a sentence on labels that the model does not have, which can only be missed.
    With `annotates`, the types that the file speaks of (as renamed), entities of others are not
    counted, nor are those found that touch a token of which gold leaves the tag open; `tell` is
    given a sentence on that.

    Raises:
        ConfigError: columns without token or tag, an unknown separator or scheme; an entity of a
            type that `annotates` does not list.
        ConllError: the file can't be read so.
        InputError: a file without a sentence, or a label to rename that it does not have.
        CheckpointError: no checkpoint, or a damaged one.
        ValueError: a sentence without gold tags, named by its line.
        TypeError: gold that is neither a file, nor a corpus or sentences.
    """
    place = "gold"
    if isinstance(gold, str | os.PathLike):
        place = str(gold)
        layout = layout_of_options(columns, separator, scheme, repair=repair, tag_style=tag_style)
        gold = layout.read(Path(gold)).sentences
        if not gold:
            raise InputError(f"{place}: holds no sentence to evaluate on")
    gold = _relabelled(_sentences(gold), labels or {}, place)
    gold = [annotating(sentence, annotates, Path(place)) for sentence in gold]
    told = open_counts(gold)
    if told:
        tell(f"{place}: {told}: entities found that touch them are not counted")
    tagger = Tagger.load(Path(checkpoint), threads=threads, precision=precision)
    unknown = sorted(set(count_labels(gold)) - set(tagger.info.labels))
    if unknown:
        tell(
            f"{place}: labels that the model does not have, so that it misses them all: "
            f"{', '.join(unknown)}; it has {', '.join(tagger.info.labels)}; "
            "--label OTHER=ITS renames them"
        )
    return evaluate_sentences(tagger, gold)


def _sentences(gold: Corpus | Iterable[Sentence]) -> tuple[Sentence, ...]:
    """Take the sentences of any iterable, once."""
    if isinstance(gold, Corpus):
        return gold.sentences
    found = tuple(gold)
    for index, sentence in enumerate(found):
        if not isinstance(sentence, Sentence):
            kind = type(sentence).__name__
            raise TypeError(
                f"gold[{index}] is no Sentence but {kind}: read_conll(file).sentences are"
            )
    return found


def _relabelled(
    gold: Sequence[Sentence], labels: Mapping[str, str], place: str
) -> Sequence[Sentence]:
    found = count_labels(gold)
    missing = sorted(labels.keys() - found)
    if missing:
        known = ", ".join(sorted(found)) or "none"
        raise InputError(f"{place}: no label {', '.join(missing)} to rename; it has {known}")
    return [renamed(sentence, labels) for sentence in gold]


def evaluate_sentences(tagger: Tagger, sentences: Sequence[Sentence]) -> Scores:
    """Tag sentences with the Tagger that serves; return seqeval's report in each mode.

    Entities found that gold cannot judge are not counted; see `is_judged`.

    Raises:
        ValueError: a sentence without gold tags, named by its line.
    """
    unlabelled = next((s for s in sentences if s.spans is None), None)
    if unlabelled is not None:
        raise ValueError(f"line {unlabelled.line}: a sentence without tags can't be evaluated on")
    gold = [spans_to_tags(s.spans or (), len(s.tokens), Scheme.IOB2) for s in sentences]
    tagged = tagger.tag_tokens([s.tokens for s in sentences])
    found = [_judged_tags(s, row) for s, row in zip(sentences, tagged, strict=True)]
    return {mode: report(gold, found, mode) for mode in MODES}


def _judged_tags(gold: Sentence, tags: list[str]) -> list[str]:
    if gold.annotates is None and not gold.open:
        return tags
    spans = judged(gold, tags_to_spans(tags, Scheme.IOB2))
    return [*spans_to_tags(spans, len(tags), Scheme.IOB2)]


def render(reports: Scores) -> str:
    """Lay the reports of all modes out as a table, in per cent; as one where they are equal."""
    width = max([12, *(len(name) for scores in reports.values() for name in scores["types"])])
    lines = []
    tables = [(s["micro"], s["types"]) for s in reports.values()]
    shown = dict(reports)
    title = "{} mode"
    if len(tables) > 1 and all(table == tables[0] for table in tables):
        shown = {MODES[0]: reports[MODES[0]]}
        title = " and ".join(reports) + " mode alike"
    for mode, scores in shown.items():
        lines.append(f"{title.format(mode)}, {scores['scheme']}, {scores['tool']}")
        lines.append(f"  {'':{width}}  precision  recall      F1  entities")
        rows = [*scores["types"].items(), ("all (micro)", scores["micro"])]
        lines += [
            f"  {name:{width}}  {100 * row['precision']:9.2f}  {100 * row['recall']:6.2f}"
            f"  {100 * row['f1']:6.2f}  {row['support']:8,d}"
            for name, row in rows
        ]
    return "\n".join([*lines, *_interval(reports[MODES[0]]["micro"])])


def _interval(row: ScoreRow) -> list[str]:
    """Say how sure an F1 of few entities is."""
    right = round(row["recall"] * row["support"])
    if not right or row["support"] >= SURE:
        return []
    found = round(right / row["precision"])
    low, high = f1_interval(right, found + row["support"] - 2 * right)
    return [
        f"  few entities: the F1 of others like them would be {100 * low:.1f} to {100 * high:.1f}"
    ]

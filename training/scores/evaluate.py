"""`tagbelt evaluate CHECKPOINT FILE`: a checkpoint's scores on an annotated file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.data.types import Sentence
from tagbelt.inference.checkpoint import Precision
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import layout_of_options
from tagbelt.training.corpus.reading import read_source
from tagbelt.training.scores.metrics import MODES, report


def evaluate_sentences(tagger: Tagger, sentences: Sequence[Sentence]) -> dict[str, Any]:
    """Tag sentences with the Tagger that serves; return seqeval's report in each mode.

    Raises:
        ValueError: a sentence without gold tags, named by its line.
    """
    unlabelled = next((s for s in sentences if s.spans is None), None)
    if unlabelled is not None:
        raise ValueError(f"line {unlabelled.line}: a sentence without tags can't be evaluated on")
    gold = [spans_to_tags(s.spans or (), len(s.tokens), Scheme.IOB2) for s in sentences]
    found = tagger.tag_tokens([s.tokens for s in sentences])
    return {mode: report(gold, found, mode) for mode in MODES}


def evaluate_file(
    checkpoint: Path,
    file: Path,
    *,
    columns: Sequence[str] | None = None,
    separator: str = "whitespace",
    scheme: str | None = None,
    repair: bool = False,
    precision: Precision = "auto",
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a checkpoint on a CoNLL file; see `Layout` for how its columns are named.

    Raises:
        ConfigError: columns without token or tag, an unknown separator or scheme.
        ConllError: the file can't be read so.
    """
    corpus = read_source(file, layout_of_options(columns, separator, scheme, repair=repair))
    tagger = Tagger.load(checkpoint, threads=threads, precision=precision)
    return evaluate_sentences(tagger, corpus.sentences)


def render(reports: Mapping[str, Any]) -> str:
    """Lay the reports of all modes out as a table, in per cent."""
    width = max(12, *(len(name) for scores in reports.values() for name in scores["types"]))
    lines = []
    for mode, scores in reports.items():
        lines.append(f"{mode} mode, {scores['scheme']}, {scores['tool']}")
        lines.append(f"  {'':{width}}  precision  recall      F1  entities")
        rows = [*scores["types"].items(), ("all (micro)", scores["micro"])]
        lines += [
            f"  {name:{width}}  {100 * row['precision']:9.2f}  {100 * row['recall']:6.2f}"
            f"  {100 * row['f1']:6.2f}  {row['support']:8,d}"
            for name, row in rows
        ]
    return "\n".join(lines)

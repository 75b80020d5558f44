"""What a model finds in texts like those that it was made for, to compare others with."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tagbelt.data.checkpoint.artifact import (
    BASELINE,
    SCORE_BOUNDS,
    Baseline,
    replaced,
    write_json,
    write_sums,
)
from tagbelt.inference.tagger import Tagger


def measure_baseline(tagger: Tagger, sentences: Sequence[Sequence[str]]) -> Baseline:
    """Measure what a tagger finds in lists of tokens. Raises ValueError when there is no token."""
    found = tagger.annotate_tokens(sentences)
    tokens = sum(map(len, sentences))
    if not tokens:
        raise ValueError("a baseline needs at least one token")
    scores = [entity.score for one in found for entity in one.entities]
    labels = Counter(entity.label for one in found for entity in one.entities)
    count = max(1, len(scores))
    return Baseline(
        tokens=tokens,
        unknown=sum(map(tagger.count_unknown, sentences)) / tokens,
        score=min(1.0, sum(scores) / count),
        scores={str(top): sum(score <= top for score in scores) / count for top in SCORE_BOUNDS},
        entities={label: 1000 * labels[label] / tokens for label in tagger.info.labels},
    )


def add_baseline(directory: Path, sentences: Sequence[Sequence[str]]) -> Baseline:
    """Measure a checkpoint's baseline and write it there, which gives it another digest.

    Raises as `Tagger.load` and `measure_baseline` do.
    """
    baseline = measure_baseline(Tagger.load(directory), sentences)
    with replaced(directory) as fresh:
        for path in directory.iterdir():
            shutil.copy2(path, fresh / path.name)
        write_json(fresh / BASELINE, baseline.model_dump())
        write_sums(fresh)
    return baseline

"""Score checkpoints on the everyday sentences of `tests/everyday`, by group.

    python -m benchmarks.accuracy.everyday [CHECKPOINT ...] [--results DIR]

The sentences are written by us by the rules of docs/guidelines.md: raw texts in, entities over
characters out. Each checkpoint tags those of its own language. Types that a checkpoint does not
have are left out of the gold.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.options import run
from benchmarks.common.record import RESULTS, Row, tell, write_result
from tagbelt.data.types import Span
from tagbelt.inference import Tagger
from tagbelt.training.scores.evaluate import span_score

NAME = "everyday"
FOLDER = ROOT / "tests" / "everyday"
BUNDLED = (ROOT / "checkpoints" / "en", ROOT / "checkpoints" / "zh")
_MARKED = re.compile(r"\{([A-Z]+) ([^{}]+)\}")


@dataclass(frozen=True)
class EverydaySentence:
    """A text, its group, and its entities over code points."""

    group: str
    text: str
    spans: tuple[Span, ...]


def read_marked(path: Path) -> Iterator[EverydaySentence]:
    """Read lines such as `{PER Ada} left.`, below lines such as `# Mail` that name a group."""
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            group = line.removeprefix("# ")
        elif line:
            yield _unmarked(group, line)


def _unmarked(group: str, line: str) -> EverydaySentence:
    pieces, spans, size, end = [], [], 0, 0
    for mark in _MARKED.finditer(line):
        pieces += [line[end : mark.start()], mark[2]]
        size += len(pieces[-2])
        spans.append(Span(size, size + len(mark[2]), mark[1]))
        size, end = size + len(mark[2]), mark.end()
    return EverydaySentence(group, "".join([*pieces, line[end:]]), tuple(spans))


def scored(checkpoint: Path, sentences: Sequence[EverydaySentence]) -> list[Row]:
    """Return a row for all sentences and one for each group."""
    tagger = Tagger.load(checkpoint, threads=1)
    labels = set(tagger.info.labels)
    gold = [tuple(s for s in sentence.spans if s.label in labels) for sentence in sentences]
    found = [
        tuple(Span(e.start, e.end, e.label) for e in entities)
        for entities in tagger.tag([sentence.text for sentence in sentences])
    ]
    rows: list[Row] = []
    for group in ("all", *dict.fromkeys(sentence.group for sentence in sentences)):
        chosen = [i for i, s in enumerate(sentences) if group in ("all", s.group)]
        score = span_score([gold[i] for i in chosen], [found[i] for i in chosen])
        model = f"{tagger.info.name}@{tagger.info.version}"
        rows.append({"model": model, "group": group, "sentences": len(chosen), **asdict(score)})
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", type=Path, default=BUNDLED)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows: list[Row] = []
    for checkpoint in given.checkpoints:
        language = Tagger.load(checkpoint, threads=1).info.language
        rows += scored(checkpoint, list(read_marked(FOLDER / f"{language}.txt")))
    for row in rows:
        tell(f"{row['model']:10} {row['group']:10} {row['sentences']:4} {row['f1']:.1%}")
    write_result(NAME, {"sentences": str(FOLDER.relative_to(ROOT))}, rows, directory=given.results)


if __name__ == "__main__":
    run(main)

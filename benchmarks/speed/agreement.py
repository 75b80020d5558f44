"""Train each cell on a preset, export it, and compare what it tags with what torch tags.

    python -m benchmarks.speed.agreement configs/conll2003.toml --epochs 1 --out runs/agreement

Prints a row a cell: test F1 (strict), how many of the test tags differ between the exported
float32 graph and torch, and between int8 and float32.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.types import Sentence, Span
from tagbelt.inference.tagger import Tagger
from tagbelt.model.checkpoint import load_network
from tagbelt.model.config import CELLS
from tagbelt.training.config import load_config
from tagbelt.training.corpus.corpus import encode_split, read_split
from tagbelt.training.loop.loop import predict
from tagbelt.training.run.train import train
from tagbelt.training.scores.evaluate import span_score

OPTIONS: dict[str, tuple[str, ...]] = {cell: () for cell in CELLS}
OPTIONS["lstm-coupled+peephole"] = ("model.encoder.peephole=true",)


def main() -> None:
    """Run the comparison for all cells, or for those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--cells", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    given = parser.parse_args()
    console = Console()
    console.print("cell                   test F1   torch/float32   float32/int8   tags")
    for name in given.cells:
        overrides = [f"model.encoder.cell={name.partition('+')[0]}", *OPTIONS[name], *given.set]
        console.print(row(given.config, overrides, name, given.out / name, given.epochs))


def row(path: Path, overrides: Sequence[str], name: str, out: Path, epochs: int) -> str:
    """Train one cell and compare its three forms on the whole test file."""
    config = load_config(path, [*overrides, f"training.epochs={epochs}"])
    train(config, out)
    network, vocabulary, header = load_network(out / "checkpoint")
    sentences, _ = read_split(config, "test")
    encoded = encode_split(sentences, vocabulary, header.tags, config)
    tags = predict(network, encoded, header.tags, config, torch.device("cpu"))
    exported = spans_of(out / "checkpoint", "float32", sentences)
    score = span_score([s.spans or () for s in sentences], exported)
    has_int8 = (out / "checkpoint" / "sequence.int8.onnx").exists()
    int8 = spans_of(out / "checkpoint", "int8", sentences) if has_int8 else None
    quantised = "-" if int8 is None else str(differing(int8, exported, sentences))
    count = sum(len(s.tokens) for s in sentences)
    differ = differing(tags, exported, sentences)
    return f"{name:22} {100 * score.f1:7.2f}   {differ:13d}   {quantised:>12}   {count}"


def spans_of(
    checkpoint: Path, precision: str, sentences: Sequence[Sentence]
) -> list[Sequence[Span]]:
    """Tag sentences with a checkpoint in float32 or int8."""
    tagger = Tagger.load(checkpoint, precision="int8" if precision == "int8" else "float32")
    found = tagger.tag_tokens([sentence.tokens for sentence in sentences])
    return [tags_to_spans(row, Scheme.IOB2) for row in found]


def differing(
    a: Sequence[Sequence[Span]], b: Sequence[Sequence[Span]], sentences: Sequence[Sentence]
) -> int:
    """Count the tokens that two taggings tag differently."""
    total = 0
    for mine, yours, sentence in zip(a, b, sentences, strict=True):
        count = len(sentence.tokens)
        rows = (spans_to_tags(spans, count, Scheme.IOB2) for spans in (mine, yours))
        total += sum(x != y for x, y in zip(*rows, strict=True))
    return total


if __name__ == "__main__":
    main()

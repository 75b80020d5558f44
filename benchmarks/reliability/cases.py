"""Fuzzing within a process: each part takes a case and must take it or refuse it in our words.

    python -m benchmarks.reliability.cases PART COUNT SEED [FIRST]

writes what happened as JSON to standard output. Each case has a number; `PART 1 SEED NUMBER` does
one again.
"""

import csv
import faulthandler
import functools
import gzip
import io
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType

from benchmarks.common.machine import ROOT, resident_mb
from benchmarks.common.record import Row
from benchmarks.reliability.guided import CBOR, HTTP, Guided, cbor, connection, words
from benchmarks.reliability.mutation import mutated
from benchmarks.reliability.sizes import chance
from tagbelt.bulk.job import BulkJob, ShardTagger
from tagbelt.bulk.shards import find_sources, shards_of
from tagbelt.data.checking.check import check_files
from tagbelt.data.checkpoint.artifact import write_sums
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.formats.convert import SourceOptions, TargetOptions, convert, guess_source, save
from tagbelt.data.formats.record import READ_ONLY, Format
from tagbelt.data.text.tokenize import tokenize
from tagbelt.errors import InputError, TagbeltError
from tagbelt.inference.tagger import Tagger
from tagbelt.training.config import load_config

EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "tests" / "golden" / "checkpoint"
HANG_SECONDS = 60
SHOWN = 5
TEXT = "Angela Merkel visited Toyota in Nagoya on Monday."
PIECES = ("Toyota", "李明在北京", "👩‍🚀", " ", "é", "\u0301", "\r\n", "محمد", "&nbsp;",
          "&#x1F600;", "St.", "\ud800", "http://a.b/c?d", "...", "\u2028", "\x00", "U.S.",
          "A" * 300)  # fmt: skip

Case = Callable[[random.Random, Path], None]


class HangError(Exception):
    """A case that takes far too long."""


def tokenizer(chance: random.Random, _: Path) -> None:
    """Any text: each code point that is no white space is in one token, in order."""
    drawn = (
        chance.choice((*PIECES, chr(chance.randrange(0x110000))))
        for _ in range(chance.randint(0, 60))
    )
    text = "".join(drawn)
    for unit in ("word", "character"):
        kept = []
        for tokens in tokenize(text, unit):
            for word, start in zip(tokens.words, tokens.starts, strict=True):
                if text[start : start + len(word)] != word:
                    raise AssertionError(f"{word!r} is not at {start}")
                kept.append(word)
        if "".join("".join(kept).split()) != "".join(text.split()):
            raise AssertionError("something was left out")


def conll(chance: random.Random, folder: Path) -> None:
    """CoNLL files, as read for training and as checked."""
    rows(mutated(chance, _conll_files(folder)), folder)


def _conll_files(_: Path) -> list[bytes]:
    found = (*EXAMPLES.glob("*.conll"), *EXAMPLES.glob("zh/*"))
    return [path.read_bytes()[:3000] for path in sorted(found)]


def rows(content: bytes, folder: Path) -> None:
    """A CoNLL file, as checked and as read for training."""
    path = folder / "a.conll"
    path.write_bytes(content)
    check_files([path])
    read_conll(path)


WRITTEN = sorted(set(Format) - READ_ONLY)


def converters(chance: random.Random, folder: Path) -> None:
    """Files of every format that converts, to every other."""
    source, name = chance.choice(_sources(folder.parent / "sources"))
    path = folder / source.name
    if source.is_dir():
        shutil.copytree(source, path)
        victim = chance.choice(sorted(path.iterdir()))
        victim.write_bytes(mutated(chance, [victim.read_bytes()]))
    else:
        path.write_bytes(mutated(chance, [source.read_bytes()]))
    writing = TargetOptions()
    read_as = name if chance.random() < 0.5 else guess_source(path)
    made = convert(path, read_as, chance.choice(WRITTEN), SourceOptions(), writing)
    save(made, folder / "out", writing)


def _sources(folder: Path) -> list[tuple[Path, Format]]:
    """A small file of each format, made once; those that nothing writes are made here."""
    if not folder.exists():
        folder.mkdir()
        corpus = read_conll(EXAMPLES / "dev.conll").sentences[:6]
        write_conll(folder / "a.conll", corpus)
        for name in WRITTEN:
            made = convert(folder / "a.conll", Format.conll, name, SourceOptions(), TargetOptions())
            save(made, folder / str(name), TargetOptions())
        rows = [[str(n), token, "O"] for n, s in enumerate(corpus) for token in s.tokens]
        (folder / Format.kaggle).write_bytes(_csv([["Sentence #", "Word", "Tag"], *rows]))
        (folder / Format.spacy).write_bytes(_docbin([s.tokens for s in corpus]))
    return [(folder / str(name), name) for name in Format]


def _format_files(folder: Path) -> list[bytes]:
    """The small files, each with the number of its format in front."""
    found = _sources(folder / "sources")
    return [bytes([n]) + p.read_bytes()[:3000] for n, (p, _) in enumerate(found) if p.is_file()]


def formats(content: bytes, folder: Path) -> None:
    """A file of the format that the first byte says, to the format that the sum of all says."""
    source, name = (found := _sources(folder.parent / "sources"))[sum(content[:1]) % len(found)]
    path = folder / source.name
    path.write_bytes(content[1:])
    target = WRITTEN[sum(content) % len(WRITTEN)]
    made = convert(path, name, target, SourceOptions(), TargetOptions())
    save(made, folder / "out", TargetOptions())


def _docbin(sentences: Sequence[Sequence[str]]) -> bytes:
    """Documents as spaCy writes them, each with its first token as an entity."""
    from spacy.tokens import Doc, DocBin
    from spacy.vocab import Vocab

    vocab = Vocab()
    docs = [Doc(vocab, list(s), ents=["B-PER", *["O"] * (len(s) - 1)]) for s in sentences]
    content: bytes = DocBin(docs=docs).to_bytes()
    return content


def bulk(chance: random.Random, folder: Path) -> None:
    """Files of a bulk run, cut anywhere: every shard is written, or says why not."""
    files = _bulk_files()
    name = chance.choice(sorted(files))
    content = mutated(chance, [files[name]])
    path, out = folder / name, folder / "out"
    path.write_bytes(content)
    if chance.random() < 0.2:
        path = path.with_name(f"{name}.gz")
        path.write_bytes(gzip.compress(content) if chance.random() < 0.5 else content)
    failures = []
    for source in find_sources([str(path)], str(out), None):
        shards = list(shards_of(source, chance.choice((1, 50, 1 << 20)), str(out)))
        for before, after in pairwise(shards):
            if before.end != after.start:
                raise AssertionError(f"{before} and {after} do not meet")
        for outcome in map(_shard_tagger(), shards):
            if not outcome.failure and not Path(outcome.out).exists():
                raise AssertionError(f"{outcome} was not written")
            failures.append(outcome.failure)
    if any(failures):
        raise InputError(next(filter(None, failures)))


def _csv(rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode("utf-8")


_TEXTS = (TEXT, "", 'said "Bo,\nAnn"', "李明在北京")


@functools.cache
def _bulk_files() -> dict[str, bytes]:
    """A small file of each format, by its name; of Parquet where pyarrow is installed."""
    files = {
        "a.txt": "\n".join(_TEXTS).encode("utf-8"),
        "a.jsonl": "\n".join(json.dumps({"text": text}) for text in _TEXTS).encode("utf-8"),
        "a.csv": _csv([["id", "text"], *([str(n), text] for n, text in enumerate(_TEXTS))]),
        "a.conll": b"Angela B-PER\nMerkel I-PER\n\nin O\nNagoya B-LOC\n\nfin O\n",
    }
    with suppress(ImportError):
        from pyarrow import table
        from pyarrow.parquet import write_table

        stream = io.BytesIO()
        write_table(table({"text": list(_TEXTS)}), stream, row_group_size=2)
        files["a.parquet"] = stream.getvalue()
    return files


@functools.cache
def _shard_tagger() -> ShardTagger:
    return ShardTagger(BulkJob(str(GOLDEN)))


def config(chance: random.Random, folder: Path) -> None:
    """Configs of training."""
    seeds = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.toml"))]
    path = folder / "config.toml"
    path.write_bytes(mutated(chance, seeds))
    load_config(path)


def checkpoint(chance: random.Random, folder: Path) -> None:
    """Checkpoints with one damaged file, whose sums were written anew, so that it is read."""
    path = folder / "checkpoint"
    shutil.copytree(GOLDEN, path)
    victim = chance.choice([file for file in sorted(path.iterdir()) if file.name != "SHA256SUMS"])
    victim.write_bytes(mutated(chance, [victim.read_bytes()]))
    if chance.random() < 0.9:
        write_sums(path)
    precision = chance.choice(("auto", "float32", "int8"))
    Tagger.load(path, precision=precision).tag([TEXT, ""])


GUIDED = (
    Guided(words, lambda _: [text.encode("utf-8", "replace") for text in (TEXT, *PIECES)]),
    Guided(rows, _conll_files),
    Guided(formats, _format_files),
    Guided(cbor, lambda _: CBOR),
    Guided(connection, lambda _: HTTP),
)
PARTS: dict[str, Case] = {
    case.__name__: case
    for case in (tokenizer, conll, converters, bulk, config, checkpoint, *GUIDED)
}


def run(case: Case, count: int, seed: int, first: int = 0) -> Row:
    """So many cases; the failures are named by their numbers."""
    counts: Counter[str] = Counter(refused=0, failures=0, hangs=0)
    shown: list[str] = []
    settled = 0.0
    signal.signal(signal.SIGALRM, _late)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            place = Path(folder) / "case"
            place.mkdir()
            signal.alarm(HANG_SECONDS)
            try:
                case(chance(seed, case.__name__, number), place)
            except TagbeltError:
                counts["refused"] += 1
            except Exception as error:
                counts["hangs" if isinstance(error, HangError) else "failures"] += 1
                said = "; ".join([str(error)[:200], *getattr(error, "__notes__", ())])
                shown.append(f"{number}: {type(error).__name__}: {said}")
            finally:
                signal.alarm(0)
            shutil.rmtree(place)
            if number == first + count // 4:
                settled = resident_mb() or 0.0
    grown = (resident_mb() or 0.0) - settled
    return {"cases": count, **counts, "shown": shown[:SHOWN], "grown_mb": round(grown, 1)}


def _late(_: int, __: FrameType | None) -> None:
    raise HangError(f"no end in {HANG_SECONDS} s")


if __name__ == "__main__":
    faulthandler.enable()
    part, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(run(PARTS[part], *map(int, numbers))) + "\n")

"""Compare our tokenizer with others: speed on one core, offsets, agreement with annotated corpora.

Those that are not installed are left out: tokenizers, blingfire, spacy, nltk, syntok, regex. The
directory of the data sets is named by TAGBELT_DATA. Run from the root of the project, since this
file has the name of a library: python -m benchmarks.speed.tokenizers
"""

import argparse
import importlib
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Separator, Tokens

Tokenizer = Callable[[str], Sequence[Tokens]]

CORPORA: dict[str, tuple[str, int, Separator]] = {
    "conll2003": ("conll2003/test.txt", 0, " "),
    "wnut17": ("wnut17/test.conll", 0, "\t"),
    "btc": ("btc/test.conll", 0, "\t"),
    "gum": ("gum/test.conll", 0, "\t"),
    "wikiann/en": ("wikiann/en/test.conllu", 1, "\t"),
    "wikiann/de": ("wikiann/de/test.conllu", 1, "\t"),
    "conll2002_esp": ("conll2002_esp/test.txt", 0, " "),
}
NASTY = (
    "word|Zoë|e\u0301|दिल्ली|中文|한국|привет|👩\u200d👧|🇫🇷|👍🏽|\u200b|\ufeff|\u00ad|\u200f|\u0301|\x00"
    "|\x1f|\x85|\u3000|\u00a0| |  |\n|\r\n|\t|\"|''|``|“|’s|n't|can't|...|…|--|—|!|(|)|[UNK]|<b>"
    "|&amp;|@x|#y|$5|½"
)


def ours() -> Tokenizer:
    """Tokens and sentences, as the service does it."""
    return lambda text: tokenize(text, "word")


def _from_expression(module: str, expression: str) -> Tokenizer:
    pattern: Any = importlib.import_module(module).compile(expression)

    def run(text: str) -> list[Tokens]:
        matches = [(match.group(), match.start()) for match in pattern.finditer(text)]
        return [Tokens(tuple(w for w, _ in matches), tuple(s for _, s in matches))]

    return run


def _from_spans(spans: Callable[[str], Iterable[tuple[int, int]]]) -> Tokenizer:
    def run(text: str) -> list[Tokens]:
        found = list(spans(text))
        return [Tokens(tuple(text[a:b] for a, b in found), tuple(a for a, _ in found))]

    return run


def hugging_face(name: str) -> Tokenizer:
    """A pre-tokenizer of Hugging Face's `tokenizers` (Rust)."""
    splitter = getattr(importlib.import_module("tokenizers.pre_tokenizers"), name)()

    def run(text: str) -> list[Tokens]:
        found = splitter.pre_tokenize_str(text)
        return [Tokens(tuple(w for w, _ in found), tuple(span[0] for _, span in found))]

    return run


def spacy() -> Tokenizer:
    """The tokenizer of spaCy's blank English pipeline."""
    splitter = importlib.import_module("spacy").blank("en").tokenizer

    def run(text: str) -> list[Tokens]:
        found = [token for token in splitter(text) if not token.is_space]
        return [Tokens(tuple(t.text for t in found), tuple(t.idx for t in found))]

    return run


def syntok() -> Tokenizer:
    """The tokenizer of syntok, told to leave the text as it is."""
    options = {"emit_hyphen_or_underscore_sep": True, "replace_not_contraction": False}
    splitter = importlib.import_module("syntok.tokenizer").Tokenizer(**options)

    def run(text: str) -> list[Tokens]:
        found = list(splitter.tokenize(text))
        return [Tokens(tuple(t.value for t in found), tuple(t.offset for t in found))]

    return run


def nltk() -> Tokenizer:
    """NLTK's improved Treebank tokenizer."""
    module: Any = importlib.import_module("nltk.tokenize.destructive")
    return _from_spans(module.NLTKWordTokenizer().span_tokenize)


def blingfire() -> Tokenizer:
    """Blingfire's default word model (C++)."""
    split = importlib.import_module("blingfire").text_to_words_with_offsets

    def run(text: str) -> list[Tokens]:
        joined, offsets = split(text)
        return [Tokens(tuple(joined.split(" ")), tuple(start for start, _ in offsets))]

    return run


CANDIDATES: dict[str, Callable[[], Tokenizer]] = {
    "tagbelt (words and sentences)": ours,
    r"re: \w+(?:[-_]\w+)*|\S": lambda: _from_expression("re", r"\w+(?:[-_]\w+)*|\S"),
    r"regex: the same": lambda: _from_expression("regex", r"\w+(?:[-_]\w+)*|\S"),
    "tokenizers: BertPreTokenizer": lambda: hugging_face("BertPreTokenizer"),
    "tokenizers: Whitespace": lambda: hugging_face("Whitespace"),
    "blingfire": blingfire,
    "spaCy: blank English": spacy,
    "nltk: NLTKWordTokenizer": nltk,
    "syntok": syntok,
}


def sentences(name: str) -> list[tuple[str, ...]]:
    """The sentences of a corpus, without tokens that are blank or hold a space."""
    path, column, separator = CORPORA[name]
    corpus = read_conll(
        Path(os.environ["TAGBELT_DATA"]) / path,
        columns={"token": column, "tag": -1},
        separator=separator,
        on_invalid="repair",
    )
    return [tuple(t for t in s.tokens if re.fullmatch(r"\S+", t)) for s in corpus.sentences]


def natural(tokens: Sequence[str]) -> tuple[str, list[int]]:
    """Write tokens as people would, punctuation next to words; return the text and the starts."""
    text, starts, quotes, glued = "", [], 0, True
    for token in tokens:
        quotes += token == '"'
        closing = token == '"' and quotes % 2 == 0
        left = re.fullmatch(r"[,.;:!?%)\]}…]|\.{3}|n['’]t|['’](?:s|m|d|re|ve|ll)", token, re.I)
        text += "" if glued or left or closing else " "
        starts.append(len(text))
        text += token
        glued = token in {"(", "[", "{", "$", "£"} or (token == '"' and not closing)
    return text, starts


def is_lawful(run: Tokenizer, text: str) -> bool:
    """Tell whether offsets slice the text and nothing but white space is left between tokens."""
    try:
        pairs = [p for s in run(text) for p in zip(s.words, s.starts, strict=True)]
    except Exception:  # whatever a library raises, it has not kept the law
        return False
    end = 0
    for word, start in pairs:
        if start < end or not word or text[start : start + len(word)] != word:
            return False
        if text[end:start].strip():
            return False
        end = start + len(word)
    return not text[end:].strip()


def agreement(run: Tokenizer, name: str) -> float:
    """F1 of our tokens against a corpus, on its sentences written as people would."""
    right = found = gold = 0
    for tokens in sentences(name):
        text, starts = natural(tokens)
        want = {(start, len(token)) for token, start in zip(tokens, starts, strict=True)}
        have = {(a, len(w)) for s in run(text) for w, a in zip(s.words, s.starts, strict=False)}
        right += len(want & have)
        found += len(have)
        gold += len(want)
    return 200 * right / (found + gold)


def speeds(runs: dict[str, Tokenizer], repeats: int) -> dict[str, float]:
    """Median tokens of the corpus per second, the candidates taking turns."""
    corpus = sentences("conll2003")
    texts = [" ".join(natural(s)[0] for s in block) for block in _blocks(corpus, 20)]
    count = sum(map(len, corpus))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time()
            for text in texts:
                run(text)
            times[name].append(time.process_time() - start)
    return {name: count / statistics.median(values) for name, values in times.items()}


def _blocks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def nasty_texts(count: int) -> list[str]:
    """The same random mixtures of awkward Unicode on each call."""
    generator = random.Random(0)
    return [
        "".join(generator.choices(NASTY.split("|"), k=generator.randint(1, 12)))
        for _ in range(count)
    ]


def main() -> None:
    """Print one row for each tokenizer that is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    if "TAGBELT_DATA" not in os.environ:
        sys.exit("set TAGBELT_DATA to the directory of the data sets")
    runs = {}
    for name, make in CANDIDATES.items():
        try:
            runs[name] = make()
        except ImportError as error:
            sys.stderr.write(f"left out: {name} ({error})\n")
    measured = speeds(runs, repeats)
    own = next(iter(measured.values()))
    nasty = nasty_texts(2000)
    sys.stdout.write(f"tokenizer | tokens/s | ratio | law broken | {' | '.join(CORPORA)}\n")
    for name, run in runs.items():
        broken = sum(not is_lawful(run, text) for text in nasty) / len(nasty)
        scores = " | ".join(f"{agreement(run, corpus):.2f}" for corpus in CORPORA)
        speed = measured[name]
        sys.stdout.write(f"{name} | {speed:,.0f} | {speed / own:.2f} | {broken:.1%} | {scores}\n")


if __name__ == "__main__":
    main()

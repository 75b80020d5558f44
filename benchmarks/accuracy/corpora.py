"""Bring English corpora under the rules of docs/guidelines.md, for the bundled model to learn from.

    python -m benchmarks.accuracy.corpora [--data DIR] [--out DIR]

Writes CoNLL files (token, tag), IOB2, of WikiANN, the Broad Twitter Corpus, WNUT-17, UNER EWT and
WikiGold. Every corpus has habits of its own; these rules make them one: titles, genitives and the
points that end a sentence leave names; nationalities that are marked as places or organisations
are marked no more, since most of these files do not speak of MISC; `@` joins its name, and an
address of a person is no entity; sentences of WikiANN whose marks can't be right go.
"""

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.materials import data_file
from benchmarks.common.options import run
from benchmarks.common.record import tell
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.data.types import SEPARATORS, Sentence, SeparatorName, Span
from tagbelt.training.corpus.synthesis import read_templates

TEMPLATES = ROOT / "configs" / "en.templates.txt"
TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "dr",
        "prof",
        "professor",
        "president",
        "prime",
        "minister",
        "chancellor",
        "king",
        "queen",
        "prince",
        "princess",
        "pope",
        "sir",
        "dame",
        "lord",
        "lady",
        "saint",
        "st",
        "senator",
        "sen",
        "governor",
        "gov",
        "general",
        "gen",
        "colonel",
        "col",
        "captain",
        "capt",
        "lieutenant",
        "lt",
        "major",
        "sergeant",
        "sgt",
        "admiral",
        "judge",
        "justice",
        "mayor",
        "rev",
        "reverend",
        "father",
        "sister",
        "bishop",
        "archbishop",
        "cardinal",
        "rabbi",
        "imam",
        "emperor",
        "empress",
        "sultan",
        "duke",
        "duchess",
        "count",
        "countess",
        "baron",
        "herr",
        "frau",
        "monsieur",
        "madame",
        "señor",
        "señora",
        "aunt",
        "uncle",
        "coach",
    ]
)
"""In front of a person's name; `King` alone is a name."""

NO_ORGANISATION = TITLES - {"king", "queen", "prince", "st", "saint", "general", "major", "captain"}


@dataclass(frozen=True)
class Source:
    """A file of a corpus and what its types are called here; `parts` are (name, first, stop)."""

    name: str
    file: str
    columns: tuple[str, ...] = ("token", "tag")
    separator: SeparatorName = "tab"
    types: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[tuple[str, int, int | None], ...] = ()


WNUT = {
    "person": "PER",
    "location": "LOC",
    "corporation": "ORG",
    "group": "ORG",
    "product": "",
    "creative-work": "",
}
UNER = ("index", "token", "tag", "a", "b")
WIKIANN = ("index", "token", "tag")
SOURCES = (
    Source("wikiann.train", "wikiann/en/train.conllu", WIKIANN),
    Source("wikiann.dev", "wikiann/en/dev.conllu", WIKIANN),
    Source("btc.train", "btc/train.conll"),
    Source("btc.dev", "btc/dev.conll"),
    Source("wnut.train", "wnut17/train.conll", types=WNUT),
    Source("wnut.dev", "wnut17/dev.conll", types=WNUT),
    Source("ewt.test", "uner_en_ewt/test.iob2", UNER, parts=(("ewt-b.train", 0, None),)),
    Source(
        "ewt.dev",
        "uner_en_ewt/dev.iob2",
        UNER,
        parts=(("ewt-a.train", 0, 1401), ("ewt.dev", 1401, None)),
    ),
    Source(
        "wikigold",
        "wikigold/wikigold.conll.txt",
        separator="whitespace",
        parts=(("wikigold.train", 0, 1296), ("wikigold.dev", 1296, None)),
    ),
)


def converted(
    source: Source, sentences: Sequence[Sentence], demonyms: frozenset[str]
) -> Iterator[Sentence]:
    """Yield the sentences of a file as the guidelines have them."""
    for sentence in sentences:
        spans = (replace(s, label=source.types.get(s.label, s.label)) for s in sentence.spans or ())
        joined = joining_addresses(replace(sentence, spans=tuple(spans)))
        if source.name.startswith("wikiann") and not is_plausible(joined):
            continue
        yield replace(joined, spans=tuple(bounded(joined, demonyms)))


def joining_addresses(sentence: Sentence) -> Sentence:
    """Join `@` with the name behind it, as a text has them; what is spoken to so is no entity."""
    tokens: list[str] = []
    places: list[int] = []
    for token in sentence.tokens:
        if tokens and tokens[-1] == "@" and re.match(r"\w", token):
            tokens[-1] += token
        else:
            tokens.append(token)
        places.append(len(tokens) - 1)
    spans = [Span(places[s.start], places[s.end - 1] + 1, s.label) for s in sentence.spans or ()]
    kept = tuple(s for s in spans if not tokens[s.start].startswith("@"))
    return replace(sentence, tokens=tuple(tokens), spans=kept)


def is_plausible(sentence: Sentence) -> bool:
    """Tell whether no mark of the sentence is of the kinds that WikiANN has wrong."""
    for span in sentence.spans or ():
        name = sentence.tokens[span.start : span.end]
        first = name[0].lower().rstrip(".")
        if name[-1] in (")", ",", "'") or (span.label != "PER" and first in NO_ORGANISATION):
            return False
        if not any(map(str.isalnum, "".join(name))):
            return False
    return True


def bounded(sentence: Sentence, demonyms: frozenset[str]) -> Iterator[Span]:
    """Yield the entities of a sentence within the borders of the guidelines."""
    for span in sentence.spans or ():
        start, end, label = span.start, span.end, span.label
        words = sentence.tokens
        while label == "PER" and end - start > 1 and words[start].lower().rstrip(".") in TITLES:
            start += 1
        while end - start > 1 and _ends_outside(words[end - 1], words[end - 2]):
            end -= 1
        while end - start > 1 and words[start] in ("the", "'", '"', "''", "``"):
            start += 1
        is_demonym = label in ("LOC", "ORG") and " ".join(words[start:end]) in demonyms
        if label and not is_demonym:
            yield Span(start, end, label)


def _ends_outside(last: str, before: str) -> bool:
    if last == ".":
        return len(before) > 1 and before not in ("Jr", "Sr", "St", "Inc", "Corp", "Ltd", "Co")
    return last in ("'s", "’s", "'", ",", '"', "''")


def write(path: Path, sentences: Sequence[Sentence]) -> None:
    """Write a CoNLL file, an empty token as a point."""
    with path.open("w", encoding="utf-8") as stream:
        for sentence in sentences:
            tags = spans_to_tags(sentence.spans or (), len(sentence.tokens), Scheme.IOB2)
            rows = zip(sentence.tokens, tags, strict=True)
            stream.writelines(f"{''.join(token.split()) or '.'}\t{tag}\n" for token, tag in rows)
            stream.write("\n")


def main() -> None:
    """Read, convert and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGBELT_DATA"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "corpora" / "en")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    lists = read_templates(TEMPLATES).lists
    demonyms = frozenset((*lists["nationality"], *lists["people"]))
    for source in SOURCES:
        path = data_file(given.data, source.file)
        separator = SEPARATORS[source.separator]
        corpus = read_conll(path, columns=source.columns, separator=separator)
        for name, first, stop in source.parts or ((source.name, 0, None),):
            made = list(converted(source, corpus.sentences[first:stop], demonyms))
            write(given.out / f"{name}.conll", made)
            tell(f"{name}: {len(made):,} sentences")


if __name__ == "__main__":
    run(main)

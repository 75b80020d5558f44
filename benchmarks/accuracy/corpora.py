"""Bring English corpora under the rules of docs/guidelines.md, for the bundled model to learn from.

    python -m benchmarks.accuracy.corpora [--data DIR] [--out DIR]

Writes CoNLL files (token, tag), IOB2, of WikiANN, the Broad Twitter Corpus, WNUT-17, UNER EWT and
WikiGold. Every corpus has habits of its own; these rules make them one: titles, genitives and the
points that end a sentence leave names; two places side by side are two, as in `Austin, Texas`;
nationalities that are marked as places or organisations
are marked no more, since most of these files do not speak of MISC; `@` joins its name, and an
address of a person is no entity; of WikiANN, sentences whose marks can't be
right go, and so do works and events that it calls organisations.
"""

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.common.machine import ROOT
from benchmarks.common.materials import data_file
from benchmarks.common.options import run
from benchmarks.common.record import tell
from tagbelt.data.conll.partial import joined, sentence_tags
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import SEPARATORS, Open, Sentence, SeparatorName, Span
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


STAY = frozenset(
    [
        "Jr",
        "Sr",
        "Inc",
        "Ltd",
        "LLC",
        "LLP",
        "LP",
        "PC",
        "PLC",
        "Corp",
        "Co",
        "GmbH",
        "AG",
        "D.C",
        "DC",
    ]
)
"""Behind a comma, what belongs to the name before it; without points at the end."""

QUOTES = frozenset(["''", "``", '"', "“", "”"])
EVENTS = frozenset(
    ["Games", "Olympics", "Championship", "Championships", "Cup", "War", "Wars", "Festival"]
)
"""The last words of events, which WikiANN calls organisations and places."""
PLACES = ("cityeurope", "cityasia", "cityamerica", "cityafrica", "town", "country", "region")
"""The lists of the templates that have known places."""

_YEAR = re.compile(r"(1[0-9]|20)\d\d")


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
WORKS = "wikiann.works"
"""What is left out of `wikiann.train`: rows and titles with organisations, many of them works."""
SOURCES = (
    Source("wikiann.train", "wikiann/en/train.conllu", WIKIANN),
    Source(WORKS, "wikiann/en/train.conllu", WIKIANN),
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
    source: Source, sentences: Sequence[Sentence], demonyms: Set[str], places: Set[str]
) -> Iterator[Sentence]:
    """Yield the sentences of a file as the guidelines have them."""
    for sentence in sentences:
        spans = (replace(s, label=source.types.get(s.label, s.label)) for s in sentence.spans or ())
        said = joining_addresses(replace(sentence, spans=tuple(spans)))
        if source.name.startswith("wikiann"):
            if is_clean(said) == (source.name == WORKS) or not is_plausible(said):
                continue
            said = replace(said, spans=tuple(s for s in said.spans or () if not is_work(said, s)))
        yield cut_at_commas(replace(said, spans=tuple(bounded(said, demonyms))), places)


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
        if (
            "(" in name
            or name[-1] in (")", ",", "'")
            or (span.label != "PER" and first in NO_ORGANISATION)
        ):
            return False
        if not any(map(str.isalnum, "".join(name))):
            return False
    return True


def is_clean(sentence: Sentence) -> bool:
    """Tell a whole sentence, or a title or row without an organisation, from pieces of markup.

    Most titles that WikiANN calls organisations are works.
    """
    tokens = sentence.tokens
    lower = sum(token.isalpha() and token.islower() for token in tokens)
    if len(tokens) > 4 and tokens[-1] in (".", "?", "!") and 3 * lower >= len(tokens):
        return True
    return not (QUOTES & {*tokens}) and {s.label for s in sentence.spans or ()} <= {"PER", "LOC"}


def is_work(sentence: Sentence, span: Span) -> bool:
    """Tell a work, a species or an event: in italics or quotation marks, with a year, a "Cup"."""
    tokens = sentence.tokens
    name = tokens[span.start : span.end]
    beside = {*tokens[max(0, span.start - 1) : span.start], *tokens[span.end : span.end + 1]}
    is_quoted = span.label != "PER" and bool(beside & QUOTES)
    return is_quoted or name[-1] in EVENTS or any(map(_YEAR.fullmatch, name))


def cut_at_commas(sentence: Sentence, places: Set[str]) -> Sentence:
    """Cut names at commas, where places follow one another, or a place what lies there.

    `Washington, D.C.` stays one, as do `Bedford, Ann`, names with a form of company, and lists of
    partners. What else follows a name (`Duke of Bedford`) is open.
    """
    spans: list[Span] = []
    unknown: list[Open] = []
    for span in sentence.spans or ():
        name = sentence.tokens[span.start : span.end]
        if "," not in name or span.label == "MISC" or _stays_whole(name, span.label):
            spans.append(span)
            continue
        commas = [span.start + i for i, token in enumerate(name) if token == ","]
        parts = list(zip([span.start, *(i + 1 for i in commas)], [*commas, span.end], strict=True))
        named = [" ".join(sentence.tokens[start:end]) for start, end in parts]
        are_places = span.label == "LOC" or all(part in places for part in named)
        for i, (start, end) in enumerate(parts):
            if are_places or named[i] in places or i == 0:
                label = "LOC" if are_places or i else span.label
                spans.append(Span(start, end, label))
            else:
                unknown.append(Open(start, end))
    return replace(sentence, spans=tuple(spans), open=joined((*sentence.open, *unknown)))


def _stays_whole(name: Sequence[str], label: str) -> bool:
    """Tell whether no comma of a name is a border."""
    after = {behind.rstrip(".") for token, behind in pairwise(name) if token == ","}
    if label == "PER":
        return after <= STAY or not any(token.islower() or token[0].isdigit() for token in name)
    return after <= STAY or (label == "ORG" and bool({"&", "and"} & {*name}))


def bounded(sentence: Sentence, demonyms: Set[str]) -> Iterator[Span]:
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
            tags = sentence_tags(sentence, Scheme.IOB2)
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
    demonyms = {*lists["nationality"], *lists["people"]}
    places = {name for key in PLACES for name in lists[key]}
    for source in SOURCES:
        path = data_file(given.data, source.file)
        separator = SEPARATORS[source.separator]
        corpus = read_conll(path, columns=source.columns, separator=separator)
        for name, first, stop in source.parts or ((source.name, 0, None),):
            made = list(converted(source, corpus.sentences[first:stop], demonyms, places))
            write(given.out / f"{name}.conll", made)
            tell(f"{name}: {len(made):,} sentences")


if __name__ == "__main__":
    run(main)

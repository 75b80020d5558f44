"""What can be found in one file by itself."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from tagbelt.data.checking.characters import is_punctuation, odd_characters, shown
from tagbelt.data.checking.findings import Findings
from tagbelt.data.conll.tolerant import Annotated, Block
from tagbelt.data.types import Sentence, Span

_OPENERS = {
    ")": "(",
    "]": "[",
    "}": "{",
    "\u201d": "\u201c",
    "\u300b": "\u300a",
    "\uff09": "\uff08",
}
_QUOTES = frozenset(('"', "'", "``", "''"))
_SHOWN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Sentences of more tokens are very long; labels of fewer entities in a file are rare."""

    long: int = 256
    rare: int = 50


def check_file(file: Annotated, limits: Limits, findings: Findings) -> None:
    """Add all that one file by itself gives rise to."""
    _check_tags(file, findings)
    path = file.loose.path
    if not file.sentences:
        findings.add("no-sentences", path, None, "no sentence in it")
        return
    if _is_index(file.loose.blocks):
        line = file.loose.blocks[0].line
        findings.add("index-column", path, line, "name the columns: index,token,tag")
    for block, sentence in zip(file.loose.blocks, file.sentences, strict=True):
        _check_tokens(path, block, findings)
        _check_boundaries(path, block, sentence, findings)
        if len(block.tokens) > limits.long:
            message = f"{len(block.tokens)} tokens, more than {limits.long}"
            findings.add("long-sentence", path, block.line, message)
    _check_duplicates(file, findings)
    _check_consistency(file, findings)


def excerpt(tokens: tuple[str, ...]) -> str:
    """The first words of a sentence, to recognise it by."""
    more = " ..." if len(tokens) > _SHOWN_TOKENS else ""
    return shown(" ".join(tokens[:_SHOWN_TOKENS])) + more


def _check_tags(file: Annotated, findings: Findings) -> None:
    path = file.loose.path
    for kind, faults in (
        ("wrong-columns", file.loose.rows),
        ("unknown-tag", file.unknown),
        ("scheme", [file.doubt] if file.doubt else []),
        ("invalid-transition", file.invalid),
    ):
        for fault in faults:
            findings.add(kind, path, fault.line, fault.message)


def _is_index(blocks: list[Block]) -> bool:
    def counted(tokens: list[str]) -> bool:
        return any(tokens == [str(i + first) for i in range(len(tokens))] for first in (0, 1))

    return any(len(b.tokens) > 1 for b in blocks) and all(counted(b.tokens) for b in blocks)


def _check_tokens(path: str, block: Block, findings: Findings) -> None:
    for token, line in zip(block.tokens, block.lines, strict=True):
        for kind, what in odd_characters(token):
            findings.add(kind, path, line, f"{shown(token)}: {what}")
        if not token.strip():
            findings.add("empty-token", path, line, f"the token is {shown(token)}")
        elif len(token.split()) > 1 or token != token.strip():
            findings.add("space-in-token", path, line, f"the token is {shown(token)}")


def _check_boundaries(path: str, block: Block, sentence: Sentence, findings: Findings) -> None:
    for span in sentence.spans or ():
        words = sentence.tokens[span.start : span.end]
        first, last = words[0], words[-1]
        text = f"{span.label} {shown(' '.join(words))}"
        if first[:1].strip() == "" or last[-1:].strip() == "":
            findings.add("boundary-space", path, block.lines[span.start], text)
        elif _stray(words, first) or _stray(words, last):
            findings.add("boundary-punctuation", path, block.lines[span.start], text)


def _stray(words: tuple[str, ...], edge: str) -> bool:
    """Tell whether punctuation at an edge is no bracket or quote whose other half is inside."""
    if not is_punctuation(edge):
        return False
    if edge in _QUOTES:
        return sum(word in _QUOTES for word in words) % 2 == 1
    for closing, opening in _OPENERS.items():
        if edge in (closing, opening):
            return words.count(closing) != words.count(opening)
    return True


def _check_duplicates(file: Annotated, findings: Findings) -> None:
    seen: dict[tuple[str, ...], Sentence] = {}
    for sentence in file.sentences:
        first = seen.setdefault(sentence.tokens, sentence)
        if first is sentence:
            continue
        same = first.spans == sentence.spans
        message = f"as in line {first.line}: {excerpt(sentence.tokens)}"
        kind = "duplicate-within" if same else "contradiction"
        findings.add(kind, file.loose.path, sentence.line, message)


def _check_consistency(file: Annotated, findings: Findings) -> None:
    """Forms with several labels, those first that are least clear."""
    labels: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in file.sentences:
        for span in sentence.spans or ():
            labels[sentence.tokens[span.start : span.end]][span.label] += 1
    mixed = {form: tally for form, tally in labels.items() if len(tally) > 1}
    if not mixed:
        return
    places = _minority_places(file, mixed)
    for form in sorted(mixed, key=lambda form: (-_minority(mixed[form]), form)):
        tally = ", ".join(f"{label} {n}" for label, n in mixed[form].most_common())
        message = f"{shown(' '.join(form))}: {tally}"
        findings.add("inconsistent", file.loose.path, places[form], message)


def _minority(tally: Counter[str]) -> int:
    return tally.total() - tally.most_common(1)[0][1]


def _minority_places(
    file: Annotated, mixed: dict[tuple[str, ...], Counter[str]]
) -> dict[tuple[str, ...], int]:
    """The first line on which a form has another label than it mostly has."""
    places: dict[tuple[str, ...], int] = {}
    usual = {form: tally.most_common(1)[0][0] for form, tally in mixed.items()}
    for block, sentence in zip(file.loose.blocks, file.sentences, strict=True):
        for span in sentence.spans or ():
            form = _form(sentence, span)
            if form in usual and usual[form] != span.label:
                places.setdefault(form, block.lines[span.start])
    return places


def _form(sentence: Sentence, span: Span) -> tuple[str, ...]:
    return sentence.tokens[span.start : span.end]

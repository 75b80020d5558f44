"""Check annotated files, each by itself and one against another."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagbelt.data.checking.characters import is_punctuation, odd_characters, quoted
from tagbelt.data.checking.findings import Findings, Severity
from tagbelt.data.conll.partial import open_counts
from tagbelt.data.conll.reading import AnnotatedFile, Block, annotate, read_tolerantly
from tagbelt.data.conll.rows import Columns
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.types import Sentence, Separator
from tagbelt.errors import ConllError

_OPENERS = {
    ")": "(",
    "]": "[",
    "}": "{",
    "\u201d": "\u201c",
    "\u300b": "\u300a",
    "\uff09": "\uff08",
}
_QUOTES = frozenset(('"', "'", "``", "''"))
_EXCERPT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """Sentences of more tokens are very long; labels of fewer entities in a file are rare."""

    long: int = 256
    rare: int = 50


@dataclass(frozen=True, slots=True)
class Checked:
    """The files, as far as they could be read, and the findings in them."""

    files: list[AnnotatedFile]
    findings: Findings

    def failed(self, *, strict: bool = False) -> bool:
        """Tell whether there were errors, or, if strict, warnings."""
        bad = self.findings.total(Severity.error)
        return bool(bad or (strict and self.findings.total(Severity.warning)))

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON value."""
        return {
            "files": [
                {
                    "path": file.raw.path,
                    "scheme": file.scheme.value if file.scheme else None,
                    "sentences": len(file.sentences),
                    "tokens": sum(len(s.tokens) for s in file.sentences),
                    "labels": dict(label_counts(file).most_common()),
                }
                for file in self.files
            ],
            "findings": self.findings.as_json(),
            "errors": self.findings.total(Severity.error),
            "warnings": self.findings.total(Severity.warning),
            "notes": self.findings.total(Severity.note),
        }


def check_files(
    paths: Sequence[Path],
    *,
    columns: Columns | None = None,
    separator: Separator | str | None = "guess",
    scheme: Scheme | None = None,
    tag_style: TagStyle = TagStyle.HYPHEN,
    limits: CheckLimits | None = None,
    max_examples: int = 5,
) -> Checked:
    """Check files; the first is the one to train on, those behind it are compared with it.

    A file that cannot be read is a finding. Of each kind the first `max_examples` are kept.
    """
    findings = Findings(max_examples)
    files = []
    limits = limits or CheckLimits()
    for path in paths:
        try:
            raw = read_tolerantly(path, columns=columns, separator=separator, tag_style=tag_style)
        except ConllError as error:
            findings.add("unreadable", error.path, error.line, error.message)
            continue
        except OSError as error:
            findings.add("unreadable", str(path), None, error.strerror or str(error))
            continue
        file = annotate(raw, scheme)
        _check_file(file, limits, findings)
        files.append(file)
    _check_between(files, findings)
    _check_labels(files, limits, findings)
    return Checked(files, findings)


def label_counts(file: AnnotatedFile) -> Counter[str]:
    """How many entities each label has."""
    return Counter(span.label for s in file.sentences for span in s.spans or ())


def _check_file(file: AnnotatedFile, limits: CheckLimits, findings: Findings) -> None:
    """Add all that one file by itself gives rise to."""
    _check_tags(file, findings)
    path = file.raw.path
    if not file.sentences:
        findings.add("no-sentences", path, None, "no sentence in it")
        return
    if _is_index(file.raw.blocks):
        line = file.raw.blocks[0].line
        findings.add("index-column", path, line, "name the columns: index,token,tag")
    for block, sentence in zip(file.raw.blocks, file.sentences, strict=True):
        _check_tokens(path, block, findings)
        _check_boundaries(path, block, sentence, findings)
        if len(block.tokens) > limits.long:
            message = f"{len(block.tokens)} tokens, more than {limits.long}"
            findings.add("long-sentence", path, block.line, message)
    told = open_counts(file.sentences)
    if told:
        first = next(sentence for sentence in file.sentences if sentence.open)
        findings.add("open", path, first.line, told)
    _check_duplicates(file, findings)
    _check_consistency(file, findings)


def _excerpt(tokens: tuple[str, ...]) -> str:
    """The first words of a sentence, to recognise it by."""
    more = " ..." if len(tokens) > _EXCERPT_LENGTH else ""
    return quoted(" ".join(tokens[:_EXCERPT_LENGTH])) + more


def _check_tags(file: AnnotatedFile, findings: Findings) -> None:
    for fault in file.faults:
        findings.add(fault.kind, file.raw.path, fault.line, fault.message)


def _is_index(blocks: list[Block]) -> bool:
    def counted(tokens: list[str]) -> bool:
        return any(tokens == [str(i + first) for i in range(len(tokens))] for first in (0, 1))

    return any(len(b.tokens) > 1 for b in blocks) and all(counted(b.tokens) for b in blocks)


def _check_tokens(path: str, block: Block, findings: Findings) -> None:
    for token, line in zip(block.tokens, block.lines(), strict=True):
        for kind, what in odd_characters(token):
            findings.add(kind, path, line, f"{quoted(token)}: {what}")
        if not token.strip():
            findings.add("empty-token", path, line, f"the token is {quoted(token)}")
        elif len(token.split()) > 1 or token != token.strip():
            findings.add("space-in-token", path, line, f"the token is {quoted(token)}")


def _check_boundaries(path: str, block: Block, sentence: Sentence, findings: Findings) -> None:
    lines = block.lines()
    for span in sentence.spans or ():
        words = sentence.tokens[span.start : span.end]
        first, last = words[0], words[-1]
        text = f"{span.label} {quoted(' '.join(words))}"
        if first[:1].strip() == "" or last[-1:].strip() == "":
            findings.add("boundary-space", path, lines[span.start], text)
        elif _stray(words, first) or _stray(words, last):
            findings.add("boundary-punctuation", path, lines[span.start], text)


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


def _check_duplicates(file: AnnotatedFile, findings: Findings) -> None:
    seen: dict[tuple[str, ...], Sentence] = {}
    for sentence in file.sentences:
        first = seen.setdefault(sentence.tokens, sentence)
        if first is sentence:
            continue
        same = (first.spans, first.open) == (sentence.spans, sentence.open)
        message = f"as in line {first.line}: {_excerpt(sentence.tokens)}"
        kind = "duplicate-within" if same else "contradiction"
        findings.add(kind, file.raw.path, sentence.line, message)


def _check_consistency(file: AnnotatedFile, findings: Findings) -> None:
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
        message = f"{quoted(' '.join(form))}: {tally}"
        findings.add("inconsistent", file.raw.path, places[form], message)


def _minority(tally: Counter[str]) -> int:
    return tally.total() - tally.most_common(1)[0][1]


def _minority_places(
    file: AnnotatedFile, mixed: dict[tuple[str, ...], Counter[str]]
) -> dict[tuple[str, ...], int]:
    """The first line on which a form has another label than it mostly has."""
    places: dict[tuple[str, ...], int] = {}
    usual = {form: tally.most_common(1)[0][0] for form, tally in mixed.items()}
    for block, sentence in zip(file.raw.blocks, file.sentences, strict=True):
        for span in sentence.spans or ():
            form = sentence.tokens[span.start : span.end]
            if form in usual and usual[form] != span.label:
                places.setdefault(form, block.lines()[span.start])
    return places


def _check_between(files: list[AnnotatedFile], findings: Findings) -> None:
    seen: dict[tuple[str, ...], str] = {}
    schemes = [file.scheme for file in files if file.scheme and label_counts(file)]
    for file in files:
        path = file.raw.path
        if file.scheme and label_counts(file) and file.scheme is not schemes[0]:
            message = f"{file.scheme} here, {schemes[0]} in the first"
            findings.add("other-scheme", path, file.sentences[0].line, message)
        for sentence in file.sentences:
            if sentence.tokens in seen:
                message = f"as in {seen[sentence.tokens]}: {_excerpt(sentence.tokens)}"
                findings.add("duplicate-between", path, sentence.line, message)
        for sentence in file.sentences:
            seen.setdefault(sentence.tokens, f"{path}:{sentence.line}")


def _check_labels(files: list[AnnotatedFile], limits: CheckLimits, findings: Findings) -> None:
    counts = [label_counts(file) for file in files]
    everywhere = sorted(set().union(*counts)) if counts else []
    for file, tally in zip(files, counts, strict=True):
        if not tally and file.scheme is None:
            continue  # its entities could not be read at all: told already
        for label in everywhere:
            if label not in tally:
                places = [_first(other, label) for other in files if other is not file]
                where = next(place for place in places if place)
                findings.add("missing-label", file.raw.path, None, f"no {label} (see {where})")
    for label, count in sorted(counts[0].items()) if counts else []:
        if count < limits.rare:
            line = int(str(_first(files[0], label)).rpartition(":")[2])
            findings.add("rare-label", files[0].raw.path, line, f"{label}: {count} entities")


def _first(file: AnnotatedFile, label: str) -> str | None:
    """Where a label occurs first."""
    for block, sentence in zip(file.raw.blocks, file.sentences, strict=True):
        for span in sentence.spans or ():
            if span.label == label:
                return f"{file.raw.path}:{block.lines()[span.start]}"
    return None

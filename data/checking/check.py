"""Check annotated files, each by itself and one against another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagbelt.data.checking.findings import Findings, Severity
from tagbelt.data.checking.within import Limits, check_file, excerpt
from tagbelt.data.conll.rows import Columns, Separator
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.tolerant import Annotated, annotate, read_loosely
from tagbelt.errors import ConllError


@dataclass(frozen=True, slots=True)
class Checked:
    """What the files hold, as far as they could be read, and what was found in them."""

    files: list[Annotated]
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
                    "path": file.loose.path,
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
    limits: Limits | None = None,
    shown: int = 5,
) -> Checked:
    """Check files; the first is the one to train on, those behind it are compared with it.

    A file that cannot be read is a finding. Of each kind of finding `shown` examples are kept.
    """
    findings = Findings(shown)
    files = []
    limits = limits or Limits()
    for path in paths:
        try:
            loose = read_loosely(path, columns=columns, separator=separator)
        except ConllError as error:
            findings.add("unreadable", error.path, error.line, error.message)
            continue
        except OSError as error:
            findings.add("unreadable", str(path), None, error.strerror or str(error))
            continue
        file = annotate(loose, scheme)
        check_file(file, limits, findings)
        files.append(file)
    _check_between(files, findings)
    _check_labels(files, limits, findings)
    return Checked(files, findings)


def label_counts(file: Annotated) -> Counter[str]:
    """How many entities each label has."""
    return Counter(span.label for s in file.sentences for span in s.spans or ())


def _check_between(files: list[Annotated], findings: Findings) -> None:
    seen: dict[tuple[str, ...], str] = {}
    schemes = [file.scheme for file in files if file.scheme and label_counts(file)]
    for file in files:
        path = file.loose.path
        if file.scheme and label_counts(file) and file.scheme is not schemes[0]:
            message = f"{file.scheme} here, {schemes[0]} in the first"
            findings.add("other-scheme", path, file.sentences[0].line, message)
        for sentence in file.sentences:
            if sentence.tokens in seen:
                message = f"as in {seen[sentence.tokens]}: {excerpt(sentence.tokens)}"
                findings.add("duplicate-between", path, sentence.line, message)
        for sentence in file.sentences:
            seen.setdefault(sentence.tokens, f"{path}:{sentence.line}")


def _check_labels(files: list[Annotated], limits: Limits, findings: Findings) -> None:
    counts = [label_counts(file) for file in files]
    everywhere = sorted(set().union(*counts)) if counts else []
    for file, tally in zip(files, counts, strict=True):
        if not tally and file.scheme is None:
            continue  # its entities could not be read at all: told already
        for label in everywhere:
            if label not in tally:
                places = [_first(other, label) for other in files if other is not file]
                where = next(place for place in places if place)
                findings.add("missing-label", file.loose.path, None, f"no {label} (see {where})")
    for label, count in sorted(counts[0].items()) if counts else []:
        if count < limits.rare:
            line = int(str(_first(files[0], label)).rpartition(":")[2])
            findings.add("rare-label", files[0].loose.path, line, f"{label}: {count} entities")


def _first(file: Annotated, label: str) -> str | None:
    """Where a label occurs first."""
    for block, sentence in zip(file.loose.blocks, file.sentences, strict=True):
        for span in sentence.spans or ():
            if span.label == label:
                return f"{file.loose.path}:{block.lines[span.start]}"
    return None

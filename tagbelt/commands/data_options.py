"""What the options of `tagbelt data` say, and one message where they say nothing useful."""

from pathlib import Path
from typing import Literal

from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.tolerant import Annotated, annotate, read_loosely
from tagbelt.errors import ConllError, DataError


def read_file(path: Path, columns: str | None, separator: str, scheme: str | None) -> Annotated:
    """Read a file. Raises ConllError if its table or its scheme is not clear."""
    loose = read_loosely(path, columns=column_names(columns), separator=separator_of(separator))
    file = annotate(loose, tag_scheme(scheme))
    for fault in (*loose.rows, *([file.doubt] if file.doubt else ())):
        raise ConllError(loose.path, fault.line, fault.message)
    return file


def column_names(names: str | None) -> list[str] | None:
    """Read --columns. Raises DataError if token and tag are not named once each."""
    if names is None:
        return None
    listed = names.split(",")
    if listed.count("token") != 1 or listed.count("tag") != 1:
        raise DataError(f"--columns names token once and tag once, not {names!r}")
    return listed


def tag_scheme(name: str | None) -> Scheme | None:
    """Read --scheme. Raises DataError for one that there is not."""
    if name is None:
        return None
    try:
        return Scheme(name.upper())
    except ValueError:
        known = ", ".join(Scheme)
        raise DataError(f"a tag scheme is one of {known}, not {name!r}") from None


def separator_of(name: str) -> str | None:
    """Read --separator. Raises DataError for one that there is not."""
    known = {"guess": "guess", "whitespace": None, "tab": "\t", "space": " "}
    if name not in known:
        raise DataError(f"--separator is one of {', '.join(known)}, not {name!r}")
    return known[name]


def shares_of(parts: str) -> list[float]:
    """Read --parts. Raises DataError for what is no number."""
    try:
        return [float(part) for part in parts.split(",")]
    except ValueError:
        raise DataError(f"--parts is numbers with commas between, not {parts!r}") from None


def part_names(names: str | None, count: int) -> list[str]:
    """Read --names, or take the usual ones. Raises DataError if they are no names of files."""
    usual = {2: ["train", "test"], 3: ["train", "dev", "test"]}
    listed = names.split(",") if names else usual.get(count, [f"part{n}" for n in range(count)])
    if len(set(listed)) != count or not all(n and Path(n).name == n for n in listed):
        raise DataError(f"--names: {count} different names of files, not {names!r}")
    return listed


def refuse_existing(targets: list[Path]) -> None:
    """Raise DataError for the first file that is there."""
    for target in targets:
        if target.exists():
            raise DataError(f"{target} is there already; say another folder with --out")


def written_separator(name: str) -> Literal[" ", "\t"]:
    """Read --to-separator. Raises DataError for one that there is not."""
    if name not in ("tab", "space"):
        raise DataError(f"--to-separator is tab or space, not {name!r}")
    return "\t" if name == "tab" else " "


def kept_columns(columns: str | None, wanted: str | None) -> tuple[int, ...] | None:
    """The places of the columns to write. Raises DataError for one that is not named."""
    if wanted is None:
        return None
    names = (columns or "").split(",")
    unknown = [name for name in wanted.split(",") if names.count(name) != 1]
    if unknown:
        raise DataError(f"--to-columns: --columns does not name {unknown[0]!r} once")
    return tuple(names.index(name) for name in wanted.split(","))

"""Read the options of `tagbelt data`: a value for each, or one message of what is wrong."""

from pathlib import Path

from tagbelt.data.conll.reading import AnnotatedFile, annotate, read_tolerantly, refuse_faults
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.styles import TagStyle
from tagbelt.data.types import SEPARATORS, Separator
from tagbelt.errors import DataError


def read_file(
    path: Path, columns: str | None, separator: str, scheme: str | None, tag_style: TagStyle
) -> AnnotatedFile:
    """Read a file. Raises ConllError if its table or its scheme is not clear."""
    raw = read_tolerantly(
        path,
        columns=column_names(columns),
        separator=separator_of(separator),
        tag_style=tag_style,
    )
    file = annotate(raw, tag_scheme(scheme))
    refuse_faults(raw.path, [f for f in file.faults if f.kind in ("wrong-columns", "scheme")])
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
    known = {"guess": "guess", **SEPARATORS}
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


def refuse_source(target: Path, source: Path) -> None:
    """Raise DataError if a conversion would write over what it reads."""
    pair = (
        [source]
        if source.suffix not in (".txt", ".ann")
        else [source.with_suffix(".txt"), source.with_suffix(".ann")]
    )
    if target.exists() and any(read.exists() and target.samefile(read) for read in pair):
        raise DataError(f"{target}: is the source itself; say another file to write")


def written_separator(name: str) -> Separator:
    """Read --to-separator. Raises DataError for one that there is not."""
    separator = SEPARATORS.get(name)
    if separator is None:
        raise DataError(f"--to-separator is tab or space, not {name!r}")
    return separator


def mirror_of(name: str | None) -> str | Path | None:
    """Read --from: an address or a folder. Raises DataError for what is neither."""
    if name is None or name.startswith(("http://", "https://")):
        return name
    if not Path(name).is_dir():
        raise DataError(f"--from {name}: neither a folder nor an http address")
    return Path(name)


def kept_columns(columns: str | None, wanted: str | None) -> tuple[int, ...] | None:
    """Read --to-columns: the indices of the columns to write.

    Raises DataError for one that is not named.
    """
    if wanted is None:
        return None
    names = (columns or "").split(",")
    unknown = [name for name in wanted.split(",") if names.count(name) != 1]
    if unknown:
        raise DataError(f"--to-columns: --columns does not name {unknown[0]!r} once")
    return tuple(names.index(name) for name in wanted.split(","))

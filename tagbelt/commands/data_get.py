"""What `tagbelt data get` shows while it fetches."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tagbelt.data.catalogue.entries import Entry


def catalogue_report(catalogue: "Mapping[str, Entry]") -> str:
    """A line for each set."""
    width = max(map(len, catalogue), default=0)
    lines = []
    for name, entry in catalogue.items():
        size = sum(file.size for file in entry.files)
        how = f"{size / 1e6:.1f} MB" if entry.files else "not to be fetched"
        lines.append(f"{name:{width}}  {entry.language}  {how:>17}  {entry.title}")
    return "\n".join(lines)


def entry_report(name: str, entry: "Entry") -> str:
    """What a person should know of a set before it is fetched."""
    rows = [
        ("", entry.title),
        ("licence", entry.licence),
        ("home", entry.home),
        ("language", entry.language),
        ("columns", f"{','.join(entry.columns)} (separator: {entry.separator})"),
        ("files", ", ".join(f"{f.name} ({f.size / 1e6:.1f} MB)" for f in entry.files)),
        ("note", entry.notes),
    ]
    return "\n".join([name, *(f"  {key:8}  {value}" for key, value in rows if value)])


def fetch_all(name: str, entry: "Entry", folder: Path, mirror: str | None) -> None:
    """Fetch all files of a set; how far it is goes to standard error, if that is a terminal."""
    from tagbelt.data.catalogue.download import fetch

    source = _source(mirror)
    for file in entry.files:
        fetched = fetch(file, folder, mirror=source, entry=name, progress=_progress)
        done = "fetched" if fetched else "there already"
        typer.echo(f"{folder / file.name}: {done}, {file.size} bytes, checked")


def _source(mirror: str | None) -> str | Path | None:
    from tagbelt.errors import DataError

    if mirror is None or mirror.startswith(("http://", "https://")):
        return mirror
    if not Path(mirror).is_dir():
        raise DataError(f"--from {mirror}: neither a folder nor an http address")
    return Path(mirror)


def _progress(name: str, have: int, size: int) -> None:
    if sys.stderr.isatty():
        end = "\r" if have < size else "\n"
        sys.stderr.write(f"\r{name}: {have / max(size, 1):4.0%} of {size / 1e6:.1f} MB{end}")
        sys.stderr.flush()

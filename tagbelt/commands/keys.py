"""`tagbelt keys`: makes API keys for the service, and lists those of a file."""

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagbelt.commands.failures import told

if TYPE_CHECKING:
    from tagbelt.service.access.keyfile import Key

app = typer.Typer(
    help="Make and list the API keys that `tagbelt serve` asks for.", no_args_is_help=True
)

RANDOM_BYTES = 32


class KeyScope(StrEnum):
    """A permission of a key; admin includes tag."""

    tag = "tag"
    admin = "admin"


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who the key is for; it is logged.")],
    scope: Annotated[
        list[KeyScope] | None, typer.Option(help="What it may do; admin includes tag.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="The key file to add it to; made if there is none.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.0, help="Requests a second; the server's unless given.")
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day, in UTC, on which it is refused."),
    ] = None,
) -> None:
    """Make a key and show it, this once: only its hash is kept.

    With --file the key alone is written to standard output. Without, the entry for a key file is,
    and the key is told on standard error.
    """
    with told("keys new"):
        from tagbelt.errors import KeysError
        from tagbelt.service.access.keyfile import PREFIX
        from tagbelt.service.access.keys import digest_of

        if expires is not None and expires.replace(tzinfo=UTC) <= datetime.now(UTC):
            raise KeysError(f"--expires {expires:%Y-%m-%d}: is past; the key would be refused")
        key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        digest = digest_of(key.encode()).hex()
        scopes = [str(s) for s in scope or [KeyScope.tag]]
        entry = _entry(name, digest, scopes, rate, expires)
        if file is not None:
            _append(file, entry)
            typer.echo(f"Added to {file}. The key, shown this once:", err=True)
            typer.echo(key)
            return
        typer.echo(entry, nl=False)
        typer.echo(f"The key, shown this once: {key}", err=True)
        if rate is None and expires is None:
            inline = f"{name}:{'+'.join(scopes)}:{digest}"
            typer.echo(f"Without a file: TAGBELT_API_KEYS={inline}", err=True)


@app.command("list")
def list_keys(file: Annotated[Path, typer.Argument(help="A key file.")]) -> None:
    """Check a key file and list its keys: name, scopes, rate, expiry."""
    with told("keys list"):
        from tagbelt.service.access.keyfile import read_file

        for row in _rows(read_file(file)):
            typer.echo(row)


def _rows(keys: "Sequence[Key]") -> Iterator[str]:
    width = max(len(key.name) for key in keys)
    for key in keys:
        scope = KeyScope.admin if KeyScope.admin.value in key.scopes else KeyScope.tag
        rate = f"{key.rate.per_second:g}/s" if key.rate else "-"
        expires = f"{key.expires:%Y-%m-%d %H:%M %Z}" if key.expires else "-"
        expired = "  expired" if key.expires and key.expires <= datetime.now(UTC) else ""
        yield f"{key.name:{width}}  {scope:5}  {rate:>8}  {expires}{expired}"


def _entry(
    name: str, digest: str, scopes: Sequence[str], rate: float | None, expires: datetime | None
) -> str:
    """A key as TOML. Raises KeysError for what a key file may not hold."""
    from tagbelt.errors import KeysError
    from tagbelt.service.access.keyfile import key_name, parse_toml

    try:
        key_name(name)
    except ValueError as error:
        raise KeysError(f"the name {error}") from None
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    lines = ["[[key]]", f'name = "{name}"', f'sha256 = "{digest}"', f"scopes = [{listed}]"]
    if rate is not None:
        lines.append(f"rate_per_second = {rate!r}")
    if expires is not None:
        lines.append(f"expires = {expires:%Y-%m-%d}")
    entry = "\n".join(lines) + "\n"
    parse_toml(entry, "the key")
    return entry


def _append(file: Path, entry: str) -> None:
    """Adds an entry to a key file that is right, and stays so with it."""
    from tagbelt.service.access.keyfile import parse_toml, read_text

    before = read_text(file) if file.exists() else ""
    if before:
        entry = ("\n" if before.endswith("\n") else "\n\n") + entry
    parse_toml(before + entry, str(file))
    # For its owner alone; the mode of a file that is there already stays.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as out:
        out.write(entry)

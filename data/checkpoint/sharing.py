"""Checkpoints on their way from one machine to another: as a wheel, over HTTP, through a hub.

What arrives is checked against its `SHA256SUMS` before it takes its place.
"""

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tagbelt.data.checkpoint.artifact import (
    CARD,
    CONFIG,
    SUMS,
    Header,
    replaced,
    verify_sums,
)
from tagbelt.data.checkpoint.finding import GROUP, PACKAGES, find_checkpoint
from tagbelt.data.download import Progress, fetch_file, fetch_text
from tagbelt.errors import CheckpointError, DataError, InputError

_REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")
# A public version of Python's packages (PEP 440), without epochs.
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?")
_SUM = re.compile(r"([0-9a-f]{64})  ([^/\\\s.][^/\\\s]*)")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_wheel(checkpoint: str | Path, folder: Path, *, version: str | None = None) -> Path:
    """Write a checkpoint as a wheel, `tagbelt_model_NAME-VERSION-py3-none-any.whl`; return it.

    Where it is installed `Tagger.load(NAME)` finds it, and `tagbelt serve` serves it. `version` is
    the checkpoint's unless given. The same checkpoint gives the same bytes.

    Raises:
        CheckpointError: none, or a damaged one.
        InputError: a version that Python's packages cannot have.
    """
    directory = find_checkpoint(checkpoint)
    header = Header.read(directory)
    verify_sums(directory)
    chosen = header.version if version is None else version
    if not _VERSION.fullmatch(chosen):
        raise InputError(
            f"version {chosen!r} is none that a Python package can have: say --version, such as 1.0"
        )
    module = re.sub(r"\W", "_", header.name)
    distribution = "tagbelt_model_" + re.sub(r"[^A-Za-z0-9]+", "_", header.name).lower()
    info = f"{distribution}-{chosen}.dist-info"
    members = {
        f"{PACKAGES}/{module}/{path.name}": path.read_bytes()
        for path in _files(directory)
        if path.is_file()
    }
    members |= {
        f"{info}/METADATA": _metadata(directory, header, distribution, chosen),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tagbelt\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{GROUP}]\n{header.name} = {PACKAGES}.{module}\n".encode(),
    }
    record = f"{info}/RECORD"
    rows = [f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in members.items()]
    members[record] = ("".join(rows) + f"{record},,\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{distribution}-{chosen}-py3-none-any.whl"
    fresh = wheel.with_name(f".{wheel.name}.new")
    try:
        with ZipFile(fresh, "w", ZIP_DEFLATED) as archive:
            for name, body in members.items():
                member = ZipInfo(name, _EPOCH)
                member.external_attr = 0o644 << 16
                archive.writestr(member, body, ZIP_DEFLATED)
        fresh.replace(wheel)
    finally:
        fresh.unlink(missing_ok=True)
    return wheel


def pull(source: str, target: Path | None = None, progress: Progress = lambda *_: None) -> Path:
    """Bring a checkpoint here; return its directory, which is `target` or the source's last part.

    `source` is a directory, an http address under which a checkpoint's files lie, or `OWNER/NAME`
    on the Hugging Face hub, with `@REVISION` if another than the newest is meant.

    Raises:
        CheckpointError: what has come is no checkpoint, or not what its sums say.
        DataError: it cannot be had.
        InputError: `target` is there and is no checkpoint, or `source` is none of the three.
        MissingPackageError: `huggingface_hub` is needed and not installed.
    """
    repository = _REPOSITORY.fullmatch(source)
    is_address = source.startswith(("http://", "https://"))
    if not (repository or is_address or Path(source).is_dir()):
        raise InputError(f"{source}: no directory, no http address, and no OWNER/NAME of the hub")
    named = repository[1] if repository and not Path(source).is_dir() else source
    last = named.rstrip("/").rpartition("/")[2]
    directory = Path(last) if target is None else target
    if directory.exists() and not (directory / CONFIG).is_file():
        raise InputError(f"{directory}: is there and is no checkpoint; name another with --out")
    with replaced(directory) as fresh:
        if is_address:
            _fetch_all(source.rstrip("/"), fresh, progress)
        elif Path(source).is_dir():
            _copy(find_checkpoint(Path(source)), fresh)
        else:
            assert repository is not None
            _from_hub(repository[1], repository[2], fresh)
        Header.read(fresh)
        verify_sums(fresh)
    return directory


def push(checkpoint: str | Path, target: str, *, private: bool = False) -> str:
    """Bring a checkpoint to `OWNER/NAME` of the Hugging Face hub, or to a directory.

    Returns where it is. A directory is named by a path that does not look like OWNER/NAME, such as
    ./models/en. Who one is on the hub is what `huggingface_hub` has: HF_TOKEN or `hf auth login`.

    Raises:
        CheckpointError: none, or a damaged one.
        DataError: the hub did not take it.
        InputError: `target` is there and is no checkpoint.
        MissingPackageError: `huggingface_hub` is needed and not installed.
    """
    directory = find_checkpoint(checkpoint)
    header = Header.read(directory)
    verify_sums(directory)
    if not _REPOSITORY.fullmatch(target) or Path(target).is_dir():
        return str(pull(str(directory), Path(target)))
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi(library_name="tagbelt")
    message = f"{header.name} {header.version}"
    try:
        hub.create_repo(target, private=private, exist_ok=True)
        names = [path.name for path in _files(directory)]
        hub.upload_folder(
            repo_id=target, folder_path=directory, allow_patterns=names, commit_message=message
        )
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise DataError(f"{target}: {_first_line(error)}") from error
    return f"{hub.endpoint}/{target}"


def _files(directory: Path) -> list[Path]:
    """The files that belong to a verified checkpoint."""
    names = [name for _, name in _sums((directory / SUMS).read_text(encoding="utf-8"), directory)]
    return [directory / name for name in (*names, SUMS) if (directory / name).is_file()]


def _sums(text: str, place: object) -> Iterator[tuple[str, str]]:
    """Digest and name of each line. Raises CheckpointError: names of other folders above all."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _SUM.fullmatch(line)
        if found is None:
            raise CheckpointError(f"{place}/{SUMS}:{number}: no SHA-256 and name of a file")
        yield found[1], found[2]


def _copy(directory: Path, fresh: Path) -> None:
    Header.read(directory)
    verify_sums(directory)
    for path in _files(directory):
        shutil.copyfile(path, fresh / path.name)


def _fetch_all(address: str, fresh: Path, progress: Progress) -> None:
    sums = fetch_text(f"{address}/{SUMS}")
    (fresh / SUMS).write_text(sums, encoding="utf-8")
    for digest, name in _sums(sums, address):
        fetch_file(f"{address}/{name}", fresh / name, sha256=digest, progress=progress)


def _from_hub(repository: str, revision: str | None, fresh: Path) -> None:
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(repository, revision=revision, local_dir=fresh)
    except (HfHubHTTPError, HTTPError, LocalEntryNotFoundError) as error:
        raise DataError(f"{repository}: {_first_line(error)}") from error
    _keep_own(fresh)


def _keep_own(fresh: Path) -> None:
    """Remove what is no file of the checkpoint: a hub's records, what else lies in a repository."""
    if not (fresh / SUMS).is_file():
        raise CheckpointError(f"{fresh}: no checkpoint has come: {SUMS} is missing")
    own = set(_files(fresh))
    for path in fresh.iterdir():
        if path not in own:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _metadata(directory: Path, header: Header, distribution: str, version: str) -> bytes:
    card = directory / CARD
    body = card.read_text(encoding="utf-8") if card.is_file() else header.description
    summary = header.description.split("\n")[0] or f"A model of Tagbelt: {header.name}"
    head = {
        "Metadata-Version": "2.1",
        "Name": distribution.replace("_", "-"),
        "Version": version,
        "Summary": summary,
        "License": header.licence.replace("\n", " ") or "as its card says",
        "Requires-Python": ">=3.11",
        "Requires-Dist": "tagbelt",
        "Description-Content-Type": "text/markdown",
    }
    lines = [f"{key}: {value}" for key, value in head.items()]
    return ("\n".join(lines) + f"\n\n{body}\n").encode()


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")

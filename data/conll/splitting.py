"""Split a file into parts by document, the same way each time, no sentence in two of them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tagbelt.data.conll.reading import RawFile, refuse_faults
from tagbelt.errors import DataError

# A sentence that keeps documents together when it is in both; shorter ones are dates and titles.
_TELLING_LENGTHS = (1, 6, 12, 25)


@dataclass(frozen=True, slots=True)
class Piece:
    """A document, or a sentence of a file that has none: its lines, from one to before another.

    `sentences` are its tokens, as keys to find repetitions by.
    """

    start: int
    end: int
    sentences: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """The pieces of each part, in the order of the file.

    `repeated` counts, for each part, sentences that an earlier part has too.
    """

    parts: tuple[tuple[Piece, ...], ...]
    by_document: bool
    repeated: tuple[int, ...]


def split_file(raw: RawFile, shares: Sequence[float], seed: int) -> Split:
    """Choose a part for each document, or for each sentence if the file tells no documents.

    Parts get about their share of the sentences. Pieces with a sentence in common go to one part
    as far as the shares allow: for documents it may be that only long sentences count, or none.

    Raises ConllError for rows that cannot be read and DataError for shares that make no sense.
    """
    if len(shares) < 2 or not all(0 < share < float("inf") for share in shares):
        raise DataError(f"parts are two or more numbers above 0, not {list(shares)}")
    refuse_faults(raw.path, raw.faults)
    if not raw.blocks:
        raise DataError(f"{raw.path}: holds no sentence to split")
    pieces, by_document = _pieces(raw)
    total = sum(len(piece.sentences) for piece in pieces)
    targets = [share / sum(shares) * total for share in shares]
    groups = _grouped(pieces, max(targets), by_document=by_document)
    parts = _dealt(pieces, groups, targets, seed)
    if not all(parts):
        raise DataError(f"{raw.path}: too few documents or sentences for {len(shares)} parts")
    return Split(parts, by_document, _repeated(parts))


def piece_text(raw: RawFile, pieces: Iterable[Piece]) -> str:
    """The lines of pieces as they stand in the file, a blank line behind each."""
    texts = ("\n".join(raw.lines[piece.start : piece.end]).rstrip("\n") for piece in pieces)
    return "".join(f"{text}\n\n" for text in texts)


def _pieces(raw: RawFile) -> tuple[list[Piece], bool]:
    marks = [n for n, line in enumerate(raw.lines) if _opens(line, raw)]
    first = raw.blocks[0].line - 1 if raw.blocks else 0
    if marks:
        bounds = sorted({*marks, *([0] if first < marks[0] else [])})
    else:
        bounds = [_above(raw, block.line - 1) for block in raw.blocks]
    ends = [*bounds[1:], len(raw.lines)]
    sentences: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    starts = iter([*bounds[1:], len(raw.lines) + 1])
    upcoming = next(starts, 0)
    number = 0
    for block in raw.blocks:
        while block.line - 1 >= upcoming:
            upcoming = next(starts)
            number += 1
        sentences[number].append(tuple(block.tokens))
    pieces = [
        Piece(start, end, tuple(sentences[n]))
        for n, (start, end) in enumerate(zip(bounds, ends, strict=True))
    ]
    return [piece for piece in pieces if piece.sentences], bool(marks)


def _opens(line: str, raw: RawFile) -> bool:
    return raw.layout.opens_document(line, raw.layout.split(line))


def _above(raw: RawFile, line: int) -> int:
    """Where a sentence begins, with the comments right above it."""
    while line > 0 and raw.layout.split(raw.lines[line - 1]):
        line -= 1
    return line


def _grouped(pieces: list[Piece], largest: float, *, by_document: bool) -> list[list[int]]:
    """Pieces that share a sentence, together; by long sentences only if that is too many."""
    for length in _TELLING_LENGTHS if by_document else _TELLING_LENGTHS[:1]:
        groups = _connected(pieces, length)
        sizes = [sum(len(pieces[n].sentences) for n in group) for group in groups]
        if not by_document or max(sizes, default=0) <= largest / 2:
            return groups
    return [[n] for n in range(len(pieces))]


def _connected(pieces: list[Piece], length: int) -> list[list[int]]:
    parent = list(range(len(pieces)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    owner: dict[tuple[str, ...], int] = {}
    for number, piece in enumerate(pieces):
        for tokens in piece.sentences:
            if len(tokens) >= length:
                a, b = sorted((root(owner.setdefault(tokens, number)), root(number)))
                parent[b] = a
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number in range(len(pieces)):
        groups[root(number)].append(number)
    return list(groups.values())


def _dealt(
    pieces: list[Piece], groups: list[list[int]], targets: list[float], seed: int
) -> tuple[tuple[Piece, ...], ...]:
    """Give each group, in an order that the seed makes, to the part that lacks most.

    The order comes from a hash: it is the same on every platform and with every Python.
    """
    sizes = {group[0]: sum(len(pieces[n].sentences) for n in group) for group in groups}

    def key(group: list[int]) -> bytes:
        return hashlib.sha256(f"{seed} {group[0]}".encode()).digest()

    # What is bigger than the smallest part comes first, while there is room for it.
    big = min(targets)
    order = sorted(groups, key=lambda group: (sizes[group[0]] < big, key(group)))
    lacking = list(targets)
    chosen: list[list[int]] = [[] for _ in targets]
    for group in order:
        part = max(range(len(targets)), key=lambda n: (lacking[n] / targets[n], -n))
        if sizes[group[0]] > lacking[part]:
            part = max(range(len(targets)), key=lambda n: (lacking[n], -n))
        lacking[part] -= sizes[group[0]]
        chosen[part].extend(group)
    return tuple(tuple(pieces[n] for n in sorted(numbers)) for numbers in chosen)


def _repeated(parts: tuple[tuple[Piece, ...], ...]) -> tuple[int, ...]:
    seen: set[tuple[str, ...]] = set()
    counts = []
    for part in parts:
        tally = Counter(tokens for piece in part for tokens in piece.sentences)
        counts.append(sum(n for tokens, n in tally.items() if tokens in seen))
        seen.update(tally)
    return tuple(counts)

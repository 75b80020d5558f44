"""Recognising the scheme of a file from its tags, without a guess that could be wrong silently."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from tagbelt.data.conll.schemes import Scheme, parse_tags, prefixes, split_tag
from tagbelt.errors import SchemeError, TagError

# To choose between schemes, one must explain the file this many times better than the other.
_CLEARLY = 10


def detect_scheme(sequences: Iterable[Sequence[str]]) -> Scheme:
    """Recognise the scheme of a file from the tags of all its sentences.

    The prefixes decide, and between IOB1 and IOB2 how entities begin; a few invalid tags do not
    change the verdict. Where several schemes explain all tags, they also read the same entities:
    without any entity the answer is IOB2, with nothing but I- it is IO, and BIOES for entities
    of at most two tokens in B-, E- and S-.

    Raises SchemeError if that leaves a doubt, naming what speaks for each scheme, and TagError
    for a tag of no scheme.
    """
    sequences = list(sequences)
    tally = _prefix_tally(sequences)
    candidates = _candidates(set(tally))
    if not candidates:
        counts = ", ".join(f"{prefix}- ({count})" for prefix, count in sorted(tally.items()))
        raise SchemeError(
            f"no scheme has all the prefixes found: {counts}; state it: --scheme or `scheme`"
        )
    # Stable: of two schemes that explain equally well the earlier candidate is kept.
    best, *others = sorted(
        (_survey(sequences, scheme) for scheme in candidates), key=lambda fit: fit.misfits
    )
    rivalled = any(fit.misfits < _CLEARLY * best.misfits for fit in others)
    if rivalled or best.misfits > best.entities / 2:
        evidence = "; ".join(map(str, (best, *others)))
        raise SchemeError(
            f"the tag scheme cannot be told, state it (--scheme, `scheme`): {evidence}", best.first
        )
    return best.scheme


class _Fit(NamedTuple):
    """How well a scheme explains all tags of a file."""

    scheme: Scheme
    entities: int
    misfits: int
    first: TagError | None

    def __str__(self) -> str:
        evidence = f"misfits with {self.scheme}: {self.misfits} in {self.entities} entities"
        return evidence if self.first is None else f"{evidence} (first {self.first})"


def _prefix_tally(sequences: Sequence[Sequence[str]]) -> Counter[str]:
    """How often each prefix occurs."""
    tally: Counter[str] = Counter()
    for tag, count in Counter(chain.from_iterable(sequences)).items():
        try:
            prefix, label = split_tag(tag)
        except ValueError as fault:
            number, tags = next(pair for pair in enumerate(sequences) if tag in pair[1])
            error = TagError(tags.index(tag), tag, str(fault))
            error.sequence = number
            raise error from None
        if label:
            tally[prefix] += count
    return tally


def _candidates(used: set[str]) -> list[Scheme]:
    """The schemes that have all the prefixes used, those to be preferred first."""
    if used <= {"B", "I"}:
        family = [Scheme.IOB2, Scheme.IO, Scheme.IOB1]
        return [scheme for scheme in family if used <= set(prefixes(scheme))]
    # With neither I- nor M-, BIOES and BMES are the same; otherwise one at most has all of them.
    family = [Scheme.BIOES, Scheme.BMES, Scheme.BILUO]
    return [scheme for scheme in family if used <= set(prefixes(scheme))][:1]


def _survey(sequences: Sequence[Sequence[str]], scheme: Scheme) -> _Fit:
    entities = misfits = 0
    first: TagError | None = None
    for number, tags in enumerate(sequences):
        spans, problems = parse_tags(tags, scheme)
        entities += len(spans)
        if problems and first is None:
            first = problems[0]
            first.sequence = number
        misfits += len(problems)
    return _Fit(scheme, entities, misfits, first)

"""The input of a tagger: refused with its place and the remedy, or cut into tokens."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Tokens, Unit

Occlude = Literal["all"] | Sequence[int]
"""Numbers of entities of a text, from 0, or all of them: see `Tagger.inspect`."""

# Sentences that are looked at in one pass.
_TOGETHER = 1024


@dataclass(frozen=True, slots=True)
class TokenizedItem:
    """One text or token list, cut into sentences, and what is wanted of it.

    `text` is None for a token list, which is one sentence whose `starts` are empty. `tokens` says
    how many tokens there are. `marginals` and `paths`: see `Tagger.tokenize`; `inspect` is None, or
    the entities of which `Tagger.inspect` tells what they rest on.
    """

    text: str | None
    sentences: Sequence[Tokens]
    tokens: int
    marginals: bool = False
    paths: int = 0
    inspect: Occlude | None = None

    @classmethod
    def of(
        cls, item: str | Sequence[str], unit: Unit, *, marginals: bool = False, paths: int = 0
    ) -> "TokenizedItem":
        """Tokenize an item that was checked before."""
        if isinstance(item, str):
            sentences = tokenize(item, unit)
            tokens = sum([len(sentence.words) for sentence in sentences])
            return cls(item, sentences, tokens, marginals, paths)
        return cls(None, (Tokens(tuple(item), ()),), len(item), marginals, paths)

    def place(self, sentence: Tokens, first: int, end: int) -> tuple[int, int, str]:
        """Return start, end and text of the tokens from `first` to `end` of a sentence."""
        if self.text is None:
            return first, end, " ".join(sentence.words[first:end])
        start = sentence.starts[first]
        stop = sentence.starts[end - 1] + len(sentence.words[end - 1])
        return start, stop, self.text[start:stop]


def checked_texts(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, one by one.

    Raises TypeError for a bare str in place of several texts and for a text that is not a str,
    ValueError for a lone surrogate (it has no UTF-8 form, so offsets in it mean nothing).
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"expected a list of texts, got one {_kind(texts)}: pass [text]")
    return (_checked_text(text, f"text {index}") for index, text in enumerate(texts))


def check_item(item: object) -> None:
    """Raise TypeError or ValueError, as for several, unless this is one text or list of tokens."""
    if isinstance(item, str):
        _checked_text(item, "the text")
    elif isinstance(item, bytes) or not isinstance(item, Sequence):
        raise TypeError(f"expected a text or a list of tokens, got {_kind(item)}")
    else:
        _check_tokens(item, "token")


def _checked_text(text: object, name: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name} is not a str but {_kind(text)}")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            raise ValueError(
                f"{name} has the lone surrogate U+{code:04X} at offset {error.start}; "
                "decode the input with errors='replace' first"
            ) from None
    return text


def check_sentences(sentences: Sequence[Sequence[str]]) -> None:
    """Raise TypeError or ValueError, as for texts, unless these are lists of tokens.

    A token may be any string, "" and white space included: the caller decided on it.
    """
    if isinstance(sentences, str | bytes):
        raise TypeError("expected a list of token lists, got one string: pass [[token, ...], ...]")
    rest = iter(sentences)
    begin = 0
    while part := list(islice(rest, _TOGETHER)):
        if not _are_lists_of_tokens(part):
            for index, sentence in enumerate(part, start=begin):
                _check_sentence(sentence, index)
        begin += len(part)


def _are_lists_of_tokens(part: list[Sequence[str]]) -> bool:
    """Whether all is surely well: a few passes in C, since such input is the common one."""
    if not {list, tuple}.issuperset(map(type, part)):
        return False
    try:
        # High and low halves from two tokens do not join up: Python never pairs surrogates.
        text = "".join(chain.from_iterable(part))
        if not text.isascii():
            text.encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def _check_sentence(sentence: object, index: int) -> None:
    if isinstance(sentence, str | bytes):
        raise TypeError(f"sentence {index} is one string: pass its tokens, or use tag()")
    if not isinstance(sentence, Sequence):
        raise TypeError(f"sentence {index} is not a list of tokens but {_kind(sentence)}")
    _check_tokens(sentence, f"sentence {index}, token")


def _check_tokens(tokens: Sequence[object], name: str) -> None:
    for place, token in enumerate(tokens):
        _checked_text(token, f"{name} {place}")


def _kind(value: object) -> str:
    return type(value).__name__

"""Features for CRFsuite: words, suffixes, shapes and neighbours, in two forms of equal content."""

from typing import Any

Dicts = list[dict[str, Any]]


def sentence_features(words: list[str]) -> Dicts:
    """Features of every token as dicts, made token by token, as tutorials do it."""
    rows = []
    last = len(words) - 1
    for index, word in enumerate(words):
        row = {
            "bias": 1.0,
            **_word_features(word, ""),
            "suffix3": word[-3:],
            "suffix2": word[-2:],
            "digit": word.isdigit(),
        }
        if index:
            row.update(_word_features(words[index - 1], "-1:"))
        else:
            row["first"] = True
        if index < last:
            row.update(_word_features(words[index + 1], "+1:"))
        else:
            row["last"] = True
        rows.append(row)
    return rows


def _word_features(word: str, place: str) -> dict[str, Any]:
    return {
        f"{place}lower": word.lower(),
        f"{place}upper": word.isupper(),
        f"{place}title": word.istitle(),
    }


def lean_features(words: list[str]) -> list[list[str]]:
    """The same as lists of strings, each word's made once: CRFsuite's cheapest input.

    A feature that is false is left out; in a dict it counts 0, which is the same.
    """
    own, left, right = [], [], []
    for word in words:
        lower = "lower:" + word.lower()
        flags = (["upper"] if word.isupper() else []) + (["title"] if word.istitle() else [])
        digit = ["digit"] if word.isdigit() else []
        own.append(["bias", lower, *flags, "suffix3:" + word[-3:], "suffix2:" + word[-2:], *digit])
        left.append(["-1:" + lower, *["-1:" + flag for flag in flags]])
        right.append(["+1:" + lower, *["+1:" + flag for flag in flags]])
    before = [["first"], *left[:-1]]
    after = [*right[1:], ["last"]]
    return [a + b + c for a, b, c in zip(own, before, after, strict=True)]

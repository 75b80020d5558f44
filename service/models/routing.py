"""Script and language of a text: choose between models, and tell when it is not the model's."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

LOOKED_AT = 2000
"""Characters at the start of an item that decide."""

_CHINESE = frozenset({"zh", "cmn", "yue"})

_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# Japanese and Korean are written with Han too, but never long without these.
_KANA_OR_HANGUL = re.compile("[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d\u1100-\u11ff\uac00-\ud7af]")
_NOT_A_LETTER = re.compile(r"[\W\d_]")


def is_chinese(item: object) -> bool:
    """Whether most letters of a text, or of a token list, are Han, and none kana or hangul.

    Only the first 2,000 characters are looked at. False for what is neither.
    """
    start = _start(item)
    if _KANA_OR_HANGUL.search(start):
        return False
    han = len(_HAN.findall(start))
    return han > 0 and 2 * han > len(_NOT_A_LETTER.sub("", start))


def speaks_chinese(language: str) -> bool:
    """Whether a model's language tag, such as zh or zh-Hans, says Chinese."""
    return re.split("[-_]", language.lower(), maxsplit=1)[0] in _CHINESE


# Scripts that one language or several are written in, by ranges of their letters.
_SCRIPTS = {
    "Latin": "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Armenian": "\u0530-\u058f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefe",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "Georgian": "\u10a0-\u10ff",
    "Kana": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "Hangul": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7af",
    "Han": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af",
}
_OF_SCRIPT = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
# The languages that are written in them; others are not judged.
_LANGUAGES = {
    "Latin": "af ca cs cy da de en es et eu fi fil fr ga gl hr hu id is it la lt lv ms mt nb nl nn "
    "no pl pt ro sk sl sq sv sw tl tr vi",
    "Greek": "el",
    "Cyrillic": "be bg mk ru uk",
    "Armenian": "hy",
    "Hebrew": "he",
    "Arabic": "ar fa ur",
    "Devanagari": "hi mr ne",
    "Thai": "th",
    "Georgian": "ka",
    "Kana": "ja",
    "Hangul": "ko",
    "Han": "zh cmn yue ja ko",
}


@lru_cache(maxsize=64)
def _scripts_of(language: str) -> list[str]:
    primary = re.split("[-_]", language.lower(), maxsplit=1)[0]
    return [script for script, languages in _LANGUAGES.items() if primary in languages.split()]


_LETTERS_THAT_DECIDE = 500

_WORD = re.compile(r"[^\W\d_]+")
# Words that are frequent in one language and rare in the others of its script.
_FREQUENT = {
    language: frozenset(words.split())
    for language, words in {
        "da": "og er det at af til ikke som på med var jeg blev eller efter",
        "de": "der die das und ist von den dem mit nicht ein eine im auf für sich des wurde",
        "en": "the of and to is was that for with his her from by it are at this",
        "es": "el los las del y en una por con se su para es al más fue como",
        "fi": "ja on ei että oli hän mutta kun ovat se joka tämä",
        "fr": "le les des et est une dans pour au du sur qui par il elle avec pas",
        "hu": "a az és hogy nem egy is volt meg csak ez",
        "it": "il di che della per gli dei nel è non sono alla con del una lo",
        "nl": "het een van en is dat op niet voor met zijn aan ook bij wordt",
        "no": "og er det av til ikke som på med var jeg ble eller etter",
        "pl": "i w na z się nie jest do że to od po przez był",
        "pt": "o os do da em uma para com não ao dos das um foi mais pela",
        "ro": "și în de la cu nu este pe din un că care a fost",
        "sv": "och är det att av till inte som på med var jag blev eller efter",
        "tr": "ve bir bu için ile da de olarak olan çok daha sonra",
        "bg": "и на в се за от с да е не по",
        "ru": "и в не на что он с как это по из был",
        "uk": "і в не на що він з як це та був до",
    }.items()
}


def foreign_script(item: object, language: str) -> str | None:
    """Return the script of a text, or token list, that a model of a language was not made for.

    None where half of its letters or more are in a script of the language, where it has none, and
    where nothing is known of the language. Only the first 500 characters are looked at.
    """
    own = _scripts_of(language)
    if not own:
        return None
    start = _start(item, _LETTERS_THAT_DECIDE)
    if start.isascii() and "Latin" in own:  # most often
        return None
    letters = _NOT_A_LETTER.sub("", start)
    if letters.isascii():
        counts = {"Latin": len(letters)}
    else:
        counts = {name: len(of.findall(letters)) for name, of in _OF_SCRIPT.items()}
    if 2 * sum(counts.get(name, 0) for name in own) >= len(letters):
        return None
    foreign = {name: number for name, number in counts.items() if name not in own}
    most = max(foreign, key=foreign.__getitem__)
    return most if foreign[most] else "another script"


def likely_language(item: object, languages: Sequence[str]) -> str:
    """Return the one of a few languages, better ones first, that a text or token list is likely in.

    Of Chinese text it is Chinese; else one that is written in the text's script, and of several the
    one with most of its frequent words in it. `languages` are tags of models, none of them twice.
    """
    wanted = is_chinese(item)
    pool = [one for one in languages if speaks_chinese(one) == wanted] or list(languages)
    if len(pool) == 1:
        return pool[0]
    fitting = [one for one in pool if foreign_script(item, one) is None] or pool
    words = _WORD.findall(_start(item).lower())
    return max(fitting, key=lambda one: sum(word in _frequent(one) for word in words))


def _frequent(language: str) -> frozenset[str]:
    primary = re.split("[-_]", language.lower(), maxsplit=1)[0]
    return _FREQUENT.get(primary, frozenset())


def _start(item: object, most: int = LOOKED_AT) -> str:
    if isinstance(item, str):
        return item[:most]
    return " ".join(_first(item, most)) if isinstance(item, Sequence) else ""


def _first(tokens: Iterable[object], room: int) -> list[str]:
    """The tokens, or starts of tokens, that hold the first characters of a list."""
    first: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            first.append(token[:room])
            room -= len(first[-1])
        if room <= 0:
            break
    return first

"""The one regular expression that cuts text into words, and the one that cuts it into characters.

Both are meant for `pattern.split(text)`, which runs wholly in C and returns
`[gap, token, gap, token, ..., gap]`. The last alternative of each takes any code point that is not
white space, so gaps hold white space only and nothing else of a text can be lost.

Linear time, whatever the input: a repetition either cannot give back what it took (`++`, `*+`), or
is bounded, or is followed by an alternative that consumes everything it looked at.

The conventions are those of the English corpora that taggers are trained on (Penn Treebank,
CoNLL-2003); docs/tokenizing.md lists them, with what was measured.
"""

import re
import sys
import unicodedata
from functools import cache
from html.entities import name2codepoint

# Alternatives are tried in order at each position, so common things stand first. A case-sensitive
# class is much faster than `(?i:...)`, hence `[sS]` and the like.

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_UNSPACED = _HAN + _HIRAGANA + _KATAKANA

# HTML's references, behind their `&`. One of a letter belongs to its word, `&amp;` glues as `&`
# does, and any other is a token.
_LETTER_NAMES = "|".join(sorted(n for n, code in name2codepoint.items() if chr(code).isalpha()))
_NAMED = f"(?:{'|'.join(sorted(name2codepoint))}|apos|#\\d{{1,7}}|#[xX][0-9a-fA-F]{{1,6}});"
_LATIN = (  # U+00C0 to U+024F, without the signs of multiplication and division
    "#0*+(?!215;|247;)(?:19[2-9]|[2-4]\\d\\d|5[0-8]\\d)"
    "|#[xX]0*+(?![dDfF]7;)(?:[c-fC-F][0-9a-fA-F]|1[0-9a-fA-F]{2}|2[0-4][0-9a-fA-F])"
)
_LETTER_REFERENCE = f"&(?:{_LETTER_NAMES}|{_LATIN});"

# A letter or digit of a script that puts spaces between words.
_W = f"[^\\W_{_UNSPACED}]"
_UPPER = "[A-Z\u00c0-\u00d6\u00d8-\u00de]"
_LOWER = "[a-z\u00df-\u00f6\u00f8-\u00ff]"
_APOSTROPHE = "['\u2019]"
# Soft hyphen, direction marks, word joiner, byte order mark: inside a word, they are part of it.
_INVISIBLE = "[\u00ad\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
# An abbreviation at the very end of a paragraph gives its dot to the sentence, as in the corpora.
_NOT_LAST = "(?!\\s*+\\Z|[^\\S\\n]*+\\n[^\\S\\n]*+\\n)"

_ABBREVIATIONS = (
    # English: people, companies, places, months, references
    "Mr|Mrs|Ms|Messrs|Dr|Prof|Rev|Hon|Gen|Lt|Col|Maj|Capt|Cpl|Sgt|Cmdr|Adm|Gov|Sen|Reps?|Pres|Supt"
    "|Jr|Sr|Bros|Co|Corp|Cos|Inc|Ltd|Plc|Assn|Dept|dept|Univ|Inst|Natl|Intl|Govt|govt"
    "|St|Ste|Mts?|Ft|Pt|Ave|Blvd|Rd|Hwy|Sq|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
    "|Ala|Ariz|Ark|Calif|Colo|Conn|Del|Fla|Ga|Ill|Ind|Kan|Ky|La|Mass|Md|Mich|Minn|Miss|Mo|Mont"
    "|Neb|Nev|Okla|Ore|Pa|Penn|Tenn|Tex|Va|Vt|Wash|Wis|Wyo|Ont|Que"
    "|vs|etc|al|cf|approx|ca|est|resp|feat|ft|var|subsp|ssp|[Vv]ols?|[Ff]igs?|Eq|Sec|Ch|pp|eds?|Ed"
    # German
    "|Nr|Hr|Fr|Str|bzw|usw|evtl|ggf|inkl|zzgl|geb|gest|[Hh]l|Jh|Mio|Mrd|Tsd|Chr|Dipl|Ing|Abs|Bd"
    # Spanish
    "|Sras?|Sres|Srta|Dra|D\u00f1a|Uds?|Excm[oa]|Ilmo|n\u00fam|p\u00e1gs?|Av|Avda|[Tt]el"
)
_MONTHS = "Januar|Februar|M\u00e4rz|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
# The second half of a contraction, without its apostrophe.
_CONTRACTED = f"(?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?!{_W})"


def _ranges(codes: list[int]) -> str:
    """Write sorted code points as the inside of a character class."""
    parts: list[str] = []
    for code in codes:
        if parts and ord(parts[-1][-1]) == code - 1:
            parts[-1] = f"{parts[-1][0]}-{chr(code)}"
        else:
            parts.append(chr(code))
    return "".join(parts)


@cache
def _marks() -> str:
    """Match all that belongs to the code point before it, possibly nothing.

    These are the marks of this Python's Unicode tables, the two joiners, emoji skin tones and
    flag tags. The astral class is a long list that has to be searched, so one range test comes
    before it; the other class is a bitmap.
    """
    planes = (*range(0x300, 0x3400), *range(0xA000, 0x20000), *range(0xE0000, 0xE0200))
    marks = [code for code in planes if unicodedata.category(chr(code)).startswith("M")]
    basic = _ranges([code for code in marks if code < 0x10000]) + "\u200c\u200d"
    astral = _ranges([code for code in marks if code >= 0x10000])
    astral += "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
    highest = chr(sys.maxunicode)
    return f"(?:[{basic}]++|(?=[\U00010000-{highest}])[{astral}]++)*+"


def _cluster() -> str:
    """Match one character as a reader sees it: code point and marks, flag, or joined emoji."""
    marks = _marks()
    pictograph = "(?!\\w)[\u2190-\u2bff\U0001f000-\U0001faff]"
    return (
        f"[\U0001f1e6-\U0001f1ff]{{2}}|{pictograph}{marks}(?:(?<=\u200d){pictograph}{marks})*+|\\S"
    )


def _word() -> str:
    """Match one word of a script with spaces: a run of letters and digits, or several glued."""
    run = f"{_W}++(?:(?=[\u0300-{chr(sys.maxunicode)}]){_marks()}{_W}++)*+"
    letter = f"(?:{_UPPER}{{1,2}}|{_UPPER}[a-z]|{_LOWER})"
    acronym = f"{letter}(?:\\.{letter})+(?!{_W})(?:\\.{_NOT_LAST})?"
    initial = f"{_UPPER}\\.(?=[\\s-]|{_UPPER}){_NOT_LAST}"
    unit = f"(?:{acronym}|{initial}|{run})"
    glue = (
        f"[-\u2010\u2011+\u00b7]|&(?:amp;)?(?!{_NAMED})"
        f"|{_APOSTROPHE}(?!{_CONTRACTED})"
        f"|\\.(?=\\d|{_LOWER})"
        "|(?<=\\d)[,:/\u2013](?=\\d)"
        "|(?<=\\b\\w)/|/(?=\\w\\b)"
        "|_++"
        f"|{_INVISIBLE}++"
    )
    return f"{unit}(?:(?:{glue}){unit}|{_LETTER_REFERENCE}(?:{unit})?)*+"


def _starting_with_a_letter() -> str:
    """Match what starts with a letter or a digit, when one look does not tell what it is."""
    body = f'[^\\s<>"\u201c\u201d\u00ab\u00bb\u3000-\u303f\uff00-\uff60{_UNSPACED}]*'
    rest_of_url = f"{body}(?<![.,;:!?\u2026)\\]}}\"'\u2019])"
    negation = f"[nN]{_APOSTROPHE}[tT](?!{_W})"
    return "|".join(
        [
            f"(?i:https?://|ftp://|www\\.)(?=[\\w\\[]){rest_of_url}",
            f"(?:[A-Za-z0-9-]{{1,63}}+\\.){{1,4}}[a-z]{{2,8}}/{rest_of_url}",
            "[A-Za-z0-9_.+-]{1,64}+@[A-Za-z0-9-]++(?:\\.[A-Za-z0-9-]++)++",
            negation,
            f"(?=[A-Za-z]++{_APOSTROPHE})[A-Za-z]+(?={negation})",
            f"(?:{_ABBREVIATIONS})\\.{_NOT_LAST}",
            # Numbers, and what keeps its dot only beside one: "No. 5", list items, ordinals.
            "[Nn]o\\.(?=\\s?\\d)",
            "(?m:^)\\d{1,3}\\.(?=[^\\S\\n]++\\S)",
            f"\\d{{1,2}}\\.(?=\\s++(?:{_LOWER}|{_MONTHS}|Jahrhundert))",
            "[A-Z]{1,3}\\$",
            f"{_word()}(?:\\+{{1,2}}(?![+\\w])|-(?=\\s++(?:and|or|to|und|oder|bis|y|e|o)\\b))?",
        ]
    )


@cache
def word_pattern() -> re.Pattern[str]:
    """Compile the pattern for words; its one group is the token."""
    # Four tokens of five are one of these, and no mark can follow.
    plain = '[A-Za-z0-9]++(?=[ \\n;!?)"]|, )|[,.)"](?=[ \\n])'
    same = "|".join(f"{re.escape(sign)}{{2,}}+" for sign in ".-'`*=~/#|")
    others = [
        f"[{_HAN}]",
        f"(?={_W})(?:{_starting_with_a_letter()})",
        f"{_APOSTROPHE}{_CONTRACTED}",
        f"{_APOSTROPHE}(?:[eE]m|[tT]is|[tT]was|til|cause|\\d\\ds?)(?!{_W})",
        # A number with a sign, or with nothing before the decimal point.
        f"[+.\u2212-](?<![^\\s(\\[].)(?=\\.?\\d)\\.?{_word()}",
        f"[@#][^\\W{_UNSPACED}]++(?:{_marks()}[^\\W{_UNSPACED}]++)*+",
        "[:;=](?<!\\w.)[-'^]?[()\\[\\]DPpOo3*/\\\\]++(?!\\w)|<3(?!\\w)",
        f"(?:{_LETTER_REFERENCE})++(?:{_word()})?",
        f"&{_NAMED}",
        f"{same}|_++|\u2026++|\u2014++|\u2013++|[!?]++|[\uff01\uff1f]++|\u3002++",
        f"[{_KATAKANA}]++|[{_HIRAGANA}\u30fc]++",
        _cluster(),
    ]
    # Without the look ahead, each white space would be offered to every alternative.
    return re.compile(f"(?!\\s)({plain}|(?:{'|'.join(others)}){_marks()})")


@cache
def character_pattern() -> re.Pattern[str]:
    """Compile the pattern for single characters; its one group is the token."""
    return re.compile(f"(?!\\s)((?:{_cluster()}){_marks()})")

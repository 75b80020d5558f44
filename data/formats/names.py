"""The formats and offset units by name; imports nothing, so that a command line starts fast."""

from enum import StrEnum


class Format(StrEnum):
    """What can be read and written. doccano-entities is Doccano's form with relations."""

    conll = "conll"
    doccano = "doccano"
    doccano_entities = "doccano-entities"
    labelstudio = "labelstudio"
    prodigy = "prodigy"
    brat = "brat"


class OffsetUnit(StrEnum):
    """What offsets count: code points, UTF-16 code units (JavaScript) or UTF-8 bytes."""

    codepoint = "codepoint"
    utf16 = "utf16"
    utf8 = "utf8"

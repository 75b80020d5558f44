"""Terms that are refused, and the file that keeps the others."""

import gzip
import math

import pytest

from tagbelt.data.lexicon.terms import Term, merge, pack, unpack

TERMS = merge(
    [Term("PER", ("Ann", "Lee"), 2.5), Term("LOC", ("York",)), Term("", ("é",), 3.0)],
    lowercase=False,
)
TEXT = "tagbelt gazetteer 1\tas-written\t3\nPER\t2.5\tAnn\tLee\nLOC\t0\tYork\n\t3\té\n"


def test_the_file_is_a_table_that_people_can_read():
    assert gzip.decompress(pack(TERMS)).decode("utf-8") == TEXT
    assert unpack(pack(TERMS), place="here") == TERMS


def test_the_same_term_twice_has_the_higher_weight():
    twice = [Term("PER", ("Ann",), 1.0), Term("PER", ("ann",), 3.0), Term("PER", ("ANN",), 2.0)]
    assert list(merge(twice, lowercase=True).rows()) == [Term("PER", ("ann",), 3.0)]
    assert len(list(merge(twice, lowercase=False).rows())) == 3


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term("PER", ()), "a term needs tokens"),
        (Term("PER", ("a", "")), "a token characters"),
        (Term("PER", ("a\tb",)), "tabs, line breaks"),
        (Term("P\nER", ("a",)), "tabs, line breaks"),
        (Term("PER", ("\ud800",)), "lone surrogates"),
        (Term("PER", ("a",), -1.0), "a weight is 0 or more"),
        (Term("PER", ("a",), math.nan), "a weight is 0 or more"),
        (Term("PER", ("a",), math.inf), "a weight is 0 or more"),
    ],
)
def test_what_can_not_be_a_term_is_refused(term, message):
    with pytest.raises(ValueError, match=message):
        merge([term], lowercase=False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gazetteer 1", "gazetteer 2", r"f\.gz:1: no gazetteer of this version"),
        ("as-written", "as-is", r"f\.gz:1: no gazetteer of this version"),
        ("\té\n", "\té", r"f\.gz:1: 3 terms announced"),
        ("\t3\n", "\t4\n", r"f\.gz:1: 4 terms announced, but 3 there"),
        ("LOC\t0\tYork", "LOC\t0", r"f\.gz:3: no term: 'LOC\\t0'"),
        ("LOC\t0\t", "LOC\tnone\t", r"f\.gz:3: no term"),
        ("\t2.5\t", "\tnan\t", r"f\.gz:2: no term"),
        ("\t2.5\t", "\tinf\t", r"f\.gz:2: no term"),
        ("Ann\tLee", "Ann\t\tLee", r"f\.gz:2: no term"),
        ("Ann\tLee", "Ann\t", r"f\.gz:2: no term"),
        ("York", "Ann", r"f\.gz:3: no term, or out of order"),
    ],
)
def test_another_text_is_refused_with_file_and_line(old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(ValueError, match=message):
        unpack(gzip.compress(TEXT.replace(old, new).encode()), place="f.gz")


@pytest.mark.parametrize(
    "damaged",
    [b"", TEXT.encode(), pack(TERMS)[:-9], pack(TERMS)[:30] + b"?" + pack(TERMS)[31:]],
    ids=["empty", "no gzip", "cut short", "a byte changed"],
)
def test_a_damaged_file_is_refused(damaged):
    with pytest.raises(ValueError, match=r"^f\.gz:"):
        unpack(damaged, place="f.gz")

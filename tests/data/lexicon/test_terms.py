"""Terms that are refused, and the file that keeps the others."""

import gzip
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.lexicon.terms import Term, merge, pack, parse, unpack

TERMS = merge(
    [Term("PER", ("Ann", "Lee"), 2.5), Term("LOC", ("York",)), Term("", ("é",), 3.0)],
    lowercase=False,
)
TEXT = "tagbelt gazetteer 1\tas-written\t3\nPER\t2.5\tAnn\tLee\nLOC\t0\tYork\n\t3\té\n"


def test_the_file_is_a_table_that_people_can_read():
    assert gzip.decompress(pack(TERMS)).decode("utf-8") == TEXT
    assert list(unpack(pack(TERMS), place="here").rows()) == list(TERMS.rows())


def test_the_same_term_twice_has_the_higher_weight():
    twice = [Term("PER", ("Ann",), 1.0), Term("PER", ("ann",), 3.0), Term("PER", ("ANN",), 2.0)]
    assert list(merge(twice, lowercase=True).rows()) == [Term("PER", ("ann",), 3.0)]
    assert len(list(merge(twice, lowercase=False).rows())) == 3


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term("PER", ()), "a term needs tokens"),
        (Term("PER", ("a",) * 1001), "more than 1000 tokens"),
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


@given(st.lists(st.sampled_from(["a", "b", "\0", "a" * 40, "𝄞"]), min_size=1, max_size=4))
def test_the_order_of_lines_is_that_of_their_texts_then_types(tokens):
    """In order, and equal as far as many characters or not, they are read; else refused."""
    texts = ["\t".join(tokens), "a", "a\ta", f"{'a' * 40}\tb"]
    lines = [(text, kind) for text in texts for kind in ("x", "y")]
    for some in (lines, lines[::-1], sorted(set(lines)), lines[:2]):
        body = "".join(f"{kind}\t1\t{text}\n" for text, kind in some)
        text = f"tagbelt gazetteer 1\tas-written\t{len(some)}\n{body}"
        if some == sorted(set(some)):
            found = [("\t".join(term.tokens), term.type) for term in parse(text, place="f").rows()]
            assert found == some
        else:
            with pytest.raises(ValueError, match="out of order"):
                parse(text, place="f")


@pytest.mark.parametrize("weight", ["7", "007", "2.5", "1e3", "1234567890123456789", "0"])
def test_weights_are_what_float_makes_of_them(weight):
    text = f"tagbelt gazetteer 1\tas-written\t1\nx\t{weight}\ta\n"
    assert parse(text, place="f").weights.tolist() == [float(weight)]


def test_what_unpacks_to_far_more_than_its_size_is_refused():
    bomb = gzip.compress(b"x" * 10_000_000)
    with pytest.raises(ValueError, match=r"^f\.gz: .* unpacks to more than"):
        unpack(bomb, place="f.gz")


@pytest.mark.parametrize("kinds", [["", "b", "ab", "a"], [f"x{n}" for n in range(40)], ["y" * 99]])
def test_types_may_be_many_and_long(kinds):
    terms = [Term(kind, (str(number),)) for number, kind in enumerate(kinds * 2, start=100)]
    found = merge(terms, lowercase=False)
    assert list(found.types) == sorted(kinds)
    assert [found.types[kind] for kind in found.kinds.tolist()] == kinds * 2

"""How a user's list of terms is read."""

import pytest

from tagbelt.data.lexicon.term_lists import read_term_list, term_tokens
from tagbelt.data.lexicon.terms import Term
from tagbelt.errors import DataError

LIST = "\ufeff# our people\nAnn Lee\n\n  Dr. No \r\nO'Neill\t12\n李小龙\t2.5\n"


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "people.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return put


def test_a_line_is_a_term_and_maybe_its_frequency(write):
    assert list(read_term_list(write(LIST), "PER", "word")) == [
        Term("PER", ("Ann", "Lee")),
        Term("PER", ("Dr.", "No")),
        Term("PER", ("O'Neill",), 12.0),
        Term("PER", ("李", "小", "龙"), 2.5),
    ]


def test_the_first_terms_can_be_had_alone_and_character_by_character(write):
    terms = list(read_term_list(write(LIST), "PER", "character", max_terms=1))
    assert terms == [Term("PER", ("A", "n", "n", "L", "e", "e"))]


def test_a_term_is_one_even_where_a_text_would_be_two_sentences():
    assert term_tokens("Who? Me. Yes!", "word") == ("Who", "?", "Me", ".", "Yes", "!")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann\nBob\tmany\n", r"people\.txt:2: a line is a term, .* not 'Bob\\tmany'"),
        ("Ann\t0\n", r"people\.txt:1: a line is a term"),
        ("Ann\tnan\n", r"people\.txt:1: a line is a term"),
        ("Ann\t1\t2\n", r"people\.txt:1: a line is a term"),
        ("\n \t3\n", r"people\.txt:2: a line is a term"),
        ("# nobody\n\n", r"people\.txt: no terms in it"),
        (b"Andr\xe9\n", r"people\.txt: not UTF-8"),
    ],
)
def test_a_fault_is_named_with_file_and_line(write, text, message):
    with pytest.raises(DataError, match=message):
        list(read_term_list(write(text), "PER", "word"))

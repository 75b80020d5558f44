"""Kaggle's NER tables: a row a word, the number of a sentence in its first row."""

import pytest

from tagbelt.data.formats.convert import SourceOptions, TargetOptions, convert, guess_source
from tagbelt.data.formats.record import Format
from tagbelt.errors import ConllError

HEAD = "Sentence #,Word,POS,Tag\n"


@pytest.fixture
def rows(tmp_path):
    """Convert a table; the rows with spaces, and the losses."""

    def run(content, target=Format.conll, **options):
        path = tmp_path / "ner.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        reading = SourceOptions(**options)
        done = convert(path, guess_source(path), target, reading, TargetOptions())
        losses = {
            kind: [m.removeprefix(f"{tmp_path}/") for m in found]
            for kind, found in done.losses.examples.items()
        }
        return done.text.replace("\t", " "), losses

    return run


@pytest.mark.parametrize("again", ["", "Sentence: 1"])
def test_a_number_begins_a_sentence(rows, again):
    text = f'{HEAD}Sentence: 1,Ada,NNP,B-per\r\n{again},",",",",O\nSentence: 2,Oslo,NNP,B-geo\n'
    assert rows(text) == ("Ada B-per\n, O\n\nOslo B-geo\n\n", {})
    assert '"label": "per"' in rows(text, Format.prodigy)[0]


def test_the_header_tells_what_lies_between_columns(rows):
    text = f"{HEAD}Sentence: 1,Ada,NNP,B-per\n".replace(",", ";") + ";a,b;NN;O\n"
    assert rows(text) == ("Ada B-per\na,b O\n\n", {})


def test_latin_1_is_told_and_utf_8_read(rows):
    text = f"{HEAD}Sentence: 1,Ada,NNP,B-per\n,caf\u00e9,NN,O\n"
    assert rows(text) == ("Ada B-per\ncaf\u00e9 O\n\n", {})
    told = {"latin-1": ["ner.csv:3: byte 0xe9 is not UTF-8"]}
    assert rows(text.encode("latin-1")) == ("Ada B-per\ncaf\u00e9 O\n\n", told)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Sentence #,Word,POS\n", ":1: the first row does not name Sentence #, Word and Tag"),
        (f"{HEAD}Sentence: 1,Ada,B-per\n", ":2: expected 4 columns, found 3"),
        (f"{HEAD}Sentence: 1,Ada,NNP,person\n", ":2: 'person' is not a tag"),
        (f'{HEAD}Sentence: 1,Ada,NNP,O\n,"a\nb",X,O\n\n,c,X,I-per\n', ":6: 'I-per' between"),
        (f'{HEAD}1,a,X,B-per\n,a,X,B-per\n,"Ada,NNP,O\n', ":4: not CSV"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(rows, text, message):
    with pytest.raises(ConllError, match=r"ner\.csv" + message):
        rows(text, scheme="IOB2")


def test_invalid_tags_are_repaired_where_that_is_said(rows):
    text = f"{HEAD}Sentence: 1,Ada,NNP,I-per\n,slept,VBD,O\n"
    assert rows(text, scheme="IOB2", repair=True)[0] == "Ada B-per\nslept O\n\n"

"""spaCy's `.spacy` files, as spaCy itself writes them."""

import pytest
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from tagbelt.data.formats.convert import (
    SourceOptions,
    TargetOptions,
    convert,
    guess_source,
)
from tagbelt.data.formats.record import Format
from tagbelt.errors import DataError

VOCAB = Vocab()


@pytest.fixture
def rows(tmp_path):
    """Write documents, convert them to rows; the rows with spaces, and the losses."""

    def run(*docs, **options):
        path = tmp_path / "train.spacy"
        DocBin(docs=docs).to_disk(path)
        assert guess_source(path) is Format.spacy
        reading = SourceOptions(**options)
        done = convert(path, Format.spacy, Format.conll, reading, TargetOptions())
        losses = {
            kind: [m.removeprefix(f"{tmp_path}/") for m in found]
            for kind, found in done.losses.examples.items()
        }
        return done.text.replace("\t", " "), losses

    return run


def doc(text, ents=None, **more):
    return Doc(VOCAB, words=text.split(), ents=ents, **more)


def test_entities_and_sentences(rows):
    first = doc(
        "Ada slept . New York too .",
        ["B-PER", "O", "O", "B-LOC", "I-LOC", "O", "O"],
        sent_starts=[True, False, False, True, False, False, False],
    )
    text, losses = rows(first, doc("Bo sleeps", ["B-PER", "O"]))
    assert text == (
        "-DOCSTART- O\n\nAda B-PER\nslept O\n. O\n\nNew B-LOC\nYork I-LOC\ntoo O\n. O\n\n"
        "-DOCSTART- O\n\nBo B-PER\nsleeps O\n\n"
    )
    assert losses == {}


def test_a_document_without_sentences_is_one(rows):
    text, losses = rows(doc("Ada slept . Bo too .", ["B-PER", "O", "O", "B-PER", "O", "O"]))
    assert text == "Ada B-PER\nslept O\n. O\nBo B-PER\ntoo O\n. O\n\n"
    assert losses == {}


def test_a_sentence_does_not_end_inside_an_entity(rows):
    cut = doc("New York slept", ["B-LOC", "I-LOC", "O"], sent_starts=[True, True, False])
    assert rows(cut)[0] == "New B-LOC\nYork I-LOC\nslept O\n\n"


def test_what_is_missing_is_unlabelled_or_left_out(rows):
    partly = doc("Ada met Bo Li")
    partly.set_ents([Span(partly, 0, 1, "PER")], outside=[partly[1:2]], missing=[partly[2:4]])
    text, losses = rows(partly, doc("nobody looked"), doc("nothing here", ["O", "O"]))
    assert text == "Ada B-PER\nmet O\nBo ?\nLi ?\n\nnothing O\nhere O\n\n"
    assert losses == {
        "not-annotated": ["train.spacy: doc 2: the entities of all its tokens are missing"]
    }


def test_span_groups_are_told_and_line_breaks_are_no_tokens(rows):
    words = ["Ada", "\n\n", "slept"]
    broken = Doc(VOCAB, words=words, spaces=[False] * 3, ents=["B-PER", "O", "O"])
    broken.spans["sc"] = [Span(broken, 0, 1, "GENIUS")]
    text, losses = rows(broken)
    assert text == "Ada B-PER\nslept O\n\n"
    assert losses == {"not-a-span": ["train.spacy: doc 1: 1 spans of the group 'sc'"]}


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "a.spacy"
    DocBin(docs=[doc("Ada", ["B-PER"])]).to_disk(path)
    for content in (b"", b"Ada B-PER\n", path.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.spacy: not a whole \.spacy file"):
            convert(path, Format.spacy, Format.conll, SourceOptions(), TargetOptions())


def test_options_that_are_not_for_it(rows, tmp_path):
    with pytest.raises(DataError, match="--partial is for JSON lines, not for spacy"):
        rows(doc("Ada", ["B-PER"]), partial=True)
    with pytest.raises(DataError, match="--to spacy: this format is read and not written"):
        convert(tmp_path, Format.brat, Format.spacy, SourceOptions(), TargetOptions())

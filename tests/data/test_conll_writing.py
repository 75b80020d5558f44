import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.reading import Corpus, read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import ConllError

# Speed is not what is tested: a busy machine must not fail a test.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(content: str | bytes, **options: object) -> Corpus:
    stream = io.BytesIO(content.encode("utf-8") if isinstance(content, str) else content)
    return read_conll(stream, **options)


def unplaced(corpus: Corpus) -> list[Sentence]:
    """The sentences without their line numbers."""
    return [Sentence(sentence.tokens, sentence.spans) for sentence in corpus.sentences]


def written(sentences: list[Sentence], **options: object) -> str:
    stream = io.StringIO(newline="")
    write_conll(stream, sentences, **options)
    return stream.getvalue()


def test_gzip_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.conll.gz"
    sentences = [Sentence(("Ada", "sings"), (Span(0, 1, "PER"),))]
    write_conll(path, sentences)
    assert gzip.decompress(path.read_bytes()) == b"Ada\tB-PER\nsings\tO\n\n"
    assert unplaced(read_conll(path)) == sentences
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConllError, match=r"a\.conll\.gz: not a whole gzip file"):
        read_conll(path)
    path.write_bytes(b"Ada O\n")
    with pytest.raises(ConllError, match=r"a\.conll\.gz: not a whole gzip file"):
        read_conll(path)


ANNOTATED = [Sentence(("Ada", "Mo", "sings"), (Span(0, 2, "PER"),)), Sentence(("well",), ())]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "Ada\tB-PER\nMo\tI-PER\nsings\tO\n\nwell\tO\n\n"),
        ({"scheme": Scheme.BIOES, "separator": " "}, "Ada B-PER\nMo E-PER\nsings O\n\nwell O\n\n"),
        (
            {"scheme": Scheme.IO, "document_starts": [0, 1, 1]},
            "-DOCSTART-\tO\n\nAda\tI-PER\nMo\tI-PER\nsings\tO\n\n"
            "-DOCSTART-\tO\n\n-DOCSTART-\tO\n\nwell\tO\n\n",
        ),
    ],
)
def test_writing(options: dict[str, object], expected: str) -> None:
    assert written(ANNOTATED, **options) == expected


@pytest.mark.parametrize(
    ("bad", "options", "message"),
    [
        (Sentence((), ()), {}, "no tokens"),
        (Sentence(("a\tb",), ()), {}, r"'a\\tb' holds a separator or a line break"),
        (Sentence(("a\nb",), ()), {}, "holds a separator or a line break"),
        (Sentence(("a\r",), ()), {}, "holds a separator or a line break"),
        (Sentence(("a b",), ()), {"separator": " "}, "'a b' holds a separator"),
        (Sentence(("a\tb",), ()), {"separator": " "}, "holds a separator"),
        (Sentence(("a",), (Span(0, 1, "x y"),)), {"separator": " "}, "'B-x y' holds a separator"),
        (Sentence(("",), ()), {"separator": " "}, "empty or blank"),
        (Sentence(("-DOCSTART-",), ()), {}, "start of a document"),
        (Sentence(("\ud800",), ()), {}, "surrogates not allowed"),
        (Sentence(("a",), (Span(0, 2, "A"),)), {}, "outside a sentence of 1 tokens"),
        (
            Sentence(("a", "b"), (Span(0, 1, "A"), Span(1, 2, "A"))),
            {"scheme": Scheme.IO},
            "IO cannot tell",
        ),
    ],
)
def test_what_would_not_read_back_is_not_written(
    tmp_path: Path, bad: Sentence, options: dict[str, object], message: str
) -> None:
    path = tmp_path / "out.conll"
    with pytest.raises(ValueError, match=f"sentence 2 cannot be written: .*{message}"):
        write_conll(path, [*ANNOTATED, bad], **options)
    assert not path.exists()


@pytest.mark.parametrize("token", ["", " ", "\u00a0"])
def test_a_blank_token_alone_in_its_row_is_not_written(token: str) -> None:
    if token == "\u00a0":  # is not what ends a sentence
        assert written([Sentence((token,), None)]) == "\u00a0\n\n"
        return
    with pytest.raises(ValueError, match="empty or blank"):
        written([Sentence(("a", token), None)])


def test_options_of_writing_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="separator is ' ' or"):
        written(ANNOTATED, separator=",")
    with pytest.raises(ValueError, match="labelled and unlabelled"):
        written([*ANNOTATED, Sentence(("a",), None)])
    with pytest.raises(ValueError, match=r"document starts \[3\] reach beyond 2 sentences"):
        written(ANNOTATED, document_starts=[3])


def words(separator: str, smallest: int) -> st.SearchStrategy[str]:
    """Tokens that can be written."""
    space = " " if separator == "\t" else ""
    characters = "#-OBaé中😀\u00a0\u2028\u0085\u000b\u001c\u200b\ufeff"
    return st.text(st.sampled_from(characters + space), min_size=smallest, max_size=3)


@st.composite
def sentences_to_write(draw: st.DrawFn, separator: str, scheme: Scheme | None) -> list[Sentence]:
    word = words(separator, 0 if separator == "\t" and scheme else 1)
    if scheme is None:
        word = word.filter(lambda token: token.strip(" \t") != "")
    label = words(separator, 1)
    sentences = []
    for _ in range(draw(st.integers(0, 3))):
        spans, position = [], 0
        for _ in range(draw(st.integers(0, 3))):
            gap = 1 if scheme is Scheme.IO and spans else 0
            start = position + draw(st.integers(gap, 2))
            position = start + draw(st.integers(1, 3))
            spans.append(Span(start, position, draw(label)))
        length = max(1, position + draw(st.integers(0, 2)))
        row = tuple(draw(st.lists(word, min_size=length, max_size=length)))
        sentences.append(Sentence(row, None if scheme is None else tuple(spans)))
    return sentences


@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize("scheme", [None, *Scheme])
@untimed
@given(data=st.data())
def test_what_is_written_reads_back(
    scheme: Scheme | None, separator: str, data: st.DataObject
) -> None:
    sentences = data.draw(sentences_to_write(separator, scheme))
    starts = tuple(sorted(data.draw(st.lists(st.integers(0, len(sentences)), max_size=3))))
    columns = ("token", "tag") if scheme else ("token",)
    text = written(
        sentences, scheme=scheme or Scheme.IOB2, separator=separator, document_starts=starts
    )
    crlf = text.replace("\n", "\r\n")
    for content in (text, f"\ufeff{crlf}", text.rstrip("\n")):
        corpus = read(content, separator=separator, columns=columns)
        assert unplaced(corpus) == sentences
        assert corpus.document_starts == starts
        assert corpus.repairs == ()

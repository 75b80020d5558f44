"""Every file of the data folder, read with exactly the counts that its README states."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagbelt.data.conll.reading import Corpus, read_conll
from tagbelt.data.conll.rows import Columns
from tagbelt.data.conll.schemes import OnInvalid, Scheme
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Separator
from tagbelt.errors import ConllError

DATA = os.environ.get("TAGBELT_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="TAGBELT_DATA is not set")

CONLL2003 = ("token", "pos", "chunk", "tag")
TAB: Separator = "\t"


@dataclass(frozen=True)
class File:
    name: str
    sentences: int
    tokens: int | None = None
    entities: int | None = None
    columns: Columns = ("token", "tag")
    separator: Separator | None = TAB
    scheme: Scheme = Scheme.IOB2
    repairs: tuple[int, ...] = ()  # the lines that strict reading refuses
    on_invalid: OnInvalid = "repair"  # how they are counted
    documents: int = 0  # -DOCSTART- rows

    @property
    def path(self) -> Path:
        return Path(DATA or "", self.name)

    def read(self, on_invalid: OnInvalid) -> Corpus:
        return read_conll(
            self.path, columns=self.columns, separator=self.separator, on_invalid=on_invalid
        )


def conll2003(name: str, *counts: int, scheme: Scheme = Scheme.IOB1, documents: int) -> File:
    return File(
        name, *counts, columns=CONLL2003, separator=None, scheme=scheme, documents=documents
    )


def wikiann(name: str, *counts: int) -> File:
    return File(f"wikiann/{name}.conllu", *counts, columns={"token": 1, "tag": -1})


def spanish(name: str, *counts: int, repair: int) -> File:
    columns = ("token", "pos", "tag")
    return File(
        f"conll2002_esp/{name}.txt", *counts, columns=columns, separator=None, repairs=(repair,)
    )


def resume(name: str, *counts: int, repairs: tuple[int, ...] = ()) -> File:
    # A sentence break cuts two entities in two; neither half counts as an entity.
    return File(
        f"resume/{name}.bmes",
        *counts,
        separator=None,
        scheme=Scheme.BMES,
        repairs=repairs,
        on_invalid="drop",
    )


FILES = [
    conll2003("conll2003/train.txt", 14041, 203621, 23499, documents=946),
    conll2003("conll2003/dev.txt", 3250, 51362, 5942, documents=216),
    conll2003("conll2003/test.txt", 3453, 46435, 5648, documents=231),
    conll2003("conllpp/test.txt", 3453, 46435, 5702, scheme=Scheme.IOB2, documents=231),
    File("wnut17/train.conll", 3394, 62730, 1975),
    File("wnut17/dev.conll", 1009, 15733, 836),
    File("wnut17/test.conll", 1287, 23394, 1079),
    File("btc/train.conll", 6338, 99933, 8779),
    File("btc/dev.conll", 1001, 15027, 1730),
    File("btc/test.conll", 2001, 35428, 4376),
    wikiann("en/train", 20000, 160394, 27931),
    *(wikiann(f"{language}/train", 20000) for language in ("de", "es")),
    *(
        wikiann(f"{language}/{part}", 10000)
        for language in ("en", "de", "es")
        for part in ("dev", "test")
    ),
    File("gum/train.conll", 2495),
    File("gum/test.conll", 1000),
    File("ncbi_disease/train.tsv", 5424, 135701, 5134),
    File("ncbi_disease/dev.tsv", 923, 23969, 787),
    File("ncbi_disease/test.tsv", 940, 24497, 960),
    spanish("train", 8323, 264715, 18798, repair=221619),
    spanish("dev", 1915, 52923, 4352, repair=30882),
    spanish("test", 1517, 51533, 3559, repair=9291),
    resume("train", 3821, 124099, 13436, repairs=(62390, 62392, 64412, 64414)),
    resume("dev", 463, 13890, 1497),
    resume("test", 477, 15100, 1630),
    File("cluener/train.txt", 10748, 401764, 23970),
    File("cluener/dev.txt", 1343, 50260, 3072),
    File("msra/train.txt", 45000, 2171573, 75059),
    File("msra/test.txt", 3442, 172601, 6190),
]


@dataclass(frozen=True)
class Read:
    file: File
    corpus: Corpus


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.name)
def real(request: pytest.FixtureRequest) -> Read:
    file: File = request.param
    return Read(file, file.read(file.on_invalid if file.repairs else "error"))


def test_the_counts_are_those_of_the_readme(real: Read) -> None:
    file, corpus = real.file, real.corpus
    assert corpus.scheme is file.scheme
    assert len(corpus.sentences) == file.sentences
    if file.tokens is not None:
        assert sum(len(sentence.tokens) for sentence in corpus.sentences) == file.tokens
    if file.entities is not None:
        entities = sum(len(sentence.spans or ()) for sentence in corpus.sentences)
        assert entities == file.entities


def test_no_row_is_lost(real: Read) -> None:
    lines = real.file.path.read_bytes().split(b"\n")
    rows = sum(1 for line in lines if line.strip(b" \t\r"))
    documents = sum(1 for line in lines if line.startswith(b"-DOCSTART-"))
    tokens = sum(len(sentence.tokens) for sentence in real.corpus.sentences)
    assert documents == real.file.documents == len(real.corpus.document_starts)
    assert tokens == rows - documents
    assert real.corpus.comments == 0
    assert all(sentence.tokens for sentence in real.corpus.sentences)


def test_documents_hold_all_sentences(real: Read) -> None:
    documents = real.corpus.documents()
    assert len(documents) == max(1, real.file.documents)
    assert sum(len(document) for document in documents) == real.file.sentences


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
def test_what_is_written_reads_back(real: Read, scheme: Scheme) -> None:
    text = io.StringIO(newline="")
    starts = real.corpus.document_starts
    write_conll(text, real.corpus.sentences, scheme=scheme, document_starts=starts)
    stream = io.BytesIO(text.getvalue().encode("utf-8"))
    again = read_conll(stream, separator=TAB, scheme=scheme)
    assert again.document_starts == starts
    assert [s.tokens for s in again.sentences] == [s.tokens for s in real.corpus.sentences]
    assert [s.spans for s in again.sentences] == [s.spans for s in real.corpus.sentences]


def test_repairs_are_exactly_the_broken_tags(real: Read) -> None:
    assert tuple(repair.line for repair in real.corpus.repairs) == real.file.repairs


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.repairs], ids=lambda file: file.name
)
def test_strict_reading_refuses_the_first_broken_tag(file: File) -> None:
    with pytest.raises(ConllError, match="is not valid in") as caught:
        file.read("error")
    assert caught.value.line == file.repairs[0]
    assert str(caught.value).startswith(f"{file.path}:{file.repairs[0]}: ")


def test_the_default_separator_refuses_tokens_with_spaces() -> None:
    file = next(file for file in FILES if file.name == "btc/dev.conll")
    with pytest.raises(ConllError, match=r"dev\.conll:7465: expected 2 columns, found 1: \['O'\]"):
        read_conll(file.path)

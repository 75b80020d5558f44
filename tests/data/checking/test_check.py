"""What `check_files` finds: each kind in a small file that has it, at its line."""

import gzip

import pytest

from tagbelt.data.checking.check import CheckLimits, check_files
from tagbelt.data.checking.findings import KINDS, Severity
from tagbelt.data.conll.schemes import Scheme

NO_LIMITS = CheckLimits(long=1000, rare=0)


@pytest.fixture
def check(tmp_path):
    """Check files of these texts; the findings as `{kind: [(file, line, message)]}`."""

    def run(*texts, limits=NO_LIMITS, **options):
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.conll"
            path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
            paths.append(path)
        checked = check_files(paths, limits=limits, max_examples=100, **options)
        assert checked.findings.counts == {
            kind: len(examples) for kind, examples in checked.findings.examples.items()
        }
        return {
            kind: [(int(e.path[-7]), e.line, e.message) for e in examples]
            for kind, examples in checked.findings.examples.items()
        }

    return run


GOOD = "Ada\tB-PER\nLovelace\tI-PER\nsleeps\tO\n\nLondon\tB-LOC\nsleeps\tO\n"


def test_nothing_is_found_where_nothing_is_wrong(check):
    assert check(GOOD, "Turin\tB-LOC\nand\tO\nMary\tB-PER\n") == {}


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("unreadable", b"Ada\tB-PER\nL\xf6ve\tO\n", 2),
        ("unreadable", "Ada\nLovelace\n", None),
        ("wrong-columns", GOOD + "\nAda\n", 8),
        ("unknown-tag", GOOD + "\nAda\tPER\n", 8),
        ("unknown-tag", GOOD + "\nAda\tE-PER\nx\tX-PER\n", 9),
        ("scheme", "a\tI-PER\nb\tB-LOC\nc\tO\nd\tO\n", 1),
        ("invalid-transition", GOOD * 5 + "# a comment\nx\tO\ny\tI-LOC\n", 33),
        ("no-sentences", "", None),
        ("index-column", "0\tAda\tB-PER\n1\tsleeps\tO\n\n0\tTurin\tB-LOC\n", 1),
        ("contradiction", GOOD + "\nLondon\tB-PER\nsleeps\tO\n", 8),
        ("long-sentence", GOOD + "\n" + "word\tO\n" * 1001, 8),
        ("empty-token", GOOD + "\n\tO\n", 8),
        ("empty-token", GOOD + "\n \tO\n\u3000\tO\n", 8),
        ("space-in-token", GOOD + "\nAda Lovelace\tB-PER\n", 8),
        ("space-in-token", GOOD + "\nAda\u00a0Lovelace\tB-PER\n", 8),
        ("boundary-space", GOOD + "\nAda \tB-PER\n", 8),
        ("zero-width", GOOD + "\nAda\u200b\tO\n", 8),
        ("byte-order-mark", GOOD + "\n\ufeffAda\tO\n", 8),
        ("control", GOOD + "\nA\x07da\tO\n", 8),
        ("private-use", GOOD + "\n\ue000\tO\n", 8),
        ("replacement", GOOD + "\nAd\ufffd\tO\n", 8),
        ("not-nfc", GOOD + "\nZoe\u0308\tO\n", 8),
        ("full-width", GOOD + "\n\uff21\tO\n", 8),
        ("boundary-punctuation", GOOD + "\nAda\tB-PER\n,\tI-PER\n", 8),
        ("boundary-punctuation", GOOD + "\n(\tB-PER\nAda\tI-PER\n", 8),
        ("duplicate-within", GOOD + "\nLondon\tB-LOC\nsleeps\tO\n", 8),
        ("inconsistent", GOOD + "\nLondon\tB-LOC\n\nthe\tO\nLondon\tB-ORG\n", 11),
    ],
)
def test_each_kind_is_found_at_its_line(check, kind, text, line):
    found = check(text)
    assert kind in found, found
    assert found[kind][0][1] == line


def test_what_is_right_is_not_taken_for_odd(check):
    words = ("naïve", "中", "，", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "👩\u200d🚒")
    sentence = "".join(f"{word}\tO\n" for word in words)
    entity = '(\tB-LOC\nAda\tI-LOC\n)\tI-LOC\n\n"\tB-LOC\nAda\tI-LOC\n"\tI-LOC\n'
    assert check(f"{GOOD}\n{sentence}\n{entity}") == {}


def test_every_fault_of_a_file_is_told_not_only_the_first(check):
    found = check(GOOD * 3 + "\nbad\nx\tB-PER\nbad\n\ny\tQ\nz\tW\n")
    assert [line for _, line, _ in found["wrong-columns"]] == [20, 22]
    assert [line for _, line, _ in found["unknown-tag"]] == [24, 25]


def test_comments_do_not_shift_the_lines(check):
    found = check(GOOD + "\n# one\nAda\tB-PER\n# two\nL\u200b\tI-PER\n")
    assert [line for _, line, _ in found["zero-width"]] == [11]


def test_a_stated_scheme_is_what_the_tags_are_checked_against(check):
    assert check("a\tI-PER\nb\tI-PER\n", scheme=Scheme.IOB1) == {}
    found = check("a\tI-PER\nb\tI-PER\n", scheme=Scheme.IOB2)
    assert [line for _, line, _ in found["invalid-transition"]] == [1]
    found = check("a\tB-PER\nb\tE-PER\n", scheme=Scheme.IOB2)
    assert [line for _, line, _ in found["unknown-tag"]] == [2]


def test_files_are_compared_with_those_before_them(check):
    dev = "Turin\tB-LOC\n\nAda\tB-PER\nLovelace\tI-PER\nsleeps\tO\n"
    found = check(GOOD, dev, dev)
    places = [(file, line) for file, line, _ in found["duplicate-between"]]
    assert places == [(1, 3), (2, 1), (2, 3)]
    assert "0.conll:1: 'Ada Lovelace sleeps'" in found["duplicate-between"][0][2]
    assert "1.conll:1: 'Turin'" in found["duplicate-between"][1][2]


def test_labels_that_a_file_lacks_or_has_rarely(check):
    found = check(GOOD, "Ada\tB-PER\n\nSony\tB-ORG\n", limits=CheckLimits(rare=2))
    assert {(file, message.split(" (see ")[0]) for file, _, message in found["missing-label"]} == {
        (0, "no ORG"),
        (1, "no LOC"),
    }
    assert [(f, n, m) for f, n, m in found["rare-label"]] == [
        (0, 5, "LOC: 1 entities"),
        (0, 1, "PER: 1 entities"),
    ]


def test_a_file_in_another_scheme(check):
    found = check(GOOD, "Ada\tB-PER\nL\tE-PER\n\nTurin\tS-LOC\n")
    assert found["other-scheme"] == [(1, 1, "BIOES here, IOB2 in the first")]


def test_the_least_clear_form_is_told_first(check):
    text = "A\tB-X\n\nA\tB-X\n\nA\tB-Y\n\nB b\tB-X\n\nB b\tB-Y\n\nB b\tB-Y\n\nB b\tB-X\n"
    found = check(text)
    assert [m for _, _, m in found["inconsistent"]] == ["'B b': X 2, Y 2", "'A': X 2, Y 1"]


def test_examples_are_bounded_and_all_are_counted(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("x\u200b\tO\n" * 40, encoding="utf-8")
    checked = check_files([path], max_examples=3)
    (kind,) = checked.as_json()["findings"]
    assert (kind["kind"], kind["count"], len(kind["examples"])) == ("zero-width", 40, 3)
    assert not checked.failed()
    assert checked.failed(strict=True)


def test_a_file_that_is_not_there_and_one_that_is_compressed(tmp_path):
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(GOOD.encode("utf-8")))
    checked = check_files([tmp_path / "nothing", path], limits=NO_LIMITS)
    assert checked.findings.counts == {"unreadable": 1}
    assert [len(file.sentences) for file in checked.files] == [2]
    assert checked.failed()


def test_all_severities_are_used():
    assert {severity for severity, _ in KINDS.values()} == set(Severity)


def test_what_is_open_is_a_note(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Ada B-PER\n\nslept ?\nhere !PER\n", encoding="utf-8")
    findings = check_files([path]).findings.as_json()
    (note,) = [found for found in findings if found["kind"] == "open"]
    assert note["severity"] == "note"
    assert note["examples"][0]["line"] == 3
    assert note["examples"][0]["message"].startswith("1 tokens of which nothing is known (?), 1 ")

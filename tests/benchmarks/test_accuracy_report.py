"""The accuracy page: made of what was measured and of nothing else."""

import json
import re
from dataclasses import replace

import pytest

from benchmarks.accuracy.plan import read_plan
from benchmarks.accuracy.report import TEMPLATE, read_measured, render
from benchmarks.accuracy.tables import TABLES, Measured, cells, finding, sets, spread, verdict
from benchmarks.common.machine import ROOT

PAGE = TEMPLATE.read_text(encoding="utf-8")
PLAN = read_plan()
NOTHING = Measured(PLAN, {})


def made(entry, mean, *, against=None):
    """A row with scores around `mean` per cent."""
    score = {"mean": mean / 100, "sd": 0.001, "min": mean / 100, "max": mean / 100}
    micro = {"precision": mean / 100, "recall": mean / 100, "f1": mean / 100, "support": 9}
    splits = ("dev",) if entry.split == "dev" else ("dev", "test")
    row = {
        "row": entry.name,
        "weights": {"all": 1234, "encoder": 567},
        "f1": {split: {"strict": score, "default": score} for split in splits},
        "seconds": {"mean": 90.0},
        "best_on_dev": 1,
        "runs": [
            {"seed": seed, "epochs": 8 + seed, "scores": {key: {"strict": micro} for key in splits}}
            for seed in range(1, entry.seeds + 1)
        ],
    }
    return row if against is None else row | {"against": against}


def against(difference, seeds, sentences):
    """A comparison with the p of either test."""
    of = {"difference": difference / 100, "over_seeds": seeds and {"p": seeds}}
    return {"dev": of, "test": of | {"over_sentences": {"p": sentences}}}


def measured(**changes):
    """Every row of the plan, at 90 unless stated (with _ for - in names); bases alone if False."""
    rows = {}
    for entry in PLAN.entries:
        test = against(-0.5, 0.2, 0.0001) if entry.base else None
        rows[entry.name] = made(entry, changes.get(entry.name, 90.0), against=test)
    score = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    everyday = [{"model": "en@1", "group": "all", "sentences": 3, **score}]
    return Measured(PLAN, rows, outside(), {"rows": everyday}, few(), added())


def few():
    row = {"variant": "defaults", "set": "a", "size": 50, "draw": 1, "f1": {"test": 0.5}}
    seen = {"train_sentences": 9, "train_seen": 0, "test_sentences": 8, "test_seen": 1}
    return {"rows": [row, {**row, "variant": "init-en", "seen_by_init": seen}]}


def added():
    names = ("old model", "all of MISC from the beginning", "MISC added")
    return {"rows": [{"system": f"Tagbelt, {name}", "old": 0.9, "new": 0.8} for name in names]}


def outside():
    scores = dict.fromkeys(("all", "PER", "LOC", "ORG"))
    scores = {name: {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 4} for name in scores}
    row = {"language": "en", "set": "toy", "scores": scores, "tokens_per_second": 12345.6}
    ours = row | {"system": "ours", "calibration_error": 0.0421, "megabytes": 11.04}
    row |= {"system": "spaCy small", "behind": 0.04, "over_sentences": {"p": 0.01}}
    mapping = {"spaCy": {"GPE": "LOC", "FAC": "LOC", "PERSON": "PER"}}
    chinese = ours | {"language": "zh", "system": "others"}
    return {"rows": [ours, row, chinese], "settings": {"mapping": mapping}}


def lines_with(page, text):
    return [line for line in page.splitlines() if text in line]


def test_the_page_uses_every_table_once():
    assert sorted(re.findall(r"\{\{([^}]+)\}\}", PAGE)) == sorted(TABLES)
    with pytest.raises(KeyError, match="nonsense"):
        render("{{nonsense}}", NOTHING)


def test_the_committed_page_is_what_the_committed_results_make():
    committed = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    expected = render(PAGE, read_measured())
    assert committed == expected, "run python -m benchmarks.accuracy.report"


def test_what_was_not_measured_is_left_out():
    page = render(PAGE, NOTHING)
    assert "Tagbelt, " not in page
    assert page.count("Not measured") == len(TABLES) - 1  # and nothing is missed
    only = Measured(PLAN, {"resume": made(PLAN.by_name["resume"], 95.0)})
    assert len(sets(only).splitlines()) == 3
    assert "wnut17" not in render("{{beside}}{{commands}}", only)


def test_every_table_has_as_many_cells_in_each_line():
    whole = measured()
    for name, table in TABLES.items():
        lines = [line for line in table(whole).splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == (name not in ("missed", "finding")), name


def test_every_row_with_results_is_on_the_page():
    page = render(PAGE, measured())
    for entry in PLAN.entries:
        is_preset = entry.group in ("main", "bundled")
        assert (entry.command if is_preset else entry.what) in page


@pytest.mark.parametrize(
    ("mean", "word"),
    [
        (91.194, "missed by 0.01"),
        (91.196, "met"),
        (91.694, "met"),
        (91.7, "met, and the aim"),
    ],
)
def test_a_target_is_met_by_the_mean_as_it_is_shown(mean, word):
    entry = PLAN.by_name["conll2003"]
    assert (entry.at_least, entry.aim) == (91.2, 91.7)
    assert verdict(entry, made(entry, mean)) == word
    assert verdict(replace(entry, at_least=None), made(entry, mean)) == ""


def test_what_is_missed_is_listed():
    page = render("{{missed}}", measured(resume=94.5, msra=91.0))
    assert "- Resume, characters: 94.50 of 94.9" in page
    assert "MSRA, characters:" not in page


def test_others_stand_around_our_mean_lowest_first():
    lines = lines_with(render("{{beside}}", measured(resume=94.9)), "| Resume |")
    figures = [float(line.split("|")[-2]) for line in lines]
    assert figures == sorted(figures)
    assert [line.split("|")[2].strip() for line in lines][1:3] == [
        "LSTM-CRF",
        "**Tagbelt, resume**",
    ]
    assert all("†" in line for line in lines if "SoftLexicon" in line)


def test_one_seed_has_no_deviation_and_says_how_many_are_wanted():
    entry = PLAN.by_name["resume"]
    row = made(entry, 94.0)
    row["f1"]["dev"]["strict"]["sd"] = None
    row["runs"] = row["runs"][:1]
    assert spread(row, "dev") == "94.00"
    assert "| 1 of 5 |" in sets(Measured(PLAN, {"resume": row}))


def test_the_corrected_test_file_says_of_which_seeds_its_score_is():
    entry = PLAN.by_name["conll2003"]
    row = made(entry, 90.0)
    for run in row["runs"]:
        run["digest"] = f"of {run['seed']}"
    runs = [{"seed": i, "own": 0.91, "scores": {"f1": 0.92 + 0.001 * i}} for i in range(-2, 3)]
    found = {"of": [run["digest"] for run in row["runs"]], "runs": runs}
    assert "| 92.00 ± 0.16 |" in sets(Measured(PLAN, {"conll2003": row | {"corrected": found}}))
    found = {"of": ["another"], "runs": runs[:1]}
    told = sets(Measured(PLAN, {"conll2003": row | {"corrected": found}}))
    assert "| 91.80 (n = 1, test 91.00) |" in told
    assert "| 90.00 ± 0.10 | - |" in sets(Measured(PLAN, {"conll2003": row}))


def test_cells_stand_below_the_lstm_that_they_are_compared_with():
    lines = lines_with(cells(measured()), "| Resume |")
    assert len(lines) == 6
    assert "`lstm`" in lines[0]
    gru = [cell.strip() for cell in lines[-1].split("|")[1:-1]]
    assert gru == [
        "Resume",
        "`gru`",
        "5",
        "90.00 ± 0.10",
        "90.00 ± 0.10",
        "-0.50",
        "0.200",
        "< 0.001",
        "1,234",
        "567",
        "9-13 epochs, 1.5 min",
    ]


def test_the_finding_takes_both_tests_and_lstms_alone():
    whole = measured()
    assert finding(whole).startswith("Of 6 comparisons")
    assert "none is significant" in finding(whole)
    rows = dict(whole.rows)
    for name in ("cell-resume-lstm-coupled", "cell-resume-gru"):
        rows[name] = rows[name] | {"against": against(-0.5, 0.01, 0.01)}
    told = finding(Measured(PLAN, rows))
    assert "1 is significant by both tests at 0.05: `lstm-coupled` on Resume (-0.50)." in told
    assert finding(NOTHING) == "Not measured."


def test_types_are_shown_and_what_each_system_costs():
    page = render("{{mapping}}\n{{outside English}}", measured())
    assert "| spaCy | `GPE`, `FAC` → LOC; `PERSON` → PER |" in page
    (line,) = lines_with(page, "| ours |")
    assert line.endswith("|  |  | 0.042 | 12,346 | 11.0 |")
    (line,) = lines_with(page, "| spaCy small |")
    assert line.endswith("| +4.00 | 0.010 | - | 12,346 | - |")
    assert "| ours |" not in render("{{outside Chinese}}", measured())


def test_results_are_read_where_there_are_some(tmp_path):
    assert read_measured(tmp_path).rows == {}
    part = {"name": "accuracy", "rows": [made(PLAN.by_name["resume"], 95.0)]}
    (tmp_path / "accuracy.json").write_text(json.dumps(part), encoding="utf-8")
    found = read_measured(tmp_path)
    assert list(found.rows) == ["resume"]
    assert found.outside is None

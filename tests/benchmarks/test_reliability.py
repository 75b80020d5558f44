"""The reliability suite: a little of each part, its counting, and its page."""

import random
import re
import tomllib

import pytest

from benchmarks.common.machine import ROOT
from benchmarks.common.record import RESULTS
from benchmarks.reliability import cases, faults, fuzz, http_cases, soak
from benchmarks.reliability.guided import Guided
from benchmarks.reliability.mutation import mutated
from benchmarks.report.page import reliability
from benchmarks.report.results import read_machines
from benchmarks.report.tables import OF_RELIABILITY, PROMISES
from benchmarks.serving.loadgen import Tally
from benchmarks.serving.servers import serving
from tagbelt.errors import DataError


@pytest.mark.parametrize("part", cases.PARTS.values(), ids=cases.PARTS)
def test_a_few_cases_of_each_part(part):
    row = cases.run(part, 25, seed=7)
    assert (row["cases"], row["failures"], row["hangs"]) == (25, 0, 0), row["shown"]


def test_what_goes_wrong_is_counted_and_named():
    def broken(chance, _):
        if chance.random() < 0.5:
            raise DataError("refused in our words")
        raise KeyError("what nobody declared")

    row = cases.run(broken, 20, seed=1, first=100)
    assert row["refused"] + row["failures"] == 20
    assert min(row["refused"], row["failures"]) > 0
    number = int(row["shown"][0].partition(":")[0])
    assert number >= 100
    # A case can be done again alone.
    assert cases.run(broken, 1, seed=1, first=number)["failures"] == 1


def test_a_process_that_crashes_is_counted(tmp_path):
    (tmp_path / "crashing.py").write_text("import os; os.abort()", encoding="utf-8")
    row = fuzz.in_process(["crashing"], 3, {"PYTHONPATH": str(tmp_path)})
    assert row["crashes"] == 1


def test_a_case_follows_from_its_seed():
    seeds = [b'{"text": "Toyota"}', b"[1, 2]"]
    drawn = [mutated(random.Random(3), seeds) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len({mutated(random.Random(n), seeds) for n in range(50)}) > 40


GATES = """
def gates(content, _):
    if content[:1] == b"{":
        if content[1:2] == b"[":
            raise KeyError("behind two gates")
"""


def test_coverage_leads_deeper_than_chance_and_every_time_in_the_same_way(tmp_path):
    found = {}
    exec(compile(GATES, tmp_path / "tagbelt" / "gates.py", "exec"), found)

    def led():
        return cases.run(Guided(found["gates"], lambda _: [b"abcd"]), 1200, seed=1)

    row = led()
    assert row["failures"] > 0
    assert "behind two gates" in row["shown"][0]
    assert "input: b'{[" in row["shown"][0]
    assert led()["shown"] == row["shown"]

    def blind(chance, folder):
        found["gates"](mutated(chance, [b"abcd"]), folder)

    assert cases.run(blind, 1200, seed=1)["failures"] == 0


def test_a_server_answers_whatever_it_is_sent():
    with serving(cases.GOLDEN, "--threads", "1") as server:
        for part in (http_cases.bodies, http_cases.raw):
            row = part(server, 40, 3)
            assert row["failures"] == 0, row["shown"]
            assert sum(row["statuses"].values()) == 40
        http_cases.alive(server)
        assert server.ask("GET", "/readyz")[0] == 200


def test_the_soak_tells_right_from_wrong():
    wanted = soak.Expectation()
    wanted.add("http://localhost:1", b"", [{"entities": []}])
    wanted.add("http://localhost:1", b"", None)

    def answer(number, status, body):
        head = f"HTTP/1.1 {status} X\r\nX-Request-Id: soak-{number}\r\n\r\n"
        wanted.check(status, head.encode() + body)

    answer(0, 200, b'{"results": [{"entities": []}]}')
    answer(0, 200, b'{"results": [{"entities": [{}]}]}')
    answer(0, 429, b"")
    answer(1, 422, b"")
    answer(1, 200, b'{"results": []}')
    assert wanted.counts == {"right": 1, "wrong": 2, "busy": 1, "refused": 1}
    assert len(wanted.shown) == 2


def test_growth_is_told_from_what_comes_and_goes():
    chance = random.Random(5)
    seconds = list(range(900))
    busy = [chance.choice((0.0, 5.0, 30.0)) for _ in seconds]
    for growth in (0.0, 100 / 3600):
        used = [200 + growth * second + one for second, one in zip(seconds, busy, strict=True)]
        found, error = soak.trend(seconds, used)
        assert found == pytest.approx(growth / 200, abs=0.02 / 3600)
        assert error < 0.01 / 3600


def test_goodput_is_told_for_before_during_and_after():
    tally = Tally(statuses=[200] * 22 + [429] * 5 + [500, 0], due=[0.5] * 20 + [1.5] * 9)
    row = faults._row("a fault", tally, 0.25, 0, 1.0)
    assert (row["before"], row["during"], row["after"]) == (1, 2 / 9, 0)
    assert (row["answered"], row["refused"], row["undeclared"], row["lost"]) == (22, 5, 1, 1)


def test_the_long_form_has_as_many_cases_as_the_page_says():
    sums = [sum(sizes) for sizes in zip(*fuzz.COUNTS.values(), strict=True)]
    assert sums == [6000, 52_000, 300_000]


def test_the_committed_page_is_what_the_committed_results_make():
    committed = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    command = "run python -m benchmarks.report.page --only reliability.md"
    assert committed == reliability(RESULTS), command
    assert not {"fuzz", "soak"} & {n for found in read_machines(RESULTS).values() for n in found}


def test_each_promise_names_tests_that_exist():
    for promise in tomllib.loads(PROMISES.read_text(encoding="utf-8"))["promise"]:
        assert promise["tests"], promise["says"]
        for name in promise["tests"]:
            assert (ROOT / name).is_file(), name


def test_each_fault_names_tests_that_exist():
    page = PROMISES.with_name("reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", page)
    assert len(named) == page.count("`tests/") > 21
    for path, name in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{path}::{name}"


def test_a_page_of_nothing_says_so(tmp_path):
    page = reliability(tmp_path)
    assert page.count("Not measured.") >= 5
    assert "not measured |" in page


def test_the_page_uses_every_table_of_its_own():
    page = (PROMISES.with_name("reliability.md")).read_text(encoding="utf-8")
    assert all(f"{{{{table {name}}}}}" in page for name in OF_RELIABILITY)

"""Processes side by side. What they run is of the standard library, so that any process has it."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagbelt.training.run.workers import Task, run_tasks

ROOT = Path(__file__).parents[3]


def anything(_):
    return True


def test_each_task_ends_with_its_own_exit_code():
    tasks = {3: Task(int, ("0",)), 1: Task(int, ("5",)), 2: Task(os.abort, ())}
    codes = dict(run_tasks(tasks, jobs=3, begins=anything))
    assert codes == {3: 0, 1: 5, 2: -6}


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_than_the_jobs_run_at_a_time_and_all_have_their_turn(jobs):
    running, most, begun = set(), [], []

    def begins(number):
        running.add(number)
        begun.append(number)
        most.append(len(running))
        return True

    for number, _ in run_tasks({n: Task(int, ("0",)) for n in range(3)}, jobs=jobs, begins=begins):
        running.remove(number)
    assert begun == [0, 1, 2]
    assert max(most) == jobs
    assert not running


def test_after_a_refusal_nothing_begins_and_what_runs_is_waited_for():
    asked = []

    def only_the_first(number):
        asked.append(number)
        return number == 0

    tasks = {n: Task(int, ("0",)) for n in range(4)}
    assert list(run_tasks(tasks, jobs=2, begins=only_the_first)) == [(0, 0)]
    assert asked == [0, 1]


def test_what_a_process_says_goes_to_the_end_of_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n", encoding="utf-8")
    tasks = {
        0: Task(os.system, ("echo out; echo err >&2",), log),
        1: Task(int, ("no number",), tmp_path / "other"),
    }
    assert dict(run_tasks(tasks, jobs=1, begins=anything)) == {0: 0, 1: 1}
    assert log.read_text(encoding="utf-8") == "before\nout\nerr\n"
    assert "ValueError: invalid literal" in (tmp_path / "other").read_text(encoding="utf-8")


def test_who_stops_early_leaves_no_process_behind():
    tasks = {0: Task(int, ("0",)), 1: Task(time.sleep, (60,))}
    results = run_tasks(tasks, jobs=2, begins=anything)
    assert next(results) == (0, 0)
    assert len(multiprocessing.active_children()) == 1
    results.close()
    assert multiprocessing.active_children() == []


PROGRAM = """
import os, time
from tagbelt.training.run.workers import Task, run_tasks
tasks = {0: Task(os.write, (1, b"here")), 1: Task(time.sleep, (60,))}
list(run_tasks(tasks, jobs=2, begins=lambda _: True))
"""


def test_a_process_ends_with_the_one_that_started_it_however_that_ends():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE) as one:
        assert one.stdout.read(4) == b"here"
        one.kill()
        # The pipe is at its end once nobody holds it, and every process has inherited it.
        assert one.stdout.read() == b""

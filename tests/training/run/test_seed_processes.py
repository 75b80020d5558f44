"""Seeds side by side, each a process; here they run small programs instead of a training."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tagbelt.training.run import seeds
from tagbelt.training.run.seeds import SeedTask, run_tasks

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Let a task's first argument be a program."""
    monkeypatch.setattr(seeds, "TRAIN", ("-c",))


def leave(code):
    return SeedTask((f"raise SystemExit({code})",))


def anything(_):
    return True


def writes_its_id(path):
    return f"import os; open({str(path)!r}, 'w').write(str(os.getpid())); "


def waits_for(path):
    return SeedTask(
        (f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.01)",)
    )


def is_gone(path):
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text(encoding="utf-8")), 0)
    return True


def test_each_seed_ends_with_its_own_exit_code():
    tasks = {3: leave(0), 1: leave(5), 2: SeedTask(("import os; os.abort()",))}
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

    for number, _ in run_tasks({n: leave(0) for n in range(3)}, jobs=jobs, begins=begins):
        running.remove(number)
    assert begun == [0, 1, 2]
    assert max(most) == jobs
    assert not running


def test_after_a_refusal_nothing_begins_and_what_runs_is_waited_for():
    asked = []

    def only_the_first(number):
        asked.append(number)
        return number == 0

    tasks = {n: leave(0) for n in range(4)}
    assert list(run_tasks(tasks, jobs=2, begins=only_the_first)) == [(0, 0)]
    assert asked == [0, 1]


def test_what_a_process_says_goes_to_the_end_of_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n", encoding="utf-8")
    says = "import os; os.system('echo out; echo err >&2')"
    tasks = {0: SeedTask((says,), log), 1: SeedTask(("int('no number')",), tmp_path / "other")}
    assert dict(run_tasks(tasks, jobs=1, begins=anything)) == {0: 0, 1: 1}
    assert log.read_text(encoding="utf-8") == "before\nout\nerr\n"
    assert "ValueError: invalid literal" in (tmp_path / "other").read_text(encoding="utf-8")


def test_who_stops_early_leaves_no_process_behind(tmp_path):
    place = tmp_path / "id"
    sleeps = SeedTask((f"{writes_its_id(place)} import time; time.sleep(60)",))
    results = run_tasks({0: waits_for(place), 1: sleeps}, jobs=2, begins=anything)
    assert next(results) == (0, 0)
    results.close()
    assert is_gone(place)


def test_a_process_that_does_not_leave_when_asked_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "GRACE", 0.1)
    place = tmp_path / "id"
    stays = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    stays += f"{writes_its_id(place)} time.sleep(60)"
    results = run_tasks({0: waits_for(place), 1: SeedTask((stays,))}, jobs=2, begins=anything)
    assert next(results) == (0, 0)
    results.close()
    assert is_gone(place)


SERIES = """
from tagbelt.training.run import seeds
seeds.TRAIN = ("-c",)
child = "from tagbelt.training.run.seeds import end_with_parent; end_with_parent(); "
child += "import os, time; os.write(1, b'here'); time.sleep(60)"
list(seeds.run_tasks({0: seeds.SeedTask((child,))}, jobs=1, begins=lambda _: True))
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_seed_ends_with_the_series_however_that_ends(end):
    with subprocess.Popen(
        [sys.executable, "-c", SERIES], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as series:
        assert series.stdout.read(4) == b"here"
        series.send_signal(end)
        # The pipe is at its end once nobody holds it, and every process has inherited it.
        assert series.stdout.read() == b""


def test_an_interrupt_of_the_terminal_is_left_to_the_series():
    """^C reaches the seed as well: it goes on until the series ends it."""
    program = "import os, time; from tagbelt.training.run.seeds import end_with_parent; "
    program += "end_with_parent(); os.write(1, b'here'); time.sleep(0.5); os.write(1, b' still')"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as seed:
        assert seed.stdout.read(4) == b"here"
        seed.send_signal(signal.SIGINT)
        assert seed.stdout.read() == b" still"
    assert seed.returncode == 0

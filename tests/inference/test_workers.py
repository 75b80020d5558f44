import multiprocessing
import pickle
import threading
import time
from copy import copy, deepcopy
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tagbelt.errors import CheckpointError
from tagbelt.inference.scoring.vector_cache import VectorCache, vector_row
from tagbelt.inference.tagger import Tagger
from tagbelt.inference.threads import _AHEAD, Workers

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("jobs", [0, 1, 2, 3, 200])
def test_results_come_in_order(workers, jobs):
    def job(i):
        time.sleep(0.001 * (i % 3))  # later ones are done earlier
        return i

    pool = Workers(workers)
    for _ in range(2):
        made = pool.run((lambda i=i: job(i)) for i in range(jobs))
        assert list(made) == list(range(jobs))


def test_as_many_jobs_run_at_once_as_there_are_workers():
    together = threading.Barrier(3, timeout=30)
    lock = threading.Lock()
    running, most = 0, 0

    def job():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()  # raises unless three come together
        with lock:
            running -= 1

    assert list(Workers(3).run([job] * 30)) == [None] * 30
    assert most == 3


@pytest.mark.parametrize(("workers", "jobs"), [(1, 5), (4, 1), (4, 0)])
def test_a_single_job_runs_on_the_callers_thread(workers, jobs):
    pool = Workers(workers)
    threads = set(pool.run([threading.get_ident] * jobs))
    assert threads <= {threading.get_ident()}
    assert pool._executor is None


def test_no_more_jobs_are_begun_than_results_are_wanted_soon():
    begun = []
    results = Workers(2).run((lambda i=i: begun.append(i)) for i in count())
    for _ in range(50):
        next(results)
    assert 50 <= len(begun) <= 50 + 2 * _AHEAD + 1
    results.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_comes_in_its_turn_and_ends_the_rest(workers):
    begun = []

    def job(i):
        begun.append(i)
        if i == 5:
            raise KeyError("five")
        return i

    pool = Workers(workers)
    results = pool.run((lambda i=i: job(i)) for i in range(10_000))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="five"):
        next(results)
    assert len(begun) < 100
    assert list(results) == []
    assert list(pool.run([lambda: 1, lambda: 2])) == [1, 2]


def test_a_failure_to_make_a_job_is_raised_too():
    def jobs():
        yield from [lambda: 1] * 3
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(Workers(2).run(jobs()))


def test_nothing_runs_on_when_the_caller_stops_reading():
    running = threading.Semaphore(0)
    done = []

    def job(i):
        if i:
            running.release()
            time.sleep(0.02)
        done.append(i)
        return i

    results = Workers(2).run((lambda i=i: job(i)) for i in range(1000))
    assert next(results) == 0
    running.acquire()  # one more is being worked on
    results.close()
    finished = len(done)
    time.sleep(0.1)
    assert len(done) == finished < 30


def test_many_callers_share_the_threads():
    pool = Workers(2)
    with_all = [None] * 6

    def call(i):
        with_all[i] = list(pool.run((lambda j=j: (i, j)) for j in range(100)))

    threads = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert with_all == [[(i, j) for j in range(100)] for i in range(6)]
    assert len(pool._executor._threads) == 2


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers):
    with pytest.raises(ValueError, match=f"at least 1 worker, got {workers}"):
        Workers(workers)


def in_child(work):
    """Run something in a forked child; True if it came to its end within a minute."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    if child.exitcode is None:
        child.kill()
    return child.exitcode == 0


def test_workers_work_in_a_forked_child():
    pool = Workers(2)
    jobs = [threading.get_ident] * 4
    assert len(list(pool.run(jobs))) == 4
    assert in_child(lambda: list(pool.run(jobs)))
    with pool._lock:  # another thread may be starting them
        assert in_child(lambda: list(pool.run(jobs)))


def test_a_cache_works_in_a_child_that_was_forked_while_a_thread_was_at_it():
    cache = VectorCache(
        lambda forms: np.ones((len(forms), 2), np.float32), vector_row(np.float32, 2)
    )
    cache.find(["a", "b"])
    with cache._lock:
        assert in_child(lambda: cache.find(["a", "c"]))
    assert cache.use().misses == 2  # the parent's


def test_a_used_tagger_works_in_a_forked_child():
    tagger = Tagger.load(GOLDEN / "checkpoint", threads=2)
    texts = ["Anna went to Paris."] * 3000
    before = tagger.tag(texts)

    def again():
        assert tagger.tag(texts) == before

    assert in_child(again)


def test_a_tagger_is_pickled_and_copied_as_its_path():
    tagger = Tagger.load(GOLDEN / "checkpoint", threads=1)
    tagger.info = replace(tagger.info, name="other")
    for made in (pickle.loads(pickle.dumps(tagger)), deepcopy(tagger), copy(tagger)):
        assert made is not tagger
        assert made.info == tagger.info
        assert made.tag(["Anna went to Paris."]) == tagger.tag(["Anna went to Paris."])


def test_a_pickled_tagger_of_another_checkpoint_is_refused():
    tagger = Tagger.load(GOLDEN / "checkpoint", threads=1)
    tagger.info = replace(tagger.info, digest="0" * 64)
    with pytest.raises(CheckpointError, match="is another checkpoint"):
        deepcopy(tagger)
    tagger._origin = None
    with pytest.raises(TypeError, match="loaded from a checkpoint"):
        pickle.dumps(tagger)

import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.inference.scoring.vector_cache import (
    CHARACTERS,
    VectorCache,
    VectorCacheUse,
    vector_row,
)

SIZE = 3


def vector(form):
    """Numbers that only this form has."""
    digest = blake2b(form.encode("utf-8"), digest_size=4 * SIZE).digest()
    return np.frombuffer(digest, "<u4").astype(np.float32)


class Compute:
    def __init__(self):
        self.forms = []
        self.largest = 0

    def __call__(self, forms):
        self.forms += forms
        self.largest = max(self.largest, len(forms))
        return np.stack([vector(form) for form in forms])


def cache(capacity=8):
    compute = Compute()
    return VectorCache(compute, vector_row(np.float32, SIZE), capacity=capacity), compute


def gather(table, forms):
    return table.find(forms).gather(np.arange(len(forms)))


@given(st.lists(st.lists(st.text("abc", max_size=2), min_size=1, max_size=20), max_size=30))
def test_vectors_are_those_that_are_computed(batches):
    table, _ = cache(capacity=8)
    largest = max((len(set(forms)) for forms in batches), default=0)
    for forms in batches:
        assert np.array_equal(gather(table, forms), [vector(form) for form in forms])
        assert len(table) <= max(8, largest)


def test_the_vectors_of_any_places_are_gathered_and_zeros_for_none():
    table, _ = cache()
    index = np.array([[-1, 0, 2], [1, -1, -1]])
    grid = table.find(["a", "b", "a"]).gather(index)
    assert grid.shape == (2, 3, SIZE)
    expected = {0: vector("a"), 1: vector("b"), 2: vector("a"), -1: np.zeros(SIZE)}
    for place, found in zip(index.flat, grid.reshape(6, SIZE), strict=True):
        assert np.array_equal(found, expected[place])


def test_what_was_found_stays_when_the_table_grows_and_when_it_is_emptied():
    table, compute = cache(capacity=2000)
    held = [(forms, table.find(forms)) for forms in (["a", "b"], ["b", "c", "a"])]
    for part in range(6):
        forms = [f"{part}-{i}" for i in range(900)]
        held.append((forms, table.find(forms)))
        for own, found in held:
            expected = [vector(form) for form in own]
            assert np.array_equal(found.gather(np.arange(len(own))), expected)
    gather(table, ["a"])
    assert compute.forms.count("a") == 2


def test_a_form_is_computed_once():
    table, compute = cache()
    for forms in (["a", "b", "a"], ["b", "c"], ["a", "b", "c"] * 5):
        gather(table, forms)
    assert compute.forms == ["a", "b", "c"]
    assert len(table) == 3


def test_ever_new_words_cannot_make_it_grow():
    table, _ = cache(capacity=100)
    largest = 0
    for i in range(2000):
        gather(table, [f"{i}-{j}" for j in range(10)])
        largest = max(largest, len(table))
        assert len(table._table) <= 101
    assert largest == 100


def test_the_table_grows_no_faster_than_it_fills():
    table, _ = cache(capacity=100_000)
    gather(table, [str(i) for i in range(3000)])
    assert 3001 <= len(table._table) <= 6002


def test_long_words_cannot_make_it_grow_either():
    table, compute = cache(capacity=100)
    kept = 0
    for i in range(50):
        gather(table, [f"{i}" + "x" * 1000])
        kept = max(kept, sum(map(len, table._rows)))
    assert 1000 < kept <= 100 * CHARACTERS
    assert len(compute.forms) == 50
    huge = "y" * 100 * CHARACTERS * 2
    assert np.array_equal(gather(table, [huge, "a"]), [vector(huge), vector("a")])
    gather(table, ["b"])
    assert set(table._rows) == {"b"}


def test_a_batch_beyond_the_capacity_works_and_is_forgotten():
    table, compute = cache(capacity=8)
    gather(table, ["before"])
    many = [f"w{i}" for i in range(3000)]
    assert np.array_equal(gather(table, many), [vector(form) for form in many])
    assert compute.largest == 3000
    gather(table, ["after"])
    assert len(table) == 1
    assert len(table._table) == 9
    assert np.array_equal(gather(table, ["after"]), [vector("after")])


def test_forms_in_use_outlive_a_full_table():
    table, compute = cache(capacity=3)
    for i in range(50):
        assert np.array_equal(gather(table, ["the", f"new-{i}"])[0], vector("the"))
    assert compute.forms.count("the") == 1
    assert len(compute.forms) == 51


def test_what_was_forgotten_is_computed_anew():
    table, compute = cache(capacity=2)
    for form in ("a", "b", "c", "d", "e", "a"):
        gather(table, [form])
    assert compute.forms == ["a", "b", "c", "d", "e", "a"]


def test_all_that_is_kept_is_bounded():
    table, _ = cache(capacity=8)
    for size in (3, 3000, 1, 9, 2, 8, 8, 8, 20, 5):
        gather(table, [f"{size}-{i}" for i in range(size)])
        kept = len(table._older[0]), len(table._older[1])
        assert kept <= (8, 9)


def test_a_failure_leaves_the_table_right():
    table, compute = cache(capacity=4)
    gather(table, ["a", "b"])
    working = table._compute
    table._compute = lambda _: 1 / 0
    for forms in (["c"], ["c", "d", "e"]):
        with pytest.raises(ZeroDivisionError):
            gather(table, ["a", *forms])
    table._compute = working
    forms = ["c", "a", "d", "b"]
    assert np.array_equal(gather(table, forms), [vector(form) for form in forms])
    assert compute.forms.count("c") == 1


def test_many_threads_get_what_one_gets():
    table, _ = cache(capacity=16)  # emptied again and again
    rng = np.random.default_rng(0)
    jobs = [[f"w{i}" for i in rng.integers(0, 40, size=rng.integers(1, 25))] for _ in range(400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda forms: gather(table, forms), jobs))
    for forms, vectors in zip(jobs, found, strict=True):
        assert np.array_equal(vectors, [vector(form) for form in forms])


class Gated(Compute):
    """Computes when it may; `begun` says that it would."""

    def __init__(self):
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()

    def __call__(self, forms):
        self.begun.release()
        assert self.gate.wait(timeout=30)
        return super().__call__(forms)


@pytest.fixture
def gated():
    """A cache of 3 forms that knows "a" and "b" and computes no more until its gate opens."""
    compute = Gated()
    compute.gate.set()
    table = VectorCache(compute, vector_row(np.float32, SIZE), capacity=3)
    gather(table, ["a", "b"])
    compute.gate.clear()
    assert compute.begun.acquire(timeout=30)
    with ThreadPoolExecutor(2) as pool:
        yield table, compute, pool
        compute.gate.set()


def right(found, forms):
    return np.array_equal(found, [vector(form) for form in forms])


def test_forms_at_hand_do_not_wait_for_one_that_is_computed(gated):
    table, compute, pool = gated
    waiting = pool.submit(gather, table, ["a", "new"])
    assert compute.begun.acquire(timeout=30)
    assert right(gather(table, ["b", "a"]), ["b", "a"])
    assert not waiting.done()
    compute.gate.set()
    assert right(waiting.result(), ["a", "new"])


def test_two_threads_may_compute_the_same_form(gated):
    table, compute, pool = gated
    jobs = [pool.submit(gather, table, ["new", "b"]) for _ in range(2)]
    for _ in jobs:
        assert compute.begun.acquire(timeout=30)
    compute.gate.set()
    assert all(right(job.result(), ["new", "b"]) for job in jobs)
    assert compute.forms == ["a", "b", "new", "new"]
    assert len(table) == 3


def test_what_is_forgotten_while_others_are_computed_is_computed_too(gated):
    table, compute, pool = gated
    waiting = pool.submit(gather, table, ["a", "new"])
    assert compute.begun.acquire(timeout=30)
    working, table._compute = table._compute, Compute()
    for forms in (["c", "d"], ["e", "f"], ["g", "h"]):  # full twice over, so "a" is gone
        gather(table, forms)
    table._compute = working
    compute.gate.set()
    assert right(waiting.result(), ["a", "new"])
    assert compute.forms == ["a", "b", "new", "a"]


def test_hits_and_misses_are_counted():
    table, _ = cache(capacity=3)
    assert table.use() == VectorCacheUse(hits=0, misses=0)
    gather(table, ["a", "b", "a"])  # what is new is computed once
    assert table.use() == VectorCacheUse(hits=1, misses=2)
    gather(table, ["b", "a"])
    assert table.use() == VectorCacheUse(hits=3, misses=2)
    gather(table, ["a", "c", "d"])  # begins anew, but keeps "a" at hand
    assert table.use() == VectorCacheUse(hits=4, misses=4)
    gather(table, ["b"])
    assert table.use() == VectorCacheUse(hits=5, misses=4)


@given(st.lists(st.lists(st.text("abc", max_size=2), min_size=1, max_size=9), max_size=30))
def test_misses_are_what_was_computed(batches):
    table, compute = cache(capacity=4)
    for forms in batches:
        gather(table, forms)
    assert table.use() == VectorCacheUse(
        sum(map(len, batches)) - len(compute.forms), len(compute.forms)
    )

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tagbelt.training.loop.loop import POOL, bucketed_batches

SIZES = st.integers(1, 7)


@given(st.lists(st.integers(1, 60), max_size=80), SIZES, st.integers(0, 9), st.integers(1, 9))
def test_every_sentence_stands_in_exactly_one_batch(lengths, size, seed, epoch):
    batches = bucketed_batches(lengths, size, seed=seed, epoch=epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)
    assert len(batches) == -(-len(lengths) // size), "one batch a pool at most is not full"


@given(st.lists(st.integers(1, 60), max_size=POOL), SIZES)
def test_batches_of_a_pool_do_not_overlap_in_length(lengths, size):
    batches = bucketed_batches(lengths, size, seed=1, epoch=1)
    ranges = sorted((min(row), max(row)) for row in ([lengths[i] for i in b] for b in batches))
    assert all(before <= after for (_, before), (after, _) in pairwise(ranges))


def test_little_is_padded():
    lengths = [1 + (i * 37) % 90 for i in range(4000)]
    batches = bucketed_batches(lengths, 16, seed=1, epoch=1)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


def test_the_order_depends_on_seed_and_epoch_alone():
    lengths = [1 + (i * 7) % 23 for i in range(200)]

    def order(seed, epoch):
        return bucketed_batches(lengths, 8, seed=seed, epoch=epoch)

    assert order(1, 2) == order(1, 2)
    assert len({str(order(seed, epoch)) for seed in (1, 2, 11) for epoch in (1, 2, 11)}) == 9


def test_batches_are_not_in_order_of_length():
    lengths = list(range(1, 101))
    firsts = [batch[0] for batch in bucketed_batches(lengths, 5, seed=1, epoch=1)]
    assert firsts != sorted(firsts)

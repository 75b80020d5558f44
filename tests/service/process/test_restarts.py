from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.process.spawn import HEALTHY_SECONDS, LONGEST_SECONDS, Restarts


def test_the_waits_grow_from_none_to_half_a_minute():
    restarts = Restarts()
    waits = [restarts.wait_after(lived=0.1) for _ in range(9)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_good_minute_starts_it_all_over():
    restarts = Restarts()
    assert [restarts.wait_after(1) for _ in range(3)] == [0, 0.5, 1]
    assert [restarts.wait_after(60), restarts.wait_after(1)] == [0, 0.5]


@given(st.lists(st.floats(0, 2 * HEALTHY_SECONDS)))
def test_no_wait_is_longer_than_it_says_and_only_a_good_minute_shortens_it(lives):
    restarts, before = Restarts(), -1.0
    for lived in lives:
        wait = restarts.wait_after(lived)
        assert 0 <= wait <= LONGEST_SECONDS
        assert wait == 0 if lived >= HEALTHY_SECONDS else wait >= before
        before = wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.access.rates import Limiter, Rate, client_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize(("per_second", "burst"), [(0.1, 1), (1.0, 1), (1.5, 2), (50.0, 50)])
def test_a_burst_is_a_second_of_requests_unless_given(per_second, burst):
    assert Rate.of(per_second) == Rate(per_second, burst)
    assert Rate.of(per_second, 7) == Rate(per_second, 7)


def test_a_burst_then_the_rate(clock):
    limiter, rate = Limiter(clock=clock), Rate(2.0, 3)
    assert [limiter.wait("a", rate) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    clock.now += 0.5
    assert [limiter.wait("a", rate) for _ in range(2)] == [0, 0.5]
    clock.now += 3600
    assert [limiter.wait("a", rate) for _ in range(4)] == [0, 0, 0, 0.5]


def test_each_client_has_its_own(clock):
    limiter, rate = Limiter(clock=clock), Rate(1.0, 1)
    assert limiter.wait("a", rate) == 0
    assert limiter.wait("b", rate) == 0
    assert limiter.wait("a", rate) == 1


def test_a_changed_rate_starts_anew(clock):
    limiter = Limiter(clock=clock)
    assert limiter.wait("a", Rate(1.0, 1)) == 0
    assert limiter.wait("a", Rate(0.5, 1)) == 0
    assert limiter.wait("a", Rate(0.5, 1)) == 2


def test_the_table_is_bounded_and_keeps_those_that_ask(clock):
    limiter, rate = Limiter(max_clients=2, clock=clock), Rate(0.001, 1)
    for client in ("busy", "b", "busy", "c"):
        limiter.wait(client, rate)
    assert limiter.wait("busy", rate) > 0
    assert limiter.wait("b", rate) == 0
    assert len(limiter._buckets) == 2


@given(
    st.floats(0.01, 1000),
    st.integers(1, 20),
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(per_second, burst, pauses):
    clock = Clock()
    limiter, rate = Limiter(clock=clock), Rate(per_second, burst)
    admitted = []
    for pause in pauses:
        clock.now += pause / per_second
        if limiter.wait("a", rate) == 0:
            admitted.append(clock.now)
    for first, start in enumerate(admitted):
        for last in range(first, len(admitted)):
            allowed = burst + (admitted[last] - start) * per_second
            assert last - first + 1 <= allowed + 0.001


@given(st.floats(0.01, 1000), st.integers(1, 20), st.lists(st.floats(0, 2), max_size=40))
def test_who_waits_as_told_is_let_in(per_second, burst, pauses):
    clock = Clock()
    limiter, rate = Limiter(clock=clock), Rate(per_second, burst)
    for pause in pauses:
        clock.now += pause / per_second
        wait = limiter.wait("a", rate)
        assert 0 <= wait <= 1 / per_second
        if wait:
            clock.now += wait
            assert limiter.wait("a", rate) == 0


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_who_a_client_is(host, client):
    assert client_of(host) == client

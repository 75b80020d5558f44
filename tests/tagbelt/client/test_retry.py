"""What is tried again, when, and when it is given up."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagbelt.client import (
    ConflictError,
    ConnectionFailedError,
    DeadlineError,
    NotReadyError,
    OverloadedError,
    ReplyError,
    Retry,
    ServerError,
    StatusError,
)
from tagbelt.client.exchange import Deadline, retry_after
from tests.tagbelt.client.scripted import SOLE, problem, reply, scripted, tagged

PASSING = {
    "overloaded": problem(429),
    "bad gateway": reply(502, text="bad gateway"),
    "not ready": problem(503, "not-ready"),
    "late gateway": reply(504, text="the gateway's own"),
    "refused": httpx.ConnectError("refused"),
    "slow": httpx.ConnectTimeout("slow"),
    "reset": httpx.ReadError("reset"),
    "closed": httpx.RemoteProtocolError("server disconnected"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_tried_again(kind, fault):
    client, sent, time = scripted(kind, [fault, fault, tagged()])
    with client:
        assert client.tag("a").entities == ()
    assert len(sent) == 3
    assert time.slept == [0.125, 0.25]  # half of 0.25, half of 0.5
    assert len({request.headers["x-request-id"] for request in sent}) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422, 500])
def test_any_other_refusal_is_not(kind, status):
    client, sent, _ = scripted(kind, [problem(status)])
    with client, pytest.raises(StatusError) as raised:
        client.tag("a")
    assert raised.value.problem.status == status
    assert len(sent) == 1


def test_a_reply_that_cannot_be_decoded_is_not(kind):
    broken = reply(200, headers={"content-encoding": "gzip"}, stream=Bytes(b"no gzip"))
    client, sent, _ = scripted(kind, [broken])
    with client, pytest.raises(ConnectionFailedError, match="no answer") as raised:
        client.tag("a")
    assert isinstance(raised.value.__cause__, httpx.DecodingError)
    assert len(sent) == 1


class Bytes(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        yield self.body

    async def __aiter__(self):
        yield self.body


def test_the_last_failure_is_raised_when_the_tries_are_used_up(kind):
    replies = [httpx.ConnectError("first"), problem(429), httpx.ReadError("last")]
    client, sent, _ = scripted(kind, replies, retries=2)
    with client, pytest.raises(ConnectionFailedError, match="last") as raised:
        client.tag("a")
    assert isinstance(raised.value.__cause__, httpx.ReadError)
    assert sent[0].headers["x-request-id"] in str(raised.value)


def test_the_server_may_ask_for_a_longer_pause(kind):
    client, _, time = scripted(kind, [problem(429, headers={"retry-after": "7"}), tagged()])
    with client:
        client.tag("a")
    assert time.slept == [7.0]


def test_but_not_beyond_the_deadline(kind):
    client, sent, time = scripted(kind, [problem(429, headers={"retry-after": "7"})], timeout=7)
    with client, pytest.raises(OverloadedError) as raised:
        client.tag("a")
    assert raised.value.retry_after == 7
    assert (time.slept, len(sent)) == ([], 1)


def test_the_server_is_told_what_is_left(kind):
    def slow(_, time):
        time.now += 4
        return problem(503)

    client, sent, _ = scripted(kind, [slow, tagged()], timeout=10, random=lambda: 0.0)
    with client:
        client.tag("a")
    assert [request.headers["x-request-timeout"] for request in sent] == ["10.000", "6.000"]


def test_without_a_timeout_nothing_is_said_of_it(kind):
    client, sent, _ = scripted(kind, [tagged()])
    with client:
        client.tag("a", timeout=None)
    assert "x-request-timeout" not in sent[0].headers


def test_a_call_ends_at_its_deadline(kind):
    def hangs(request, time):
        time.now += 3
        return httpx.ReadTimeout("nothing came", request=request)

    client, sent, _ = scripted(kind, [hangs])
    with client, pytest.raises(DeadlineError, match=r"no answer within 3 s \(request \w+\)"):
        client.tag("a", timeout=3)
    assert len(sent) == 1
    assert issubclass(DeadlineError, TimeoutError)


def test_many_texts_have_one_deadline_and_a_stream_one_for_each_request(kind):
    def slow(_, time):
        time.now += 2
        return tagged()

    client, sent, _ = scripted(kind, [slow] * 3, max_items=1, **SOLE[kind])
    with client, pytest.raises(DeadlineError):
        client.tag_many(["a", "b", "c"], timeout=3.5)
    assert len(sent) == 2

    client, sent, _ = scripted(kind, [slow] * 3, max_items=1, **SOLE[kind])
    with client:
        assert len(list(client.stream(["a", "b", "c"], timeout=3.5))) == 3


def test_a_deadline_that_the_server_kept_is_not_tried_again(kind):
    client, sent, _ = scripted(kind, [problem(504, "deadline-exceeded")])
    with client, pytest.raises(DeadlineError, match="it is so") as raised:
        client.tag("a")
    assert raised.value.problem.status == 504
    assert len(sent) == 1


def test_admin_calls_are_sent_once(kind):
    calls = [
        lambda client: client.load("en"),
        lambda client: client.reload("en"),
        lambda client: client.unload("en"),
        lambda client: client.set_default("en"),
        lambda client: client.rescan(),
    ]
    for call in calls:
        client, sent, _ = scripted(kind, [problem(503)])
        with client, pytest.raises(NotReadyError):
            call(client)
        assert len(sent) == 1
    client, sent, _ = scripted(kind, [httpx.ConnectError("refused")])
    with client, pytest.raises(ConnectionFailedError):
        client.load("en")
    client, _, _ = scripted(kind, [problem(409)])
    with client, pytest.raises(ConflictError):
        client.unload("en")


def test_readiness_is_asked_once(kind):
    for answer, ready in [
        (reply(200, json={"status": "ok"}), True),
        (problem(503, "not-ready"), False),
        (httpx.ConnectError("refused"), False),
    ]:
        client, sent, _ = scripted(kind, [answer])
        with client:
            assert client.ready() is ready
        assert len(sent) == 1
    client, _, _ = scripted(kind, [problem(500)])
    with client, pytest.raises(ServerError):
        client.ready()


@pytest.mark.parametrize(
    "strange",
    [
        reply(200, text="<html>hello</html>"),
        reply(200, json={"results": [{"labels": []}]}),
        tagged(2),
        tagged(0),
    ],
    ids=["html", "other members", "too many", "too few"],
)
def test_a_reply_of_something_else_is_named(kind, strange):
    client, _, _ = scripted(kind, [strange])
    with client, pytest.raises(ReplyError):
        client.tag("a")


@given(st.integers(0, 2000), st.floats(0, 1, exclude_max=True))
def test_pauses_are_spread_over_a_window_that_doubles_up_to_a_limit(tries, random):
    retry = Retry(first_seconds=0.5, most_seconds=30, random=lambda: random)
    assert retry.pause(tries) == random * min(30, 0.5 * 2.0 ** min(tries, 64))


@pytest.mark.parametrize(
    "options",
    [{"retries": -1}, {"first_seconds": -0.1}, {"first_seconds": 9, "most_seconds": 8}],
)
def test_a_policy_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="a retry policy needs"):
        Retry(**options)


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_timeout_must_be_some_time(kind, seconds):
    with pytest.raises(ValueError, match="timeout must be more than 0"):
        Deadline(seconds, lambda: 0.0)
    client, _, _ = scripted(kind, [])
    with client, pytest.raises(ValueError, match="timeout must be more than 0"):
        client.tag("a", timeout=seconds)


NOW = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 10:00:30", 30.0),
        ("Sunday, 22-Nov-26 10:01:00 GMT", 60.0),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(value, seconds):
    assert retry_after(value, NOW) == seconds


def test_a_date_is_measured_by_our_clock_when_the_server_states_none():
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < retry_after(then, None) <= 3600
    assert 3500 < retry_after(then, "no date") <= 3600


@given(st.text())
@example("0\x1f")
def test_retry_after_may_hold_anything(value):
    found = retry_after(value, NOW)
    assert found is None or found >= 0

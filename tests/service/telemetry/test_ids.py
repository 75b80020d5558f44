import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.telemetry.exchange import (
    TraceParent,
    new_trace_id,
    parse_traceparent,
    request_id,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (PARENT, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        # Flags that this version does not know.
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        # Versions to come: the same start, and perhaps more.
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what.the-future-brings", True),
        (f"cc-{TRACE}-{SPAN}-01-", True),
    ],
)
def test_a_traceparent_is_understood(header, sampled):
    assert parse_traceparent(header.encode()) == TraceParent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"cc-{TRACE}-{SPAN}-01.more",
        f" {PARENT}",
        f"{PARENT}\n",
        f"{PARENT},{PARENT}",
    ],
)
def test_a_malformed_traceparent_is_ignored(header):
    assert parse_traceparent(header.encode()) is None


@given(hexadecimal(2), hexadecimal(32), hexadecimal(16), hexadecimal(2))
def test_a_traceparent_is_taken_exactly_when_it_is_valid(version, trace, span, flags):
    valid = version != "ff" and set(trace) != {"0"} and set(span) != {"0"}
    found = parse_traceparent(f"{version}-{trace}-{span}-{flags}".encode())
    assert found == (TraceParent(trace, span, int(flags, 16) % 2 == 1) if valid else None)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_valid_traceparent_or_none(value):
    found = parse_traceparent(value)
    assert found is None or re.fullmatch("[0-9a-f]{32}", found.trace_id)


@pytest.mark.parametrize("wanted", ["a", "A-1_b.c", "x" * 128])
def test_a_fit_request_id_is_taken_over(wanted):
    assert request_id(wanted.encode()) == wanted


@pytest.mark.parametrize(
    "unfit", [None, b"", b"x" * 129, b"a b", b"a\n", b"\xc3\xa9", b"a/b", b'"']
)
def test_an_unfit_request_id_is_replaced(unfit):
    made = {request_id(unfit) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


def test_new_trace_ids_are_valid_and_differ():
    made = {new_trace_id() for _ in range(100)}
    assert len(made) == 100
    assert all(parse_traceparent(f"00-{one}-{SPAN}-01".encode()) for one in made)

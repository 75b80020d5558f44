"""The names of a request: its own id, and its place in a trace (W3C Trace Context)."""

import random
import re
from dataclasses import dataclass

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})"
    rb"-(?!0{32})(?P<trace>[0-9a-f]{32})"
    rb"-(?!0{16})(?P<parent>[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})"
    # Later versions may add fields; version 00 has none.
    rb"(?P<rest>-.*)?"
)
_SAMPLED = 1
# Ids must differ, not be secret: the system's own source costs a call of the kernel each time.
_random = random.Random()


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's span. The ids are lower-case hexadecimal, of 16 and 8 bytes."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(value: bytes) -> TraceParent | None:
    """The header `traceparent`; None when it is malformed and must be ignored."""
    found = _TRACEPARENT.fullmatch(value)
    if found is None or (found["version"] == b"00" and found["rest"] is not None):
        return None
    sampled = bool(int(found["flags"], 16) & _SAMPLED)
    return TraceParent(found["trace"].decode(), found["parent"].decode(), sampled)


def request_id(value: bytes | None) -> str:
    """The caller's id when it is fit for a header and a log line, a new one otherwise."""
    if value is not None and _REQUEST_ID.fullmatch(value):
        return value.decode()
    return f"{_random.getrandbits(128):032x}"


def new_trace_id() -> str:
    """A trace id that nobody has used, as 32 hexadecimal digits, not all zero."""
    return f"{_random.getrandbits(120):030x}01"

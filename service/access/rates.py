"""Limits on the rate of requests: one token bucket for each client."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Self

MAX_CLIENTS = 16_384
"""Buckets that are kept. The one unused for longest goes first, and would be full again soon."""

# A wait that was rounded to a float may end this much of a request too early.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second in the long run, and up to `burst` of them at once."""

    per_second: float
    burst: int

    @classmethod
    def of(cls, per_second: float, burst: int | None = None) -> Self:
        """Without a burst, what one second allows, and at least one request."""
        return cls(per_second, max(1, math.ceil(per_second)) if burst is None else burst)


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    filled: float
    """When `tokens` was true, in seconds of the clock."""


class Limiter:
    """The buckets of all clients. Used by one thread."""

    def __init__(
        self, *, max_clients: int = MAX_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._max_clients = max_clients
        self._clock = clock

    def wait(self, client: str, rate: Rate) -> float:
        """Takes one request from the client's bucket.

        Returns 0.0, or when it is empty the seconds until it holds one; nothing is taken then.
        """
        now = self._clock()
        bucket = self._bucket(client, rate, now)
        tokens = min(rate.burst, bucket.tokens + (now - bucket.filled) * rate.per_second)
        if tokens < 1.0 - _ROUNDING:
            return (1.0 - tokens) / rate.per_second
        bucket.tokens, bucket.filled = max(0.0, tokens - 1.0), now
        return 0.0

    def _bucket(self, client: str, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.get(client)
        if bucket is not None and bucket.rate == rate:
            self._buckets.move_to_end(client)
            return bucket
        # New here, or its rate was changed: a full one.
        self._buckets[client] = bucket = _Bucket(rate, float(rate.burst), now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return bucket


@lru_cache(maxsize=4096)
def client_of(host: str) -> str:
    """Return the client that an address counts for: itself, or for IPv6 that of its /64 network.

    One household or machine is given a whole /64, so single addresses would limit nobody.
    """
    try:
        address = ip_address(host)
    except ValueError:  # a test client, or the peer of a unix socket
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))

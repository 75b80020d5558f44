"""Where the server is and how to get there; the same for both clients."""

import math
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tagbelt.client.retry import Deadline

URL_VARIABLE = "TAGBELT_URL"
KEY_VARIABLE = "TAGBELT_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Target:
    """The server. `api_key` is never shown; `uds` is the path of a unix socket."""

    url: str
    api_key: str | None = field(repr=False)
    uds: str | None
    verify: bool | ssl.SSLContext
    connections: int

    @classmethod
    def of(
        cls,
        base_url: str | None,
        api_key: str | None,
        uds: str | os.PathLike[str] | None,
        verify: bool | ssl.SSLContext,
        connections: int,
    ) -> "Target":
        """The server as arguments state it, then the environment, then our default address."""
        return cls(
            url=base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
            api_key=api_key or os.environ.get(KEY_VARIABLE) or None,
            uds=None if uds is None else os.fspath(uds),
            verify=verify,
            connections=connections,
        )

    def options(self) -> dict[str, Any]:
        """Arguments for both of httpx's clients."""
        headers = {"user-agent": f"tagbelt-client httpx/{httpx.__version__}"}
        if self.api_key is not None:
            headers["authorization"] = f"Bearer {self.api_key}"
        return {"base_url": self.url, "headers": headers}

    def transport_options(self) -> dict[str, Any]:
        """Arguments for both of httpx's transports."""
        limits = httpx.Limits(
            max_connections=self.connections, max_keepalive_connections=self.connections
        )
        return {"verify": self.verify, "limits": limits, "uds": self.uds}


class Timeouts(Mapping[str, float | None]):
    """What is left until a deadline, for whichever phase of a request asks."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __getitem__(self, phase: str) -> float | None:
        left = self._deadline.left()
        return None if left == math.inf else max(left, 0.001)

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "read", "write", "pool"))

    def __len__(self) -> int:
        return 4

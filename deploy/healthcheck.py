"""Ends with 0 when the server in this container answers /readyz with 200, otherwise with 1."""

import os
import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection

PATIENCE_SECONDS = 8


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection() -> HTTPConnection:
    """The way to the server, from the same variables that it reads."""
    if path := os.environ.get("TAGBELT_UDS"):
        return UnixConnection(path)
    port = int(os.environ.get("TAGBELT_PORT", "8000"))
    if os.environ.get("TAGBELT_TLS_CERTIFICATE"):
        # It is this container that is asked, under a name that no certificate has.
        unverified = ssl.create_default_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        return HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS, context=unverified)
    return HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)


def is_ready(asked: HTTPConnection) -> bool:
    """Whether the server is there and ready."""
    try:
        asked.request("GET", "/readyz")
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(connection()) else 1)

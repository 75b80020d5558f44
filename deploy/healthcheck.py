"""Ends with 0 when the server in this container answers /readyz with 200, otherwise with 1."""

import os
import sys
from http.client import HTTPConnection

PATIENCE_SECONDS = 8


def ready(port: int) -> bool:
    """Whether the server on this port of this machine is ready."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if ready(int(os.environ.get("TAGBELT_PORT", "8000"))) else 1)

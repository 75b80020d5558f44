"""The web server's private methods that are overridden: checked before a server starts."""

import inspect
from collections.abc import Mapping

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tagbelt.errors import MissingPackageError

UVICORN = "uvicorn>=0.45,<0.55"
"""The versions whose private hooks are known to be called; pyproject.toml has the same."""
HOOKS: Mapping[str, tuple[str, ...]] = {
    "_start_asgi_task": ("self", "cycle", "app"),
    "_unset_keepalive_if_required": ("self",),
    "connection_lost": ("self", "exc"),
    "connection_made": ("self", "transport"),
    "data_received": ("self", "data"),
    "on_body": ("self", "body"),
    "on_header": ("self", "name", "value"),
    "on_headers_complete": ("self",),
    "on_message_begin": ("self",),
    "on_message_complete": ("self",),
    "on_response_complete": ("self",),
    "send_400_response": ("self", "msg"),
    "timeout_keep_alive_handler": ("self",),
}
"""The methods of uvicorn's protocol that `process.connection.Connection` overrides or calls."""
SERVER_HOOKS: Mapping[str, tuple[str, ...]] = {
    "capture_signals": ("self",),
    "serve": ("self", "sockets"),
    "shutdown": ("self", "sockets"),
    "startup": ("self", "sockets"),
}
"""The methods of uvicorn's server that `process.server.Server` overrides."""


def check_hooks(protocol: type = HttpToolsProtocol, server: type = uvicorn.Server) -> None:
    """Check that the web server has every method that is overridden here, with its parameters.

    One that is not there would never be called, and what it does would be off without a word.
    Raises MissingPackageError.
    """
    for owner, hooks in ((protocol, HOOKS), (server, SERVER_HOOKS)):
        for name, parameters in hooks.items():
            found = getattr(owner, name, None)
            if found is None or tuple(inspect.signature(found).parameters) != parameters:
                raise MissingPackageError(
                    f"uvicorn {uvicorn.__version__} cannot be used: it has no "
                    f"{owner.__name__}.{name}({', '.join(parameters)}); "
                    f"pip install '{UVICORN}'"
                )

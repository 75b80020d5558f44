"""The socket that the server listens on: an address and port, or a unix socket."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tagbelt.errors import SettingsError
from tagbelt.service.settings import ENV_PREFIX, Settings

BACKLOG = 2048
# Read and write for the owner and the group: a proxy in front joins the group.
UNIX_MODE = 0o660


@contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """A socket on the address, not listening yet: early, so that a taken one fails at once.

    Clients are refused, not kept waiting, until `listen`. A unix socket's file is removed at the
    end. Raises SettingsError when the address cannot be had.
    """
    if settings.uds is None:
        with _bind_port(settings) as listener:
            yield listener
        return
    with _bind_unix(settings.uds) as listener:
        mark = _mark(settings.uds)
        try:
            yield listener
        finally:
            # Somebody else may have put theirs in its place.
            if _mark(settings.uds) == mark:
                settings.uds.unlink()


def listen(listener: socket.socket, settings: Settings) -> None:
    """Lets clients connect. Raises SettingsError when another server was faster."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _refused(settings, error) from error


def address(listener: socket.socket, settings: Settings) -> str:
    """The URL that a person on this machine types; for a unix socket its host is localhost."""
    if settings.uds is not None:
        return "http://localhost"
    scheme = "http" if settings.tls_certificate is None else "https"
    host, port = listener.getsockname()[:2]
    if host == "0.0.0.0":  # noqa: S104  # nosec B104
        host = "127.0.0.1"
    host = "::1" if host == "::" else host
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _bind_port(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            on_failure.pop_all()
    except OSError as error:
        raise _refused(settings, error) from error
    return listener


def _bind_unix(path: Path) -> socket.socket:
    with ExitStack() as on_failure:
        listener = on_failure.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # From its first moment on the file must have no more rights than it is to have.
        umask = os.umask(0o777 & ~UNIX_MODE)
        try:
            try:
                listener.bind(os.fspath(path))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                _remove_stale(path)
                listener.bind(os.fspath(path))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on the unix socket {path}: {error}; choose another with "
                f"{ENV_PREFIX}UDS"
            ) from error
        finally:
            os.umask(umask)
        on_failure.pop_all()
    return listener


def _remove_stale(path: Path) -> None:
    """Removes the socket that a killed server left. Raises OSError when it is something else."""
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another server listens on it")


def _mark(path: Path) -> tuple[int, int] | None:
    """Return marks that tell this file from another of the same name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _refused(settings: Settings, error: OSError) -> SettingsError:
    return SettingsError(
        f"cannot listen on {settings.host} port {settings.port}: {error}; choose another "
        f"with {ENV_PREFIX}HOST and {ENV_PREFIX}PORT"
    )

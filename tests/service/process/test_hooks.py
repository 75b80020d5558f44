"""The web server's private methods that are overridden: a version without one must not serve."""

import tomllib
from pathlib import Path

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tagbelt.errors import MissingPackageError
from tagbelt.service.process import server as serving
from tagbelt.service.process.connection import Connection
from tagbelt.service.process.hooks import HOOKS, SERVER_HOOKS, UVICORN, check_hooks
from tagbelt.service.process.server import Server
from tagbelt.service.settings import Settings

ROOT = Path(__file__).parents[3]


def without(owner, name):
    """A class that has all that is checked of another one but this method."""
    names = (HOOKS | SERVER_HOOKS).keys() - {name}
    return type("Stub", (), {n: getattr(owner, n) for n in names if hasattr(owner, n)})


def test_the_installed_version_has_every_hook():
    check_hooks()


@pytest.mark.parametrize("name", HOOKS)
def test_a_protocol_without_a_hook_is_refused(name):
    with pytest.raises(MissingPackageError, match=rf"it has no Stub\.{name}\(self.*pip install"):
        check_hooks(protocol=without(HttpToolsProtocol, name))


@pytest.mark.parametrize("name", SERVER_HOOKS)
def test_a_server_without_a_hook_is_refused(name):
    with pytest.raises(MissingPackageError, match=rf"it has no Stub\.{name}\(self"):
        check_hooks(server=without(uvicorn.Server, name))


def test_a_hook_with_other_parameters_is_refused():
    class Changed(HttpToolsProtocol):
        def _start_asgi_task(self, cycle):
            """Takes no app."""

    with pytest.raises(MissingPackageError, match=r"Changed\._start_asgi_task\(self, cycle, app\)"):
        check_hooks(protocol=Changed)


def test_all_that_is_overridden_is_checked():
    for ours, theirs, hooks in (
        (Connection, HttpToolsProtocol, HOOKS),
        (Server, uvicorn.Server, SERVER_HOOKS),
    ):
        overridden = {n for n in vars(ours) if callable(vars(ours)[n]) and hasattr(theirs, n)}
        assert {n for n in overridden if not n.startswith("__")} <= hooks.keys()


def test_no_server_starts_without_a_hook(monkeypatch, tmp_path):
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    with pytest.raises(MissingPackageError):
        serving.serve(Settings(), tmp_path, None, signals=None, started=None)


def test_the_bounds_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert UVICORN in project["dependencies"]

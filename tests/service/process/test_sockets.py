import os
import socket
import stat

import pytest

from tagbelt.errors import SettingsError
from tagbelt.service.process.sockets import address, bound, listen
from tagbelt.service.settings import Settings


def test_nobody_gets_in_before_it_listens():
    settings = Settings(port=0)
    with bound(settings) as listener:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname())
        listen(listener, settings)
        with socket.create_connection(listener.getsockname()):
            pass


def test_a_port_that_is_taken_is_named_with_a_remedy():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError, match=rf"port {port}: .*in use.*TAGBELT_PORT"),
            bound(Settings(port=port)),
        ):
            pass


def test_of_two_that_start_together_the_second_is_told():
    with bound(Settings(port=0)) as first:
        settings = Settings(port=first.getsockname()[1])
        with bound(settings) as second:
            listen(first, settings)
            with pytest.raises(SettingsError, match="in use"):
                listen(second, settings)


def test_a_host_that_is_not_ours_is_named():
    with (
        pytest.raises(SettingsError, match=r"cannot listen on 203\.0\.113\.1 port 0"),
        bound(Settings(host="203.0.113.1", port=0)),
    ):
        pass


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        pytest.param("::1", "http://[::1]:", marks=needs_ipv6),
        pytest.param("::", "http://[::1]:", marks=needs_ipv6),
    ],
)
def test_the_address_is_one_to_type(host, url):
    settings = Settings(host=host, port=0)
    with bound(settings) as listener:
        assert address(listener, settings) == f"{url}{listener.getsockname()[1]}"


def test_a_unix_socket_is_for_owner_and_group_and_goes_at_the_end(tmp_path):
    path = tmp_path / "tagbelt.sock"
    settings = Settings(uds=path)
    umask = os.umask(0)
    try:
        with bound(settings) as listener:
            listen(listener, settings)
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert os.umask(0) == 0
            assert address(listener, settings) == "http://localhost"
    finally:
        os.umask(umask)
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_replaced(tmp_path):
    path = tmp_path / "tagbelt.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    settings = Settings(uds=path)
    with bound(settings) as listener, socket.socket(socket.AF_UNIX) as client:
        listen(listener, settings)
        client.connect(str(path))


def test_a_socket_in_use_stays_with_its_server(tmp_path):
    path = tmp_path / "tagbelt.sock"
    settings = Settings(uds=path)
    with bound(settings) as listener:
        listen(listener, settings)
        with pytest.raises(SettingsError, match="another server listens on it"), bound(settings):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_in_the_way_stays(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("keep me", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"notes\.txt: .*no socket.*TAGBELT_UDS"):
        bound(Settings(uds=path)).__enter__()
    assert path.read_text(encoding="utf-8") == "keep me"


def test_a_socket_of_somebody_else_is_not_removed(tmp_path):
    path = tmp_path / "tagbelt.sock"
    with bound(Settings(uds=path)):
        path.unlink()
        path.write_text("another's", encoding="utf-8")
    assert path.exists()


@pytest.mark.parametrize("name", ["missing/a.sock", "a" * 200])
def test_a_path_that_cannot_be_had_is_told(tmp_path, name):
    with pytest.raises(SettingsError, match="cannot listen on the unix socket"):
        bound(Settings(uds=tmp_path / name)).__enter__()

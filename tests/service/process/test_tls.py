import ssl

import pytest

from tagbelt.errors import SettingsError
from tagbelt.service.process.tls import renew, tls_context
from tagbelt.service.settings import Settings
from tests.service.process.certificates import make_certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def settings(certificate, key, **more):
    return Settings(tls_certificate=certificate, tls_key=key, **more)


def test_without_a_certificate_there_is_no_tls():
    assert tls_context(Settings()) is None


def test_old_protocols_are_refused(files):
    assert tls_context(settings(*files)).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_file_is_named(files, tmp_path, index):
    pair = list(files)
    pair[index] = tmp_path / "nothing.pem"
    name = ("tls_certificate", "tls_key")[index]
    with pytest.raises(SettingsError, match=rf"^{name}=.*nothing\.pem: cannot be read: No such"):
        tls_context(settings(*pair))


@pytest.mark.parametrize("index", [0, 1])
def test_a_file_of_something_else_is_named(files, tmp_path, index):
    pair = list(files)
    pair[index] = tmp_path / "notes.txt"
    pair[index].write_text("not PEM", encoding="utf-8")
    name = ("tls_certificate", "tls_key")[index]
    with pytest.raises(SettingsError, match=rf"^{name}=.*notes\.txt: is no "):
        tls_context(settings(*pair))


def test_the_key_of_another_certificate_is_named(files, tmp_path):
    _, other = make_certificate(tmp_path, "other")
    with pytest.raises(SettingsError, match=r"other\.key: is not the key of .*server\.pem"):
        tls_context(settings(files[0], other))


@pytest.mark.parametrize(("password", "opens"), [("open sesame", True), ("wrong", False)])
def test_a_key_may_have_a_password(tmp_path, password, opens):
    pair = make_certificate(tmp_path, password="open sesame")
    if opens:
        assert tls_context(settings(*pair, tls_key_password=password)) is not None
        return
    for more in ({"tls_key_password": password}, {}):
        with pytest.raises(SettingsError, match=r"server\.key: .*tls_key_password") as error:
            tls_context(settings(*pair, **more))
        assert password not in str(error.value)


def test_a_renewed_certificate_is_taken_and_a_bad_one_is_not(tmp_path):
    certificate, key = make_certificate(tmp_path, "first")
    chosen = settings(certificate, key)
    context = tls_context(chosen)
    assert shown(context) == b"first"
    new_certificate, new_key = make_certificate(tmp_path, "second")
    certificate.write_bytes(new_certificate.read_bytes())
    with pytest.raises(SettingsError, match="is not the key"):
        renew(context, chosen)
    assert shown(context) == b"first"
    key.write_bytes(new_key.read_bytes())
    renew(context, chosen)
    assert shown(context) == b"second"


def shown(context):
    """The name on the certificate that a client is shown."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up)
    server = context.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert(binary_form=True)
    return next(name for name in (b"first", b"second") if name in certificate)

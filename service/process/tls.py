"""TLS: the certificate and its key, checked before anything else starts."""

import ssl
from pathlib import Path

from tagbelt.errors import SettingsError
from tagbelt.service.settings import Settings

OLDEST = ssl.TLSVersion.TLSv1_2


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The context of the settings' certificate; None when they have none.

    Raises SettingsError that names the file which cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    for name in ("tls_certificate", "tls_key"):
        path = getattr(settings, name)
        try:
            path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}={path}: cannot be read: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST
    _load(context, settings, settings.tls_certificate, settings.tls_key)
    return context


def renew(context: ssl.SSLContext, settings: Settings) -> None:
    """Uses the files as they are now for new connections; they may have been renewed.

    Raises SettingsError, and goes on with what was loaded before, when they cannot be used.
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls_context(settings)  # on one of its own first: a failure half way must not be served
        _load(context, settings, settings.tls_certificate, settings.tls_key)


def _load(context: ssl.SSLContext, settings: Settings, certificate: Path, key: Path) -> None:
    secret = settings.tls_key_password
    # Always given: OpenSSL would ask for it on the terminal otherwise.
    password = "" if secret is None else secret.get_secret_value()
    try:
        context.load_cert_chain(certificate, key, lambda: password)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        if reason == "KEY_VALUES_MISMATCH":
            message = f"tls_key={key}: is not the key of tls_certificate={certificate}"
        elif not _is_certificate(certificate):
            message = f"tls_certificate={certificate}: is no certificate in PEM form ({reason})"
        else:
            message = (
                f"tls_key={key}: is no private key in PEM form, or tls_key_password does not "
                f"open it ({reason})"
            )
        raise SettingsError(message) from error


def _is_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True

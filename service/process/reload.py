"""What SIGHUP asks for: look again at the files that a server was started with."""

import ssl

from fastapi import FastAPI

from tagbelt.errors import SettingsError
from tagbelt.service.process.signals import logger
from tagbelt.service.process.tls import renew
from tagbelt.service.settings import Settings


def reload(app: FastAPI, settings: Settings, tls: ssl.SSLContext | None, *, models: bool) -> None:
    """Reads the certificate, the API keys and, if told, the folder of models again.

    What cannot be used is said in the log; the server goes on with what it has.
    """
    if tls is not None:
        try:
            renew(tls, settings)
            logger.info("read the certificate %s", settings.tls_certificate)
        except SettingsError as error:
            logger.error("the certificate stays as it was: %s", error)
    # Both of them log what becomes of it.
    app.state.keys.reload()
    if models:
        app.state.models.request_rescan()

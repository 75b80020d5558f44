"""From settings to a server: one process, or several and one that looks after them."""

import logging.config
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tagbelt.service.access.hosts import check_exposure
from tagbelt.service.access.keys import KeyRing
from tagbelt.service.process.signals import Signals
from tagbelt.service.process.sockets import bound
from tagbelt.service.process.tls import tls_context
from tagbelt.service.settings import Settings


def run(settings: Settings, models: Path, *, say: Callable[[str], None]) -> None:
    """Serves the checkpoint, or the folder of checkpoints, at `models` until told to stop.

    `say` is told, once requests are answered, where the page is and what to try. Raises
    SettingsError when the address or a setting cannot be used, FileNotFoundError when there is
    no checkpoint, CheckpointError for one that is damaged, and WorkerError when worker processes
    cannot be started.
    """
    check_exposure(settings, KeyRing(settings))  # told before anything is loaded
    if settings.workers > 1:
        _supervise(settings, models, say)
        return
    with Signals() as signals, bound(settings) as listener:
        if settings.uds is not None:
            signals.clean_up = partial(settings.uds.unlink, missing_ok=True)
        # Here and not above: one that looks after others needs none of it.
        from tagbelt.service.process.server import serve

        serve(settings, models, listener, signals=signals, started=lambda _, text: say(text))


def _supervise(settings: Settings, models: Path, say: Callable[[str], None]) -> None:
    from tagbelt.service.process.supervisor import Supervisor
    from tagbelt.service.telemetry.logs import log_config

    logging.config.dictConfig(log_config(settings))
    tls_context(settings)  # a bad certificate is told before anything starts
    with bound(settings) as listener:
        Supervisor(settings, models, listener, say=say).run()

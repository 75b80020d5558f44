"""The access log: one line for each request."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from tagbelt.service.telemetry.exchange import Exchange

MAX_TEXT = 1000
"""Characters of all the texts of one request that a line may hold."""
MAX_PATH = 500

logger = logging.getLogger("service.requests")


class AccessLog:
    """Writes a line when a request has been answered; with `texts` also what was to be tagged."""

    def __init__(self, *, texts: bool = False) -> None:
        self._texts = texts

    def write(self, exchange: Exchange) -> None:
        """Logs one request: health checks and the like at debug, everything else at info."""
        level = logging.DEBUG if exchange.quiet else logging.INFO
        if not logger.isEnabledFor(level):
            return
        fields = _fields(exchange)
        if self._texts and exchange.work is not None and exchange.work.texts:
            fields["texts"] = shortened(exchange.work.texts)
        message = f"{exchange.method} {fields['path']} {exchange.status}"
        # Made here, since a logger would first look up who called it.
        record = logging.LogRecord(logger.name, level, __file__, 0, message, None, None)
        record.fields = fields
        logger.handle(record)


def _fields(exchange: Exchange) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": exchange.method,
        "path": exchange.path[:MAX_PATH],
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
        "bytes": exchange.body_bytes,
    }
    address = exchange.scope.get("client")
    if address is not None:
        fields["address"] = address[0]
    client = exchange.scope["state"]["client_name"]
    if client is not None:
        fields["client"] = client
    work = exchange.work
    if work is not None:
        fields |= {"model": work.model, "items": work.items, "tokens": work.tokens}
    return fields


def shortened(items: Sequence[object]) -> list[str]:
    """The first MAX_TEXT characters of texts and token lists, their tokens joined by spaces."""
    kept, left = [], MAX_TEXT
    for item in items:
        if left <= 0:
            break
        text = item[:left] if isinstance(item, str) else _joined(item, left)
        kept.append(text)
        # An empty item takes up room too.
        left -= len(text) + 1
    return kept


def _joined(item: object, most: int) -> str:
    tokens = item if isinstance(item, Iterable) else ()
    return " ".join(str(token)[:most] for token in islice(tokens, most))[:most]

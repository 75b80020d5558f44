import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tagbelt.service.telemetry.logs import JsonFormatter


class Lines:
    """What the service has logged, as JSON lines."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def all(self, logger: str = "service.requests") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self._stream.getvalue().split("\n")[:-1]]
        return [line for line in found if line["logger"].startswith(logger)]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("service")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield Lines(stream)
    logger.removeHandler(handler)
    logger.setLevel(before)

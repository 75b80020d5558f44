import asyncio
import io
import logging

import pytest

from tagbelt.service.telemetry.logs import LineHandler


class Counted(io.StringIO):
    def __init__(self):
        super().__init__()
        self.writes = 0

    def write(self, text):
        self.writes += 1
        return super().write(text)


@pytest.fixture
def log():
    handler = LineHandler()
    handler.stream = Counted()
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.stream = handler.stream
    yield logger
    handler.close()


def test_without_an_event_loop_a_line_is_written_at_once(log):
    log.warning("one")
    log.warning("two")
    assert (log.stream.getvalue(), log.stream.writes) == ("one\ntwo\n", 2)


def test_the_lines_of_a_turn_are_written_as_one(log):
    async def main():
        for number in range(5):
            log.warning("%d", number)
        assert log.stream.getvalue() == ""
        await asyncio.sleep(0)
        assert (log.stream.getvalue(), log.stream.writes) == ("0\n1\n2\n3\n4\n", 1)
        # Another thread has no turns; what waits keeps its place before it.
        log.warning("before")
        await asyncio.to_thread(log.warning, "after")
        assert log.stream.getvalue().endswith("4\nbefore\nafter\n")

    asyncio.run(main())


def test_what_a_loop_left_is_written_at_the_end(log):
    async def main():
        log.warning("last words")

    asyncio.run(main())
    log.handlers[0].flush()
    assert log.stream.getvalue() == "last words\n"


def test_a_line_that_cannot_be_made_harms_no_other(log, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.warning("%d", "not a number")
    log.warning("fine")
    assert log.stream.getvalue() == "fine\n"

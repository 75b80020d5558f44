import asyncio

from tagbelt.service.process.connection import CoalescingTransport


class Wire:
    def __init__(self):
        self.sent: list[bytes] = []

    def write(self, data):
        self.sent.append(data)

    def close(self):
        self.sent.append(b"<closed>")

    def abort(self):
        self.sent.append(b"<aborted>")

    def get_extra_info(self, name):
        return name.upper()


def test_what_is_written_in_one_turn_is_one_piece():
    async def main():
        wire = Wire()
        joined = CoalescingTransport(wire, asyncio.get_running_loop())
        joined.write(b"head")
        joined.write(b"body")
        assert wire.sent == []
        await asyncio.sleep(0)
        assert wire.sent == [b"headbody"]
        joined.write(b"more")
        joined.close()
        joined.write(b"")
        assert wire.sent == [b"headbody", b"more", b"<closed>"]
        assert joined.get_extra_info("peername") == "PEERNAME"

    asyncio.run(main())


def test_an_aborted_connection_sends_nothing_more():
    async def main():
        wire = Wire()
        joined = CoalescingTransport(wire, asyncio.get_running_loop())
        joined.write(b"lost")
        joined.abort()
        await asyncio.sleep(0)
        assert wire.sent == [b"<aborted>"]

    asyncio.run(main())


def test_a_client_that_has_gone_meanwhile_is_no_error():
    class Gone(Wire):
        def write(self, _):
            raise RuntimeError("the handler is closed")

    async def main():
        loop, errors = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: errors.append(context))
        CoalescingTransport(Gone(), loop).write(b"late")
        await asyncio.sleep(0)
        assert errors == []

    asyncio.run(main())

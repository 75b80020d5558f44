import socket

import pytest

from tagbelt.service.process.channel import Channel


@pytest.fixture
def ends():
    pair = socket.socketpair()
    first, second = map(Channel, pair)
    yield first, second
    first.close()
    second.close()


def test_messages_arrive_whole_and_in_order(ends):
    first, second = ends
    first.send("ready", "two\nlines and 李明")
    first.send("failed")
    assert list(second.receive()) == [("ready", "two\nlines and 李明"), ("failed", "")]
    assert not second.is_closed


def test_a_message_may_come_in_pieces():
    writer, reader = socket.socketpair()
    with writer, reader:
        channel = Channel(reader)
        writer.sendall(b'["ready", "wh')
        assert list(channel.receive()) == []
        writer.sendall(b'ole"]\n["drain"')
        assert list(channel.receive()) == [("ready", "whole")]
        writer.sendall(b', ""]\n')
        assert list(channel.receive()) == [("drain", "")]


def test_an_end_notes_that_the_other_has_gone(ends):
    first, second = ends
    first.close()
    assert list(second.receive()) == []
    assert second.is_closed
    second.send("nobody hears this")
    with pytest.raises(EOFError):
        second.receive_object()


def test_an_object_comes_before_messages(ends):
    first, second = ends
    value = bytes(range(256)) * 300
    first.send_object(value)
    first.send("drain")
    assert second.receive_object() == value
    assert list(second.receive()) == [("drain", "")]

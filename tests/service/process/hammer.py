"""Clients that never stop asking, and count what became of each request."""

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

HEADERS = {"content-type": "application/json"}


class Hammer:
    """Threads that ask until nobody listens any more.

    `counts` has: `right` and `wrong` for replies; `refused` when no connection was to be had;
    `unread` when one was closed before a byte of the reply; `broken` when it was closed later.
    """

    def __init__(self, url, threads=8, *, stop_when_refused=True):
        self.address = urlsplit(url).netloc
        self.stop_when_refused = stop_when_refused
        self.counts = Counter()
        self.errors = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(number,)) for number in range(threads)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join()

    def wait_for(self, replies):
        while self.counts["right"] < replies:
            assert any(thread.is_alive() for thread in self._threads), self.counts
            time.sleep(0.005)

    def _note(self, what, error=None):
        with self._lock:
            self.counts[what] += 1
            if error is not None:
                self.errors[what, type(error).__name__] += 1

    def _ask_on(self, number):
        """By its number a thread keeps its connection or not, pauses, or sends in pieces."""
        chance = random.Random(number)
        connection = None
        turn = 0
        while not self._stop.is_set():
            turn += 1
            if connection is None:
                connection = http.client.HTTPConnection(self.address, timeout=60)
                try:
                    connection.connect()
                except OSError as error:
                    self._note("refused", error)
                    connection = None
                    if self.stop_when_refused:
                        return
                    continue
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keeps = self._ask(connection, f"{number} {turn} Toyota", in_pieces=number % 4 == 3)
            if not keeps or number % 4 == 1:
                connection.close()
                connection = None
            if number % 4 == 2:
                time.sleep(chance.uniform(0, 0.02))
        if connection is not None:
            connection.close()

    def _ask(self, connection, text, *, in_pieces):
        body = json.dumps({"text": text}).encode()
        head = (
            f"POST /v1/tag HTTP/1.1\r\nhost: {self.address}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode()
        whole = head + body
        first = b""
        try:
            if in_pieces:
                for start in range(0, len(whole), 40):
                    connection.sock.sendall(whole[start : start + 40])
                    time.sleep(0.001)
            else:
                connection.sock.sendall(whole)
            first = connection.sock.recv(1, socket.MSG_PEEK)
            if not first:
                self._note("unread")
                return False
            response = http.client.HTTPResponse(connection.sock, method="POST")
            response.begin()
            reply = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._note("broken" if first else "unread", error)
            return False
        found = json.loads(reply) if response.status == 200 else {"results": None}
        expected = [{"label": "ORG", "start": len(text) - 6}]
        entities = found["results"] and [
            {"label": e["label"], "start": e["start"]} for e in found["results"][0]["entities"]
        ]
        self._note("right" if entities == expected else "wrong")
        keeps = not response.will_close
        response.close()
        return keeps

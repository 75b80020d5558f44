"""POST /v1/tag/stream with a file of hundreds of megabytes: memory of the server, and speed.

    python -m benchmarks.serving.stream [--quick] [--models DIR]

The lines are made as they are sent. The answer is read while they are, its lines counted.
"""

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.common.measure import spread
from benchmarks.common.options import run as run_program
from benchmarks.common.record import Row, tell, write_result
from benchmarks.serving import workload
from benchmarks.serving.loadgen import LoadError
from benchmarks.serving.overload import watched
from benchmarks.serving.servers import Server, serving

PATH = "/v1/tag/stream"
MEGABYTES, QUICK_MEGABYTES = 200, 10
WARM_BLOCKS = 2
BLOCK_LINES = 4096
PIECE = 1 << 18
PATIENCE_SECONDS = 120.0
MB = 1e6


@dataclass(frozen=True)
class Block:
    """Lines that are sent again and again."""

    content: bytes
    lines: int
    tokens: int

    @classmethod
    def of(cls, words: Sequence[Sequence[str]]) -> "Block":
        """BLOCK_LINES lines, a sentence each."""
        chosen = [words[number % len(words)] for number in range(BLOCK_LINES)]
        lines = (json.dumps({"text": " ".join(sentence)}) + "\n" for sentence in chosen)
        return cls("".join(lines).encode(), BLOCK_LINES, sum(map(len, chosen)))


class Answer(threading.Thread):
    """Reads the answer while the file is being sent, and counts its lines."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self.lines = self.size = 0
        self.head = self.tail = b""
        self._connection = connection
        self.start()

    def run(self) -> None:
        """Read until the end."""
        while piece := self._connection.recv(PIECE):
            if not self.head:
                self.head = piece[: piece.find(b"\r\n\r\n")]
                piece = piece[len(self.head) + 4 :]
            # No line of JSON holds a carriage return; the marks between pieces of the body do.
            self.lines += piece.count(b"\n") - piece.count(b"\r")
            self.size += len(piece)
            self.tail = (self.tail + piece)[-PIECE:]


def send(server: Server, block: Block, blocks: int) -> tuple[float, Answer]:
    """Send so many blocks as one body; the seconds until the answer's end, and the answer.

    Raises LoadError when the answer is not one line for each.
    """
    parts = urlsplit(server.url)
    began = time.perf_counter()
    with socket.create_connection((parts.hostname, parts.port), PATIENCE_SECONDS) as connection:
        answer = Answer(connection)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
            "content-type: application/x-ndjson\r\n"
            f"content-length: {blocks * len(block.content)}\r\n\r\n"
        )
        connection.sendall(head.encode())
        for _ in range(blocks):
            connection.sendall(block.content)
        answer.join()
    seconds = time.perf_counter() - began
    if not answer.head.startswith(b"HTTP/1.1 200") or answer.lines != blocks * block.lines:
        raise LoadError(
            f"{blocks * block.lines} lines in, {answer.lines} out: "
            f"{answer.head[:15]!r} ... {answer.tail[-500:]!r}"
        )
    return seconds, answer


def streamed(server: Server, block: Block, blocks: int) -> Row:
    """Stream a file, after a small one."""
    send(server, block, WARM_BLOCKS)
    before = server.resident_mb()
    with watched(server) as memory:
        seconds, answer = send(server, block, blocks)
    size = blocks * len(block.content) / MB
    first, last = memory.thirds()
    return {
        "experiment": "stream",
        "megabytes": size,
        "lines": answer.lines,
        "tokens": blocks * block.tokens,
        "seconds": seconds,
        "megabytes_per_second": size / seconds,
        "rate": spread([blocks * block.tokens / seconds]),
        "answer_megabytes": answer.size / MB,
        "failed_lines": answer.tail.count(b'"error":'),
        "warm_mb": before,
        "first_mb": first,
        "last_mb": last,
        "peak_mb": max(memory.megabytes),
        "growth": spread([100 * (last / first - 1)]),
    }


def main() -> None:
    """Measure and write the part `stream`."""
    given = workload.parser(__doc__).parse_args()
    block = Block.of(workload.word_lists(given.data))
    wanted = QUICK_MEGABYTES if given.quick else MEGABYTES
    blocks = round(wanted * MB / len(block.content))
    tell(f"a file of {blocks * len(block.content) / MB:.0f} MB")
    with serving(given.models) as server:
        row = streamed(server, block, blocks)
    settings = {"quick": given.quick, "data": workload.DATA, "lines": "a sentence each"}
    write_result("stream", settings, [row], directory=given.results)


if __name__ == "__main__":
    run_program(main)

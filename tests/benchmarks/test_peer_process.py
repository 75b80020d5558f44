import sys
from pathlib import Path

import pytest

from benchmarks.common.peer_process import PEERS, PeerError, PeerProcess

TOY = f"""
import os, sys
sys.path.insert(0, {str(PEERS)!r})
from protocol import serve

def add(a, b):
    print("libraries print what they like")
    return a + b

def fail():
    raise KeyError("a word")

def leave():
    os._exit(3)

def threads():
    return [os.environ[name] for name in ("OMP_NUM_THREADS", "TOY")]

serve({{"add": add, "fail": fail, "leave": leave, "threads": threads}})
"""


@pytest.fixture
def toy(tmp_path):
    program = tmp_path / "toy.py"
    program.write_text(TOY, encoding="utf-8")
    with PeerProcess(Path(sys.executable), program, threads=2, environment={"TOY": "é"}) as child:
        yield child


def test_calls_are_answered_one_by_one_whatever_is_printed(toy):
    assert [toy.call("add", a=i, b=1) for i in range(3)] == [1, 2, 3]
    assert toy.call("add", a="文", b="é") == "文é"


def test_threads_and_variables_reach_the_child(toy):
    assert toy.call("threads") == ["2", "é"]


def test_an_error_comes_with_its_traceback_and_the_child_goes_on(toy):
    with pytest.raises(PeerError, match=r"toy: 'fail' failed:\n(.|\n)*KeyError: 'a word'"):
        toy.call("fail")
    with pytest.raises(PeerError, match="KeyError: 'unheard-of'"):
        toy.call("unheard-of")
    assert toy.call("add", a=1, b=1) == 2


def test_a_child_that_ends_is_an_error(toy):
    with pytest.raises(PeerError, match="toy: it ended in 'leave'"):
        toy.call("leave")
    with pytest.raises(PeerError, match="toy: it ended"):
        toy.call("add", a=1, b=1)

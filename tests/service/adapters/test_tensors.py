import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.adapters.tensors import (
    FP32,
    INT32,
    Tensor,
    flat,
    pack,
    pack_strings,
    unpack_strings,
)


@given(st.lists(st.binary(max_size=9)))
def test_strings_survive_the_binary_form(strings):
    assert unpack_strings(pack_strings(strings), len(strings)) == strings


def test_the_binary_form_is_little_endian():
    assert pack_strings([b"ab", b""]) == b"\x02\x00\x00\x00ab\x00\x00\x00\x00"
    assert pack(Tensor("a", INT32, [1, -1])) == b"\x01\x00\x00\x00\xff\xff\xff\xff"
    assert pack(Tensor("a", FP32, [0.5])) == b"\x00\x00\x00\x3f"
    assert pack(Tensor("a", "BYTES", ["é"])) == b"\x02\x00\x00\x00\xc3\xa9"


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"\x01\x00\x00", "its last 3 bytes are no length"),
        (b"\x00\x00\x00\x00\x01", "its last 1 bytes are no length"),
        (b"\x03\x00\x00\x00ab", "an element of 3 bytes begins 2 before its end"),
        (b"\xff\xff\xff\xffab", "an element of 4294967295 bytes"),
    ],
)
def test_lengths_that_do_not_fit(blob, message):
    with pytest.raises(ValueError, match=message):
        unpack_strings(blob, 100)


def test_a_column_may_be_nested():
    assert flat([["a"], "b", [], ["c", "d"], [["e"]]]) == ["a", "b", [], ["c", "d"], ["e"]]


def test_more_strings_than_may_be_are_not_read():
    with pytest.raises(ValueError, match="more than 2 elements"):
        unpack_strings(pack_strings([b""] * 3) + b"broken", 2)

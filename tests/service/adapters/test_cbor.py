import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.service.adapters.cbor import MAX_DEPTH, dumps, loads

WHOLE = st.integers(-(2**64), 2**64 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_values_survive(value):
    assert loads(dumps(value)) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("20", -1), ("3863", -100),
        ("1bffffffffffffffff", 2**64 - 1), ("f93c00", 1.0), ("f97c00", math.inf),
        ("fa47c35000", 1e5), ("fb3ff199999999999a", 1.1),
        ("f4", False), ("f5", True), ("f6", None), ("f7", None),
        ("4401020304", b"\1\2\3\4"), ("60", ""), ("62c3bc", "ü"), ("64f0908591", "𐅑"),
        ("80", []), ("83010203", [1, 2, 3]), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("c11a514b67b0", 1363896240), ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("7f657374726561646d696e67ff", "streaming"), ("9fff", []),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ],
)  # fmt: skip
def test_values_as_the_standard_writes_them(raw, value):
    assert loads(bytes.fromhex(raw)) == value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "cut off"),
        ("19ff", "cut off"),
        ("62c3", "cut off"),
        ("9bffffffffffffffff", "cut off"),
        ("0000", "1 bytes follow"),
        ("ff", "ends what was never begun"),
        ("81ff", "ends a value before its time"),
        ("c1ff", "ends a value before its time"),
        ("1c", "begins nothing"),
        ("1f", "begins nothing"),
        ("df", "begins nothing"),
        ("f8ff", "begins nothing"),
        ("a10102", "a key that is no text"),
        ("bf6161ff", "one without a value"),
        ("7f4101ff", "a part that is none"),
        ("61ff", "invalid start byte"),
        ("81" * (MAX_DEPTH + 1) + "00", "nested more than"),
    ],
)
def test_what_is_no_cbor(raw, message):
    with pytest.raises(ValueError, match=message):
        loads(bytes.fromhex(raw))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_value_error(raw):
    with suppress(ValueError):
        loads(raw)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="no set here"):
        dumps({"a": {1}})

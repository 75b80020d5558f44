"""Items to requests: nothing lost, nothing reordered, limits kept."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.client.batches import Batcher, RequestLimits, to_members

ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates included
ITEMS = st.lists(st.one_of(ANY_TEXT, st.lists(ANY_TEXT, max_size=5)), max_size=40)


def batches(items, limits):
    batcher = Batcher(limits)
    found = [batcher.add(item) for item in items] + [batcher.rest()]
    return [batch for batch in found if batch is not None]


@given(ITEMS, st.integers(1, 9), st.integers(1025, 1400))
def test_every_item_is_in_one_request_within_the_limits(items, count, size):
    found = batches(items, RequestLimits(count, size))
    assert [item for batch in found for item in batch.items] == items
    for batch in found:
        body = batch.body(b',"model":"en"')
        sent = json.loads(body)
        assert sent == {batch.field: list(batch.items), "model": "en"}
        assert len(batch.items) <= count
        assert len(body) <= size or len(batch.items) == 1


@given(ITEMS)
def test_a_request_is_not_smaller_than_it_need_be(items):
    found = batches(items, RequestLimits(4, 1 << 20))
    for batch, following in pairwise(found):
        assert len(batch.items) == 4 or batch.field != following.field


@given(st.lists(ANY_TEXT, min_size=2, max_size=9))
def test_halves_are_the_whole(items):
    (batch,) = batches(items, RequestLimits(100, 1 << 20))
    first, second = batch.halves()
    assert [*first.items, *second.items] == items
    assert first.items
    assert second.items
    assert [*first.encoded, *second.encoded] == list(batch.encoded)


def test_text_is_sent_as_utf8_and_not_as_escapes():
    (batch,) = batches(["北京"], RequestLimits(1, 2000))
    assert batch.body(b"") == '{"texts":["北京"]}'.encode()


def test_options_become_members():
    options = {"model": None, "labels": {"PER": 1}.keys(), "min_score": 0.5, "timeout": 3}
    assert json.loads(b'{"texts":[]%s}' % to_members(options)) == {
        "texts": [],
        "labels": ["PER"],
        "min_score": 0.5,
    }


def test_limits_only_shrink():
    limits = RequestLimits(10, 5000)
    limits.shrink_items(4)
    limits.shrink_items(100)
    assert limits.items == 2
    limits.shrink_bytes(3000)
    limits.shrink_bytes(100_000)
    assert limits.bytes == 1500
    limits.shrink_items(1)
    limits.shrink_bytes(10)
    assert batches(["a" * 9, "b"], limits)[0].items == ["a" * 9]


@pytest.mark.parametrize("item", [b"a", 3, None, {"a"}])
def test_what_is_no_item_is_refused(item):
    with pytest.raises(TypeError, match="an item is a text, a token list or an object"):
        Batcher(RequestLimits(1, 2000)).add(item)

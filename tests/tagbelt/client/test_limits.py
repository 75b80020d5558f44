"""What fits into one request, as the client is told or finds out."""

import re

import pytest

from tagbelt.client import AsyncClient, Client, TooLargeError
from tests.service.live import serving
from tests.tagbelt.client.scripted import CLIENTS, SOLE, Blocking, labels, problem, scripted, tagged


def test_the_limits_of_the_server_are_learnt(kind):
    sizes = []

    def picky(request, _):
        count = len(re.findall(rb'"\w', request.content.partition(b"[")[2]))
        sizes.append(count)
        if count > 3:
            return problem(422, "too-many-items")
        return tagged(count)

    client, _, _ = scripted(kind, [picky] * 20, max_items=8, **SOLE[kind])
    with client:
        assert len(client.tag_many([f"t{n}" for n in range(14)])) == 14
    assert sizes == [8, 4, 2, 2, 4, 2, 2, 2, 2, 2]


def test_so_is_the_size_of_a_body(kind):
    refused, answered = [], []

    def picky(request, _):
        count = request.content.count(b'"t') - 1  # one is "texts"
        if len(request.content) > 10_000:
            refused.append(sum(answered))
            return problem(413, "body-too-large")
        answered.append(count)
        return tagged(count)

    client, _, _ = scripted(kind, [picky] * 40, max_bytes=17_100, **SOLE[kind])
    with client:
        assert len(client.tag_many(["t" * 997] * 48)) == 48
    # 16 of 1,000 bytes are halved once; from then on requests are made small enough.
    assert refused == [0]
    assert answered[:2] == [8, 8]
    assert sum(answered) == 48


def test_bodies_are_kept_to_what_the_server_takes():
    with serving(max_body_bytes=4096, max_characters=3000, max_tokens=100) as url:
        for make in CLIENTS.values():
            with make(base_url=url) as client:
                found = client.tag_many(["Toyota " * n for n in range(0, 425, 25)])
                assert [len(f.entities) for f in found] == list(range(0, 425, 25))
                long, short = client.tag_many(["a" * 5000, "Toyota"])
                assert long.problem.status == 413
                assert "4096 bytes" in long.problem.detail
                assert labels(short) == ["ORG"]
                with pytest.raises(TooLargeError):
                    client.tag("a" * 5000)


@pytest.mark.parametrize("options", [{"max_items": 0}, {"max_bytes": 100}])
def test_limits_that_hold_nothing_are_refused(kind, options):
    with pytest.raises(ValueError, match="max_items must be at least 1"):
        (Client if kind == "blocking" else AsyncClient)(**options)


def test_no_concurrency_at_all_is_refused():
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        Blocking(concurrency=0)

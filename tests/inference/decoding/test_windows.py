from itertools import pairwise

import pytest

from tagbelt.inference.decoding.decoder import windows

SETTINGS = [(1, 0), (2, 0), (2, 1), (5, 0), (5, 2), (5, 4), (8, 3), (16, 2)]


@pytest.mark.parametrize(("limit", "overlap"), SETTINGS)
def test_laws_for_every_length(limit, overlap):
    for length in range(0, 6 * limit + 7):
        cut = windows(length, limit, overlap)
        kept = [token for window in cut for token in range(window.keep, window.keep_stop)]
        assert kept == list(range(length))
        for window in cut:
            assert 0 <= window.start <= window.keep <= window.keep_stop <= window.stop <= length
        sizes = {window.stop - window.start for window in cut}
        assert len(sizes) == 1
        assert max(sizes) <= limit
        if len(cut) > 1:  # a window shorter would leave them too little to share
            count = len(cut)
            assert (max(sizes) - 1) * count < length + overlap * (count - 1)
        for left, right in pairwise(cut):
            assert left.start < right.start
            assert left.stop - right.start >= overlap


@pytest.mark.parametrize(("limit", "overlap"), SETTINGS)
def test_a_token_is_kept_where_it_stands_most_central(limit, overlap):
    for length in range(limit + 1, 6 * limit):
        cut = windows(length, limit, overlap)
        for window in cut:
            for token in range(window.keep, window.keep_stop):
                margins = [
                    min(token - other.start, other.stop - 1 - token)
                    for other in cut
                    if other.start <= token < other.stop
                    # The sentence's own edges cut nothing off.
                    and not (other.start == 0 and token < other.stop // 2)
                    and not (other.stop == length and token >= (other.start + length) // 2)
                ]
                own = min(token - window.start, window.stop - 1 - token)
                assert own >= max(margins, default=0)


def test_no_more_windows_than_needed():
    assert len(windows(256, 256, 32)) == 1
    assert len(windows(257, 256, 32)) == 2
    assert len(windows(256 + 224, 256, 32)) == 2
    assert len(windows(256 + 225, 256, 32)) == 3


@pytest.mark.parametrize(("limit", "overlap"), [(4, 4), (4, 5), (4, -1), (0, 0)])
def test_impossible_settings_are_refused(limit, overlap):
    with pytest.raises(ValueError, match=f"a window of {limit} tokens cannot overlap"):
        windows(10, limit, overlap)

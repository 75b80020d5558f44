"""The filters against torch's own convolution, word by word."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import conv1d

from tagbelt.model.features.tokens import FilteredMaximum, with_margins

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)
SIZE, FILTERS = 3, 4


def leaves(*shapes):
    return [torch.randn(*shape, dtype=torch.float64).requires_grad_() for shape in shapes]


def words_of(table, characters, lengths):
    return [table[row[:length]] for row, length in zip(characters, lengths, strict=True)]


def test_words_are_kept_apart_by_zeros():
    characters = torch.tensor([[3, 4, 5], [6, 0, 0], [7, 8, 0]])
    lengths = torch.tensor([3, 1, 2])
    assert with_margins(characters, lengths, 0).tolist() == [3, 4, 5, 6, 7, 8]
    assert with_margins(characters, lengths, 1).tolist() == [0, 3, 4, 5, 0, 6, 0, 7, 8, 0]
    wider = torch.nn.functional.pad(characters, (0, 5))
    expected = [0, 0, 3, 4, 5, 0, 0, 6, 0, 0, 7, 8, 0, 0]
    assert with_margins(wider, lengths, 2).tolist() == expected


@given(LENGTHS, st.sampled_from([1, 3, 5]), st.integers(0, 2**31))
def test_features_and_gradients_are_those_of_torch(lengths, width, seed):
    torch.manual_seed(seed)
    sizes = torch.tensor(lengths)
    characters = torch.randint(1, 9, (len(lengths), max(lengths)))
    characters[torch.arange(max(lengths)) >= sizes[:, None]] = 0
    wanted = leaves((9, SIZE), (FILTERS, SIZE, width), (FILTERS,))
    table, weight, bias = wanted
    zero_first = table * (torch.arange(9) > 0)[:, None]
    rows = zero_first[with_margins(characters, sizes, width // 2)]
    found = FilteredMaximum.apply(rows, weight, bias, sizes)
    words = words_of(table, characters, lengths)
    scores = [conv1d(word.T, weight, bias, padding=width // 2) for word in words]
    # Equal windows of one word share a score; torch's `max` gives the first the gradient, too.
    expected = torch.stack([score.max(1).values for score in scores])
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    mine = torch.autograd.grad((found * upstream).sum(), wanted)
    theirs = torch.autograd.grad((expected * upstream).sum(), wanted)
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left, right)


def test_gradients_are_numerically_right():
    torch.manual_seed(1)
    lengths = torch.tensor([4, 1, 2])
    inputs = leaves((11, SIZE), (FILTERS, SIZE, 3), (FILTERS,))
    assert torch.autograd.gradcheck(
        lambda *tensors: FilteredMaximum.apply(*tensors, lengths), inputs
    )

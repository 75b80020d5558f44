"""Masks: what is kept, how often, and where chance comes from."""

import pytest
import torch

from model.dropout import Dropout, dropout_mask


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9, 0.999999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_dropped_as_often_as_asked(probability, dtype):
    torch.manual_seed(0)
    mask = dropout_mask(1000, 401, probability, torch.empty(0, dtype=dtype))
    assert mask.shape == (1000, 401)
    assert mask.dtype == dtype
    kept = mask > 0
    assert kept.double().mean().item() == pytest.approx(1 - probability, abs=0.005)
    scale = torch.full((), 1 / (1 - probability), dtype=dtype)
    torch.testing.assert_close(mask, kept * scale)


def test_neighbours_do_not_depend_on_each_other():
    torch.manual_seed(0)
    kept = dropout_mask(100_000, 4, 0.3, torch.empty(0)) > 0
    torch.testing.assert_close(kept.float().mean(0), torch.full((4,), 0.7), atol=0.01, rtol=0.0)
    correlation = torch.corrcoef(kept.T.float())
    torch.testing.assert_close(correlation, torch.eye(4), atol=0.015, rtol=0.0)


def test_chance_follows_the_global_seed():
    masks = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        masks.append(dropout_mask(5, 13, 0.5, torch.empty(0)))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_it_acts_in_training_only():
    layer, rows = Dropout(0.5), torch.ones(50, 20)
    assert set(layer(rows).unique().tolist()) == {0.0, 2.0}
    assert torch.equal(layer.eval()(rows), rows)
    assert torch.equal(Dropout(0.0)(rows), rows)

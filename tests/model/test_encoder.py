"""The encoder's layers, locked dropout and self-attention."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from tagbelt.model.cells.packed import sequence_of_rows
from tagbelt.model.config import CELLS, Cell, EncoderConfig
from tagbelt.model.network import Encoder, SelfAttention, locked_dropout

LENGTHS = [6, 4, 4, 1]


def batch(lengths: list[int], width: int) -> tuple[list[Tensor], Tensor, Tensor]:
    parts = [torch.randn(length, width, dtype=torch.float64) for length in lengths]
    packed = pack_sequence(parts)
    return parts, packed.data, packed.batch_sizes


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_output_has_the_width_of_the_config(cell: Cell, layers: int, bidirectional: bool) -> None:
    config = EncoderConfig(cell=cell, hidden=4, layers=layers, bidirectional=bidirectional)
    _, rows, batch_sizes = batch(LENGTHS, 3)
    states = Encoder(config, 3).double()(rows, batch_sizes)
    assert states.shape == (sum(LENGTHS), config.size)


def test_layers_and_attention_are_chained() -> None:
    config = EncoderConfig(hidden=4, layers=2, attention_heads=2)
    encoder = Encoder(config, 3).double().eval()
    _, rows, batch_sizes = batch(LENGTHS, 3)
    expected = rows
    for layer in encoder.layers:
        expected = layer(expected, batch_sizes)[0]
    expected = encoder.attention(expected, batch_sizes)
    assert torch.equal(encoder(rows, batch_sizes), expected)


@pytest.mark.parametrize("heads", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_batch_mates_do_not_matter(cell: Cell, heads: int) -> None:
    config = EncoderConfig(cell=cell, hidden=4, layers=2, attention_heads=heads)
    encoder = Encoder(config, 3).double().eval()
    parts, rows, batch_sizes = batch(LENGTHS, 3)
    together, sequence = encoder(rows, batch_sizes), sequence_of_rows(batch_sizes)
    for b, part in enumerate(parts):
        alone = encoder(part, torch.ones(len(part), dtype=torch.int64))
        torch.testing.assert_close(together[sequence == b], alone, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_equals_torch_one_sequence_at_a_time(heads: int) -> None:
    torch.manual_seed(1)
    attention = SelfAttention(8, heads).double()
    oracle = nn.MultiheadAttention(8, heads, batch_first=True).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    oracle.load_state_dict(
        {
            "in_proj_weight": attention.projection.weight,
            "in_proj_bias": attention.projection.bias,
            "out_proj.weight": attention.output.weight,
            "out_proj.bias": attention.output.bias,
        }
    )
    parts, rows, batch_sizes = batch(LENGTHS, 8)
    rows.requires_grad_()
    for part in parts:
        part.requires_grad_()
    mine = attention(rows, batch_sizes)
    expected = pack_sequence([part + oracle(*[part[None]] * 3)[0][0] for part in parts]).data
    torch.testing.assert_close(mine, expected, atol=1e-12, rtol=1e-12)
    mine.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(rows.grad, pack_sequence([part.grad for part in parts]).data)
    torch.testing.assert_close(attention.projection.weight.grad, oracle.in_proj_weight.grad)
    torch.testing.assert_close(attention.output.weight.grad, oracle.out_proj.weight.grad)


def test_locked_dropout_has_one_mask_a_sequence() -> None:
    torch.manual_seed(2)
    _, _, batch_sizes = batch(LENGTHS, 1)
    rows = torch.ones(sum(LENGTHS), 64)
    dropped, sequence = locked_dropout(rows, batch_sizes, 0.5), sequence_of_rows(batch_sizes)
    masks = [dropped[sequence == b] for b in range(len(LENGTHS))]
    for mask in masks:
        assert set(mask.unique().tolist()) == {0.0, 2.0}
        assert torch.equal(mask, mask[:1].expand_as(mask))
    assert not torch.equal(masks[0][0], masks[1][0])


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9])
def test_locked_dropout_preserves_the_expectation(probability: float) -> None:
    torch.manual_seed(3)
    rows = torch.full((1000, 100), 3.0)
    mean = locked_dropout(rows, torch.tensor([1000]), probability).mean()
    assert mean.item() == pytest.approx(3.0, rel=0.05)


def test_dropout_acts_in_training_only_and_follows_the_global_seed() -> None:
    encoder = Encoder(EncoderConfig(hidden=4, layers=2, dropout=0.5), 3).double()
    _, rows, batch_sizes = batch(LENGTHS, 3)
    outputs = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        outputs.append(encoder(rows, batch_sizes))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    # The mask on the output: a unit is zero in every token of a sequence or in none.
    first = outputs[0][sequence_of_rows(batch_sizes) == 0] == 0.0
    assert first.any()
    assert torch.equal(first.all(dim=0), first.any(dim=0))
    encoder.eval()
    assert torch.equal(encoder(rows, batch_sizes), encoder(rows, batch_sizes))
    assert not (encoder(rows, batch_sizes) == 0.0).any()


def test_every_layer_gets_a_mask_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    def recorded(rows: Tensor, batch_sizes: Tensor, probability: float, share: None) -> Tensor:
        widths.append((rows.shape[1], probability))
        return locked_dropout(rows, batch_sizes, probability, share)

    monkeypatch.setattr("tagbelt.model.network.locked_dropout", recorded)
    config = EncoderConfig(hidden=4, layers=2, dropout=0.25, attention_heads=2)
    encoder = Encoder(config, 3).double()
    encoder(*batch(LENGTHS, 3)[1:])
    assert widths == [(3, 0.25), (8, 0.25), (8, 0.25)]


def test_forget_bias_reaches_the_layers() -> None:
    encoder = Encoder(EncoderConfig(cell="lstm-coupled", hidden=2, forget_bias=2.5), 3)
    assert encoder.layers[0].network.bias.tolist() == [[0.0, 0.0, 2.5, 2.5, 0.0, 0.0]] * 2


@pytest.mark.parametrize("cell", CELLS)
def test_a_small_encoder_learns_to_remember(cell: Cell) -> None:
    """Each token's target is the first token's sign: only a carried state can know it."""
    torch.manual_seed(4)
    config = EncoderConfig(cell=cell, hidden=8, bidirectional=False, dropout=0.0)
    encoder, head = Encoder(config, 1), nn.Linear(8, 1)
    parts = [torch.randn(3, 1) for _ in range(32)]
    packed = pack_sequence(parts)
    target = pack_sequence([(part[:1] > 0).float().expand(3, 1) for part in parts]).data
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.05)
    for _ in range(60):
        logits = head(encoder(packed.data, packed.batch_sizes))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2

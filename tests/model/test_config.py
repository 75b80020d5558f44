"""The network's settings: strict, and refused where they do not fit each other."""

import pytest
from pydantic import ValidationError

from tagbelt.model.config import CELLS, CharacterConfig, EncoderConfig, ModelConfig, WordConfig


def test_a_config_survives_json():
    config = ModelConfig(
        words=WordConfig(size=7, vectors="glove.txt"),
        characters=CharacterConfig(kind="gru", hidden=6),
        encoder=EncoderConfig(cell="lstm-coupled", peephole=True, bidirectional=False),
    )
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
    assert ModelConfig.model_validate({}) == ModelConfig()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"encoder": {"hiden": 5}}, r"encoder\.hiden\s+Extra inputs"),
        ({"decoder": {}}, "decoder\\s+Extra inputs"),
        ({"encoder": {"hidden": "200"}}, r"encoder\.hidden\s+Input should be a valid integer"),
        ({"encoder": {"hidden": 0}}, r"encoder\.hidden\s+.*greater than or equal to 1"),
        ({"encoder": {"bidirectional": 1}}, r"encoder\.bidirectional\s+.*valid boolean"),
        ({"encoder": {"dropout": 1.0}}, r"encoder\.dropout\s+.*less than 1"),
        ({"encoder": {"cell": "qrnn"}}, r"encoder\.cell\s+Input should be 'rnn', 'lstm'"),
        ({"encoder": {"peephole": True}}, "peephole = true needs an lstm variant, .* 'lstm'"),
        ({"encoder": {"hidden": 5, "attention_heads": 3}}, "= 3 must divide the 10 units"),
        ({"characters": {"width": 4}}, "width = 4 must be odd"),
        ({"characters": {"kind": "lstm", "hidden": 5}}, "hidden = 5 must be even"),
        ({"words": {"unknown_rate": -0.1}}, r"words\.unknown_rate\s+.*greater than or equal to 0"),
    ],
)
def test_a_bad_setting_is_named(value, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(value)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        EncoderConfig().hidden = 3


@pytest.mark.parametrize("cell", CELLS)
def test_peephole_is_an_option_of_lstms_alone(cell):
    if cell in ("lstm-peephole", "lstm-coupled"):
        assert EncoderConfig(cell=cell, peephole=True).peephole
    else:
        with pytest.raises(ValidationError, match=f"needs an lstm variant, cell is '{cell}'"):
            EncoderConfig(cell=cell, peephole=True)


def test_peepholes_may_be_given_to_gates_by_name():
    config = EncoderConfig(cell="lstm-peephole", peephole=["forget", "output"])
    assert config.peephole == ("forget", "output")
    assert EncoderConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("cell", "gates", "message"),
    [
        ("lstm-coupled", ["input"], "lstm-coupled has no input gate of its own"),
        ("lstm-peephole", ["forget", "forget"], "names a gate twice: forget, forget"),
        ("lstm-peephole", ["reset"], "'input', 'forget' or 'output'"),
        ("lstm-peephole", [], "at least 1 item"),
        ("lstm", ["forget"], "needs an lstm variant, cell is 'lstm'"),
    ],
)
def test_a_peephole_of_no_gate_is_refused(cell, gates, message):
    with pytest.raises(ValidationError, match=message):
        EncoderConfig(cell=cell, peephole=gates)


def test_sizes_follow_from_the_settings():
    assert EncoderConfig(hidden=5).size == 10
    assert EncoderConfig(hidden=5, bidirectional=False).size == 5
    assert CharacterConfig(hidden=8).features == 8
    assert CharacterConfig(kind="none", hidden=8).features == 0
    # A setting of the kind that is not chosen does not have to fit.
    assert CharacterConfig(kind="rnn", width=4).width == 4
    assert CharacterConfig(kind="cnn", hidden=5).hidden == 5

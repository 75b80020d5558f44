"""The state of a run on disk: what `--resume` needs to go on as if nothing had happened."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tagbelt.data.checkpoint.artifact import replaced, write_json
from tagbelt.errors import ConfigError
from tagbelt.training.config import RunConfig
from tagbelt.training.loop.loop import Progress, Trainer
from tagbelt.training.rundir import differences, parse_saved

NETWORK = "network.safetensors"
OPTIMISER = "optimiser.safetensors"
AVERAGE = "average.safetensors"
PROGRESS = "progress.json"

MAY_CHANGE = {("training", "epochs"), ("training", "patience"), ("training", "device")}
"""Settings that a resumed run may be given anew. With `epochs`, a linear schedule changes too."""


def save_state(directory: Path, trainer: Trainer) -> None:
    """Write weights, optimiser state and progress; a killed writer leaves the old state whole."""
    optimiser = trainer.optimiser.state_dict()
    moments = {
        f"{index}.{name}": value.contiguous()
        for index, values in optimiser["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    with replaced(directory) as fresh:
        network = {k: v.contiguous() for k, v in trainer.network.state_dict().items()}
        save_file(network, fresh / NETWORK)
        save_file(moments, fresh / OPTIMISER)
        if trainer.average is not None:
            save_file(trainer.average.state_dict(), fresh / AVERAGE)
        write_json(
            fresh / PROGRESS,
            {
                "config": trainer.config.model_dump(mode="json"),
                "data": fingerprint(trainer),
                **asdict(trainer.progress),
            },
        )


def load_state(directory: Path, trainer: Trainer) -> None:
    """Bring a trainer to where a run stopped.

    Raises:
        ConfigError: a state of another config, or of other data; the message names what differs.
    """
    value = json.loads((directory / PROGRESS).read_text(encoding="utf-8"))
    check_same(value.pop("config"), trainer.config, place=str(directory))
    if value.pop("data") != fingerprint(trainer):
        raise ConfigError(f"{directory}: can't resume: the training or dev files have changed")
    trainer.network.load_state_dict(load_file(directory / NETWORK), strict=True)
    _load_optimiser(trainer.optimiser, load_file(directory / OPTIMISER))
    if trainer.average is not None:
        trainer.average.load_state_dict(load_file(directory / AVERAGE), strict=True)
    for name, item in asdict(Progress(**value)).items():
        setattr(trainer.progress, name, item)


def fingerprint(trainer: Trainer) -> str:
    """Return the SHA-256 of all that a run trains and chooses by: forms, tags, context features."""
    digest = hashlib.sha256()
    for split in (trainer.train, trainer.dev):
        for tensor in (split.forms.words, split.forms.characters, *split.sentences):
            digest.update(tensor.numpy().tobytes())
        for tensors in (split.tags, split.bigrams, split.flags):
            for tensor in tensors or ():
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def check_same(saved: dict[str, Any], config: RunConfig, *, place: str) -> None:
    """Refuse to resume with settings other than the run's own, apart from `MAY_CHANGE`."""
    changed = differences(parse_saved(saved, place=place), config, but=MAY_CHANGE)
    if changed:
        raise ConfigError(f"{place}: can't resume with another config: {'; '.join(changed)}")


def _load_optimiser(optimiser: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

"""A package as those that hold a transformer, with random weights, and torch's own layers of it."""

import json
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from tagbelt.data.checkpoint.artifact import digest_of
from tagbelt.data.lexicon import encoders

PACKAGE = "tiny-encoder"
SIZE, HEADS, INNER, LAYERS = 8, 2, 12, 2
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz0123456789.,-'&"]
PIECES += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"] + ["##er", "##ing"]


def install(monkeypatch, folder, seed=0):
    """Make the package in a folder and known to Tagbelt; returns its weights."""
    weights = random_weights(seed)
    model = folder / "tiny_encoder" / "model"
    model.mkdir(parents=True)
    (folder / "tiny_encoder" / "__init__.py").write_text("raise ImportError", encoding="utf-8")
    save_file(weights, model / "model.safetensors")
    (model / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    settings = {"hidden_size": SIZE, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS}
    settings["layer_norm_eps"] = 1e-12
    (model / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    entry = encoders._Package("1.0", "model", digest_of(model / "model.safetensors"))
    monkeypatch.setitem(encoders.ENCODERS, PACKAGE, entry)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("tiny_encoder", None)
    return weights


def random_weights(seed):
    chance = np.random.default_rng(seed)

    def normal(*shape):
        return chance.normal(size=shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(len(PIECES), SIZE),
        "embeddings.position_embeddings.weight": normal(80, SIZE),
        "embeddings.token_type_embeddings.weight": normal(2, SIZE),
        "pooler.dense.weight": normal(SIZE, SIZE),
        "embeddings.position_ids": np.arange(80)[None],
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            weights[f"{name}.attention.self.{part}.weight"] = normal(SIZE, SIZE)
            weights[f"{name}.attention.self.{part}.bias"] = normal(SIZE)
        for part, out, size in (
            ("attention.output", SIZE, SIZE),
            ("intermediate", INNER, SIZE),
            ("output", SIZE, INNER),
        ):
            weights[f"{name}.{part}.dense.weight"] = normal(out, size)
            weights[f"{name}.{part}.dense.bias"] = normal(out)
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for name in norms:
        weights |= {f"{name}.weight": 1 + normal(SIZE), f"{name}.bias": normal(SIZE)}
    return weights


@torch.no_grad()
def torch_vector(weights, pieces):
    """The vector of one form by torch's own encoder layers; `pieces` are its ids, framed."""
    w = {name: torch.from_numpy(value) for name, value in weights.items()}
    states = w["embeddings.word_embeddings.weight"][pieces]
    states = states + w["embeddings.position_embeddings.weight"][: len(pieces)]
    states = states + w["embeddings.token_type_embeddings.weight"][0]
    norm = "embeddings.LayerNorm"
    states = nn.functional.layer_norm(
        states, (SIZE,), w[f"{norm}.weight"], w[f"{norm}.bias"], 1e-12
    )
    for layer in range(LAYERS):
        module = nn.TransformerEncoderLayer(
            SIZE, HEADS, INNER, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True
        )
        name = f"encoder.layer.{layer}"
        ours = {
            "self_attn.out_proj": "attention.output.dense",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }
        state = {
            f"{theirs}.{kind}": w[f"{name}.{part}.{kind}"]
            for theirs, part in ours.items()
            for kind in ("weight", "bias")
        }
        for kind in ("weight", "bias"):
            parts = [w[f"{name}.attention.self.{p}.{kind}"] for p in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
        module.load_state_dict(state)
        states = module.eval()(states[None])[0]
    return states.mean(0).numpy()

"""The package bi-lstm-crf, used as its own code uses it.

It has no character network, and its tagger takes only sentences of one length at a time, so that
they are grouped by length here. Sizes are ours: embedding 50, 200 units a direction.
"""

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from bi_lstm_crf.app.predict import WordsTagger
from bi_lstm_crf.app.preprocessing import Preprocessor
from bi_lstm_crf.app.utils import arguments_filepath, build_model, model_filepath
from jobs import Jobs
from protocol import read_json, serve, slices, versions
from torch.utils.data import DataLoader, TensorDataset

BATCHES = (16, 64, 256)
BATCH = 16


class Peer:
    """Its preprocessor, model and tagger, with untrained weights."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens, None, BATCHES)
        self._preprocessor: Any = None
        self._tagger: Any = None
        self._model: Any = None
        self._optimiser: Any = None
        self._data: Any = None

    def load(self, threads: int, data: str, directory: str) -> dict[str, Any]:
        """Write the files that the package wants into `directory` and load a model from them."""
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        train = read_json(data)["train"]
        place = Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        words = list(dict.fromkeys(word for row, _ in train for word in row))
        tags = sorted({tag for _, row in train for tag in row})
        arguments = {
            "embedding_dim": 50,
            "hidden_dim": 400,
            "num_rnn_layers": 1,
            "rnn_type": "lstm",
        }
        _write(place / "vocab.json", words)
        _write(place / "tags.json", tags)
        _write(Path(arguments_filepath(directory)), arguments)
        self._preprocessor = Preprocessor(config_dir=directory, verbose=False)
        settings = Namespace(**arguments, model_dir=directory)
        self._model = build_model(settings, self._preprocessor, load=False)
        torch.save(self._model.state_dict(), model_filepath(directory))
        self._tagger = WordsTagger(directory, device="cpu")
        return {"versions": versions("bi-lstm-crf", "torch")}

    def tokens(self, sentences: list[list[str]], batch: int) -> list[list[str]]:
        """One tag a token, through its `WordsTagger`."""
        by_length: dict[int, list[int]] = {}
        for index, words in enumerate(sentences):
            by_length.setdefault(len(words), []).append(index)
        result: list[list[str]] = [[]] * len(sentences)
        for indices in by_length.values():
            for part in slices(indices, batch):
                tags, _ = self._tagger([sentences[i] for i in part])
                for index, row in zip(part, tags, strict=True):
                    result[index] = row
        return result

    def read_training(self, path: str) -> int:
        """Read the examples that an epoch trains on; return their tokens."""
        pairs = read_json(path)
        longest = max(len(words) for words, _ in pairs)
        vector = self._preprocessor.sent_to_vector
        rows = torch.tensor([vector(words, longest) for words, _ in pairs])
        tags = torch.tensor([self._preprocessor.tags_to_vector(tags, longest) for _, tags in pairs])
        self._data = TensorDataset(rows, tags)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=0.001)
        return sum(len(words) for words, _ in pairs)

    def epoch(self) -> float:
        """Train one epoch with the steps of its training loop; return its seconds."""
        self._model.train()
        began = time.perf_counter()
        for rows, tags in DataLoader(self._data, batch_size=BATCH, shuffle=True):
            self._model.zero_grad()
            loss = self._model.loss(rows, tags)
            loss.backward()
            self._optimiser.step()
            loss.item()
        return time.perf_counter() - began


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    peer = Peer()
    calls = {"load": peer.load, "read_training": peer.read_training, "epoch": peer.epoch}
    serve({**calls, **peer.jobs.functions()})

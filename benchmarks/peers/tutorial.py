"""A BiLSTM-CRF on torch and pytorch-crf, written the way that most tutorials write it.

Ids are looked up sentence by sentence, batches are padded tensors, the character network runs over
every token, nn.LSTM gets packed sequences, torchcrf.CRF scores and decodes.
"""

import time
from typing import Any

import torch
from jobs import Jobs
from protocol import read_json, serve, slices, versions
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader
from torchcrf import CRF

PAD, UNKNOWN = 0, 1
BATCHES = (16, 32, 64, 128, 256)
BATCH = 16

Example = tuple[list[str], list[str]]


class Tagger(nn.Module):
    """Word embedding 50 and character CNN 30 -> 50, BiLSTM of 200 a direction, linear, CRF."""

    def __init__(self, words: int, characters: int, tags: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 50, padding_idx=PAD)
        self.characters = nn.Embedding(characters, 30, padding_idx=PAD)
        self.convolution = nn.Conv1d(30, 50, kernel_size=3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.lstm = nn.LSTM(100, 200, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(400, tags)
        self.crf = CRF(tags, batch_first=True)

    def emissions(self, words: Tensor, characters: Tensor, lengths: Tensor) -> Tensor:
        """Scores [B, T, K] of words [B, T] and their characters [B, T, C]."""
        count, steps, width = characters.shape
        letters = self.characters(characters.view(count * steps, width)).transpose(1, 2)
        features = self.convolution(letters).max(dim=2).values.view(count, steps, -1)
        inputs = self.dropout(torch.cat([self.words(words), features], dim=2))
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.linear(self.dropout(states))

    def loss(self, words: Tensor, characters: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """Mean negative log-likelihood of tags [B, T]."""
        emissions = self.emissions(words, characters, lengths)
        return -self.crf(emissions, tags, mask=words != PAD, reduction="mean")

    def decode(self, words: Tensor, characters: Tensor, lengths: Tensor) -> list[list[int]]:
        """The best tags of each sentence."""
        return self.crf.decode(self.emissions(words, characters, lengths), mask=words != PAD)


class Peer:
    """The model, its dictionaries, and what is asked of it."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens, None, BATCHES)
        self._words: dict[str, int] = {}
        self._characters: dict[str, int] = {}
        self._tags: list[str] = []
        self._tag_ids: dict[str, int] = {}
        self._examples: list[Example] = []
        self._model: Any = None
        self._optimiser: Any = None

    def load(self, threads: int, data: str) -> dict[str, Any]:
        """Make an untrained model over the words, characters and tags of `{"train": ...}`."""
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        train = read_json(data)["train"]
        words = dict.fromkeys(word.lower() for row, _ in train for word in row)
        characters = dict.fromkeys(letter for row, _ in train for word in row for letter in word)
        self._words = {word: index + 2 for index, word in enumerate(words)}
        self._characters = {letter: index + 2 for index, letter in enumerate(characters)}
        self._tags = sorted({tag for _, row in train for tag in row})
        self._tag_ids = {tag: index for index, tag in enumerate(self._tags)}
        self._model = Tagger(len(words) + 2, len(characters) + 2, len(self._tags))
        return {"versions": versions("torch", "pytorch-crf")}

    def tokens(self, sentences: list[list[str]], batch: int) -> list[list[str]]:
        """One tag a token. Sentences are sorted by length first, the usual saving."""
        self._model.eval()
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
        result: list[list[str]] = [[]] * len(sentences)
        with torch.inference_mode():
            for part in slices(order, batch):
                paths = self._model.decode(*self._inputs([sentences[i] for i in part]))
                for index, path in zip(part, paths, strict=True):
                    result[index] = [self._tags[tag] for tag in path]
        return result

    def read_training(self, path: str) -> int:
        """Read the examples that an epoch trains on; return their tokens."""
        self._examples = [(words, tags) for words, tags in read_json(path)]
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=0.001)
        return sum(len(words) for words, _ in self._examples)

    def epoch(self) -> float:
        """Train one epoch in random batches of 16; return its seconds."""
        self._model.train()
        loader = DataLoader(
            self._examples, batch_size=BATCH, shuffle=True, collate_fn=self._collated
        )
        began = time.perf_counter()
        for *inputs, tags in loader:
            self._optimiser.zero_grad()
            loss = self._model.loss(*inputs, tags)
            loss.backward()
            self._optimiser.step()
            loss.item()
        return time.perf_counter() - began

    def _collated(self, examples: list[Example]) -> tuple[Tensor, ...]:
        inputs = self._inputs([words for words, _ in examples])
        tags = torch.zeros_like(inputs[0])
        for row, (_, names) in enumerate(examples):
            tags[row, : len(names)] = torch.tensor([self._tag_ids[name] for name in names])
        return (*inputs, tags)

    def _inputs(self, sentences: list[list[str]]) -> tuple[Tensor, Tensor, Tensor]:
        lengths = torch.tensor([len(words) for words in sentences])
        longest = max(len(word) for words in sentences for word in words)
        ids = torch.full((len(sentences), int(lengths.max())), PAD)
        letters = torch.full((*ids.shape, max(longest, 1)), PAD)
        for row, words in enumerate(sentences):
            found = [self._words.get(word.lower(), UNKNOWN) for word in words]
            ids[row, : len(words)] = torch.tensor(found)
            for column, word in enumerate(words):
                known = [self._characters.get(letter, UNKNOWN) for letter in word]
                letters[row, column, : len(word)] = torch.tensor(known)
        return ids, letters, lengths


if __name__ == "__main__":
    peer = Peer()
    calls = {"load": peer.load, "read_training": peer.read_training, "epoch": peer.epoch}
    serve({**calls, **peer.jobs.functions()})

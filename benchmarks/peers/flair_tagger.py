"""Flair's SequenceTagger with a network of the same size, untrained.

Word vectors of 50 for the words of the checkpoint that is measured (their values are random, which
costs the same), characters by Flair's own network (a BiLSTM of 25 a direction: it has no CNN), a
BiLSTM of 200 a direction, CRF. Its scores are biased to "O", so that it does not pay for spans
that a trained one would not find.
"""

from typing import Any

import flair
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import CharacterEmbeddings, StackedEmbeddings, WordEmbeddings
from flair.models import SequenceTagger
from jobs import Jobs
from protocol import read_json, serve, versions

BATCHES = (8, 32, 128)
BIAS = 10.0


class Peer:
    """The tagger and what is asked of it."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens, None, BATCHES)
        self._tagger: Any = None

    def load(self, threads: int, vocabulary: str, characters: bool) -> dict[str, Any]:
        """Make the network over `{"words", "labels"}`; without `characters` on words alone."""
        torch.set_num_threads(threads)
        flair.device = torch.device("cpu")
        flair.set_seed(1)
        parts = read_json(vocabulary)
        ids = {word: index for index, word in enumerate(parts["words"])}
        words = WordEmbeddings(None, vocab=ids, embedding_length=50, name="words")
        torch.nn.init.normal_(words.embedding.weight)
        letters = _dictionary({letter for word in parts["words"] for letter in word})
        network = [words, CharacterEmbeddings(letters)] if characters else [words]
        labels = _dictionary(parts["labels"])
        labels.span_labels = True
        self._tagger = SequenceTagger(
            StackedEmbeddings(network), labels, "ner", hidden_size=200, reproject_embeddings=False
        )
        with torch.no_grad():
            self._tagger.linear.bias[self._tagger.label_dictionary.get_idx_for_item("O")] = BIAS
        self._tagger.eval()
        return {"versions": versions("flair", "torch")}

    def tokens(self, sentences: list[list[str]], batch: int) -> list[list[str]]:
        """One tag a token, written from the spans."""
        made = [Sentence(words) for words in sentences]
        self._tagger.predict(made, mini_batch_size=batch)
        result = []
        for sentence in made:
            tags = ["O"] * len(sentence)
            for span in sentence.get_spans("ner"):
                first, last = span.tokens[0].idx - 1, span.tokens[-1].idx
                tags[first:last] = [f"I-{span.tag}"] * (last - first)
                tags[first] = f"B-{span.tag}"
            result.append(tags)
        return result


def _dictionary(items: Any) -> Dictionary:
    made = Dictionary()
    for item in sorted(items):
        made.add_item(item)
    return made


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, **peer.jobs.functions()})

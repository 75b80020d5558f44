"""From a config to a run that is ready to train: its data, its network, its trainer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.conll.partial import open_counts
from tagbelt.data.conll.reading import guess_unit
from tagbelt.data.types import Sentence
from tagbelt.model.batch import EncodedSentences
from tagbelt.model.config import ModelConfig, WordConfig
from tagbelt.model.network import Network
from tagbelt.training.config import RunConfig, sized
from tagbelt.training.corpus.corpus import RunData, encode_split, load_run_data
from tagbelt.training.corpus.form_tables import form_tables
from tagbelt.training.events import Callback, Message, ignore
from tagbelt.training.initial import begun_tables, initial_checkpoint, keeps_old_types
from tagbelt.training.loop.distillation import run_targets
from tagbelt.training.loop.loop import Progress, Trainer, make_average, make_optimiser
from tagbelt.training.loop.ranks import ALONE, Ranks, device_of
from tagbelt.training.run.initialise import take_over, train_new_tags
from tagbelt.training.rundir import CHECKPOINT

REPAIRS_SHOWN = 5
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Run:
    """A run in its directory: the trainer, the data it was made of, and who is told of it."""

    directory: Path
    trainer: Trainer
    data: RunData
    progress: Callback

    @property
    def checkpoint(self) -> Path:
        """The directory of the best epoch's checkpoint."""
        return self.directory / CHECKPOINT


def prepare(
    config: RunConfig, directory: Path, progress: Callback = ignore, ranks: Ranks = ALONE
) -> Run:
    """Read the data and make the network, both from the config and its seed alone.

    What the config leaves to the size of the data is set in that of the trainer.
    """
    device = device_of(config.training.device)
    progress(Message(_machine(device, ranks)))
    data = load_run_data(config)
    sources, begun = config.model.vectors, begun_tables(config)
    with ranks.one_by_one():
        tables = form_tables(sources, data.sources, data.vocabulary, directory, progress, *begun)
    data = replace(data, vocabulary=replace(data.vocabulary, forms=tables))
    config = sized(config, len(data.train) + len(data.unlabelled))
    _tell_data(config, data, progress)
    torch.manual_seed(config.training.seed)
    network = _network(config, data, progress).to(device)
    sentences = (*data.train, *data.unlabelled)
    train_set = encode_split(sentences, data.vocabulary, data.tags, config)
    trainer = Trainer(
        config=config,
        network=network,
        optimiser=make_optimiser(network, config.optimiser),
        train=train_set,
        dev=encode_split(data.dev, data.vocabulary, data.tags, config),
        dev_gold=data.dev,
        tags=data.tags,
        hide_rates=hide_rates(train_set, data, config.model.words),
        progress=Progress(),
        device=device,
        average=make_average(network, config.optimiser.average),
        bigram_rates=bigram_rates(train_set, data.vocabulary, config.model),
        targets=run_targets(config, data, train_set, progress) if config.distillation else None,
        ranks=ranks,
    )
    return Run(directory, trainer, data, progress)


def hide_rates(encoded: EncodedSentences, data: RunData, config: WordConfig) -> Tensor:
    """Return [F] how often training hides the word of each form; see `WordConfig`."""
    rows = torch.cat(encoded.sentences)
    words = encoded.forms.words
    counts = torch.bincount(words[rows], minlength=data.vocabulary.trained)
    known = {word for given in (data.vectors, *data.sources) if given for word in given.words}
    has_vector = torch.tensor([word in known for word in data.vocabulary.words])
    is_rare = (counts[words] == 1) & ~has_vector[words]
    return torch.where(is_rare, config.unknown_rate, config.word_dropout)


def bigram_rates(
    encoded: EncodedSentences, vocabulary: Vocabulary, config: ModelConfig
) -> Tensor | None:
    """Return [P] how often training hides each pair (see `BigramConfig`), None if it never does."""
    if vocabulary.bigrams is None or encoded.bigrams is None:
        return None
    counts = torch.bincount(torch.cat(encoded.bigrams), minlength=vocabulary.bigrams.count)
    dropout = config.bigrams.dropout
    rates = torch.where(counts == 1, max(dropout, config.words.unknown_rate), dropout)
    return rates if bool(rates.any()) else None


def _network(config: RunConfig, data: RunData, progress: Callback) -> Network:
    size = data.vectors.matrix.shape[1] if data.vectors else config.model.words.size
    network = Network(config.model, data.vocabulary, data.tags, config.data.tags, size=size)
    lines = []
    if data.vectors:
        found = network.words.embedding.load_pretrained(
            data.vocabulary, data.vectors, trainable=config.model.words.train_vectors
        )
        lines.append(f"{found:,} of {len(data.vocabulary.words):,} words have a pretrained vector")
    if data.lexicon_vectors is not None:
        network.context.load_lexicon(data.lexicon_vectors)
    if config.init_from is not None:
        place = initial_checkpoint(config.init_from)
        lines += take_over(network, data.vocabulary, data.tags, data.labels, place)
        if keeps_old_types(config):
            kept = Header.read(place)
            train_new_tags(network, data.tags, kept.tags)
            lines.append(f"only what is new of types is trained; {', '.join(kept.labels)} stay")
    weights = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    lines += _context_lines(data)
    for line in (*lines, f"{config.model.encoder.cell} network, {weights:,} weights to train"):
        progress(Message(line))
    return network


def _context_lines(data: RunData) -> list[str]:
    bigrams, gazetteer = data.vocabulary.bigrams, data.vocabulary.gazetteer
    lines = []
    if bigrams is not None:
        lines.append(f"{bigrams.count - 1:,} pairs of neighbouring tokens")
    if gazetteer is not None:
        lines.append(f"{gazetteer.size} flags a token from lists of {', '.join(gazetteer.types)}")
    if data.vocabulary.lexicon is not None:
        lines.append(f"{len(data.vocabulary.lexicon.words):,} words of a lexicon")
    return lines


def _machine(device: torch.device, ranks: Ranks) -> str:
    threads = torch.get_num_threads()
    told = f"device: {device}, {threads} {'thread' if threads == 1 else 'threads'}"
    return told if ranks.count == 1 else f"{told}; {ranks.count} ranks share each batch"


def _tell_data(config: RunConfig, data: RunData, progress: Callback) -> None:
    for name, sentences in (("train", data.train), ("dev", data.dev)):
        tokens = sum(len(sentence.tokens) for sentence in sentences)
        spans = sum(len(sentence.spans or ()) for sentence in sentences)
        counts = f"{len(sentences):,} sentences, {tokens:,} tokens, {spans:,} entities"
        progress(Message(f"{name}: {counts}"))
        tell_open_types(name, sentences, progress)
    progress(Message(f"types: {', '.join(data.labels)} (CRF over {config.data.tags})"))
    progress(Message(_plan(config)))
    if config.data.unit == "word" and guess_unit(data.train) == "character":
        progress(Message("data.unit is 'word', but the tokens of training are characters", True))
    tell_repairs(data.repairs, progress)
    tell_overlap("dev", data.dev, data.train, progress)


def tell_overlap(
    split: str, sentences: Sequence[Sentence], train: Sequence[Sentence], progress: Callback
) -> None:
    """Warn of a split that training has seen nearly all of: its scores tell nothing of new text."""
    known = {sentence.tokens for sentence in train}
    seen = sum(sentence.tokens in known for sentence in sentences)
    if seen >= NEARLY_ALL * len(sentences) > 0:
        which = f"{seen:,} of the {len(sentences):,} sentences of {split} stand in training too"
        progress(Message(f"{which}: scores on {split} say nothing of other text", is_warning=True))


def tell_open_types(name: str, sentences: Sequence[Sentence], progress: Callback) -> None:
    """Tell how many sentences of a split speak of some types alone, and what else is open."""
    known = Counter(s.annotates for s in sentences if s.annotates is not None)
    for types, count in known.items():
        listed = ", ".join(sorted(types))
        progress(Message(f"{name}: {count:,} sentences speak of {listed} alone; others are open"))
    told = open_counts(sentences)
    if told:
        progress(Message(f"{name}: {told}"))


def _plan(config: RunConfig) -> str:
    training, rate = config.training, config.optimiser.learning_rate
    return (
        f"plan: batches of {training.batch_size}, at most {training.epochs} epochs, patience of"
        f" {training.patience}, learning rate {rate:g}, dropout {config.model.encoder.dropout:g}"
    )


def tell_repairs(repairs: Sequence[str], progress: Callback) -> None:
    """Tell of the first few tags that were repaired, and how many others there are."""
    shown = list(repairs[:REPAIRS_SHOWN])
    if len(repairs) > REPAIRS_SHOWN:
        shown.append(f"and {len(repairs) - REPAIRS_SHOWN:,} more")
    for message in shown:
        progress(Message(f"invalid tag {message}", is_warning=True))

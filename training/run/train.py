"""`tagbelt train CONFIG`: from a config and CoNLL files to a checkpoint that serves."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from tagbelt.data.checkpoint.artifact import (
    CARD,
    CONFIG,
    Header,
    replaced,
    restore,
    write_json,
    write_sums,
)
from tagbelt.data.checkpoint.vocabulary import Vocabulary
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference.checkpoint import Precision, has_int8
from tagbelt.inference.tagger import Tagger
from tagbelt.inference.threads import available_threads
from tagbelt.model.checkpoint import save_checkpoint
from tagbelt.model.network import Network
from tagbelt.training.config import RunConfig
from tagbelt.training.corpus.corpus import RunData, encode_split, load_run_data, read_split
from tagbelt.training.corpus.files import check_digests, digests, write_digests
from tagbelt.training.loop.distillation import run_targets
from tagbelt.training.loop.loop import Epoch, Progress, Step, Trainer, make_average, make_optimiser
from tagbelt.training.loop.unknown_words import bigram_rates, hide_rates
from tagbelt.training.run.card import model_card
from tagbelt.training.run.view import TrainingView
from tagbelt.training.rundir.lock import held
from tagbelt.training.rundir.saved import BOARD, CHECKPOINT, METRICS, REPORT, STATE
from tagbelt.training.rundir.state import PROGRESS, load_state, save_state
from tagbelt.training.scores.calibration import calibrate
from tagbelt.training.scores.evaluate import evaluate_sentences
from tagbelt.training.scores.metrics import MetricsLog

REPAIRS_SHOWN = 5


@dataclass(frozen=True)
class Run:
    """A run in its directory: the trainer, the data it was made of, and the files it writes."""

    directory: Path
    trainer: Trainer
    data: RunData

    @property
    def checkpoint(self) -> Path:
        """Where the best epoch's checkpoint stands."""
        return self.directory / CHECKPOINT


def train(
    config: RunConfig, directory: Path, *, resume: bool = False, console: Console | None = None
) -> dict[str, Any]:
    """Train as the config says and return the report of the best checkpoint, by split and mode.

    `directory` receives `checkpoint/` (the best epoch), `state/` (to resume), `metrics.jsonl`,
    `tensorboard/`, `report.json`, and `files.json`: the SHA-256 of each file that was read. Killed
    at any moment, the run loses at most the epoch under way; with `resume` it then ends in the same
    weights as an uninterrupted one, on the CPU.

    Raises:
        ConfigError: a config, file or directory that can't be used, or where another run trains.
    """
    if resume and not directory.exists():
        raise _nothing_to_resume(directory)
    with held(directory):
        return _train(config, directory, resume, console or Console(stderr=True))


def _train(config: RunConfig, directory: Path, resume: bool, console: Console) -> dict[str, Any]:
    resume = _settle_directory(directory, resume=resume)
    torch.set_num_threads(config.training.threads or available_threads())
    run = prepare(config, directory, console)
    found = digests(config)
    if resume:
        load_state(directory / STATE, run.trainer)
        check_digests(directory, found)
    write_json(directory / CONFIG, config.model_dump(mode="json"))
    write_digests(directory, found)
    _train_epochs(run, console)
    check_digests(directory, digests(config, only="test"))  # they are read only now
    results = _report(run, console)
    write_json(directory / REPORT, results)
    return results


def _settle_directory(directory: Path, *, resume: bool) -> bool:
    """Put right what a killed run left; return whether there is a finished epoch to go on from."""
    for name in (STATE, CHECKPOINT):
        restore(directory / name)
    has_state = (directory / STATE / PROGRESS).exists()
    if has_state and not resume:
        raise ConfigError(
            f"{directory}: a run is here already; go on with --resume, or give another --out"
        )
    # A run that was killed in its first epoch has its config there; to resume is to start anew.
    if resume and not has_state and not (directory / CONFIG).exists():
        raise _nothing_to_resume(directory)
    return has_state


def _nothing_to_resume(directory: Path) -> ConfigError:
    return ConfigError(f"{directory}: no run here to resume; run without --resume")


def prepare(config: RunConfig, directory: Path, console: Console) -> Run:
    """Read the data and make the network, both from the config and its seed alone."""
    data = load_run_data(config)
    _tell_data(config, data, console)
    device = _device(config.training.device)
    torch.manual_seed(config.training.seed)
    network = _network(config, data, console).to(device)
    sentences = (*data.train, *data.unlabelled)
    train_set = encode_split(sentences, data.vocabulary, data.tags, config)
    trainer = Trainer(
        config=config,
        network=network,
        optimiser=make_optimiser(network, config.optimiser),
        train=train_set,
        dev=encode_split(data.dev, data.vocabulary, data.tags, config),
        dev_spans=tuple(sentence.spans or () for sentence in data.dev),
        tags=data.tags,
        hide_rates=hide_rates(train_set, data.vocabulary, data.vectors, config.model.words),
        progress=Progress(),
        device=device,
        average=make_average(network, config.optimiser.average),
        bigram_rates=bigram_rates(train_set, data.vocabulary, config.model),
        targets=run_targets(config, data, train_set, console),
    )
    return Run(directory, trainer, data)


def _network(config: RunConfig, data: RunData, console: Console) -> Network:
    size = data.vectors.matrix.shape[1] if data.vectors else config.model.words.size
    network = Network(config.model, data.vocabulary, data.tags, config.data.tags, size=size)
    if data.vectors:
        found = network.words.embedding.load_pretrained(
            data.vocabulary, data.vectors, trainable=config.model.words.train_vectors
        )
        console.print(f"{found:,} of {len(data.vocabulary.words):,} words have a pretrained vector")
    if data.lexicon_vectors is not None:
        network.context.load_lexicon(data.lexicon_vectors)
    _tell_context(data.vocabulary, console)
    weights = sum(weight.numel() for weight in network.parameters())
    console.print(f"{config.model.encoder.cell} network, {weights:,} weights to train")
    return network


def _tell_context(vocabulary: Vocabulary, console: Console) -> None:
    bigrams, gazetteer = vocabulary.bigrams, vocabulary.gazetteer
    if bigrams is not None:
        console.print(f"{bigrams.count - 1:,} pairs of neighbouring tokens")
    if gazetteer is not None:
        types = escape(", ".join(gazetteer.types))
        console.print(f"{gazetteer.size} flags a token from lists of {types}")
    if vocabulary.lexicon is not None:
        console.print(f"{len(vocabulary.lexicon.words):,} words of a lexicon")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training.device: 'cuda' is not there; say 'auto' or 'cpu'")
    return torch.device(name)


def _tell_data(config: RunConfig, data: RunData, console: Console) -> None:
    for name, sentences in (("train", data.train), ("dev", data.dev)):
        tokens = sum(len(sentence.tokens) for sentence in sentences)
        spans = sum(len(sentence.spans or ()) for sentence in sentences)
        console.print(
            f"{name}: {len(sentences):,} sentences, {tokens:,} tokens, {spans:,} entities"
        )
    console.print(f"types: {escape(', '.join(data.labels))} (CRF over {config.data.tags})")
    _tell_repairs(data.repairs, console)


def _tell_repairs(repairs: Sequence[str], console: Console) -> None:
    for message in repairs[:REPAIRS_SHOWN]:
        console.print(f"[yellow]invalid tag[/yellow] {escape(message)}", soft_wrap=True)
    if len(repairs) > REPAIRS_SHOWN:
        console.print(f"[yellow]invalid tag[/yellow] and {len(repairs) - REPAIRS_SHOWN:,} more")


def _train_epochs(run: Run, console: Console) -> None:
    trainer, progress = run.trainer, run.trainer.progress
    log = MetricsLog(run.directory / METRICS)
    log.keep_until(progress.epoch)
    view = TrainingView(console, trainer.config.training.epochs)
    with (
        view.shown(progress.epoch, progress.best_f1),
        _board(run.directory / BOARD, progress.epoch) as board,
    ):
        for event in trainer.run():
            if isinstance(event, Step):
                view.step(event)
                continue
            if event.is_best:
                _save_best(run)
            values = _values(event)
            log.write({"epoch": event.epoch, **values})
            for name, value in values.items():
                board.add_scalar(name, value, event.epoch)
            board.flush()
            # Last: an epoch counts once all it leaves behind is there. If the run is killed
            # before, it is run again, and what it had left behind is replaced.
            save_state(run.directory / STATE, trainer)
            view.epoch(event)


def _values(epoch: Epoch) -> dict[str, float]:
    return {
        "train/loss": epoch.loss,
        "train/learning_rate": epoch.learning_rate,
        "train/tokens_per_second": epoch.tokens_per_second,
        "train/seconds": epoch.seconds,
        "dev/precision": epoch.dev.precision,
        "dev/recall": epoch.dev.recall,
        "dev/f1": epoch.dev.f1,
    }


@contextmanager
def _board(directory: Path, epoch: int) -> Iterator[Any]:
    from torch.utils.tensorboard.writer import SummaryWriter

    # What a killed run had written behind its last whole epoch is not shown.
    writer = SummaryWriter(str(directory), purge_step=epoch + 1)
    try:
        yield writer
    finally:
        writer.close()


def _header(run: Run) -> Header:
    config = run.trainer.config
    return Header(
        name=config.name,
        version=config.version,
        language=config.language,
        description=config.description,
        licence=config.licence,
        unit=config.data.unit,
        scheme=config.data.tags,
        labels=run.data.labels,
        tags=run.data.tags,
        model=config.model.model_dump(mode="json"),
        metrics={"dev_f1": run.trainer.progress.best_f1},
    )


def _save_best(run: Run) -> None:
    """Write the checkpoint from a copy, since its word table is rounded and training goes on."""
    network = run.trainer.judged
    kept = {name: value.cpu().clone() for name, value in network.state_dict().items()}
    device = run.trainer.device
    try:
        save_checkpoint(run.checkpoint, network.cpu(), run.data.vocabulary, _header(run))
    finally:
        network.load_state_dict(kept)
        network.to(device)


INT8_LOSS = 0.001
"""The int8 graph serves by default where its dev F1 is at most this far below float32's."""


def _report(run: Run, console: Console) -> dict[str, Any]:
    """Choose the precision of the best checkpoint, calibrate it, and judge it as it serves."""
    config = run.trainer.config
    f1_float = _f1(_evaluate(run, "float32", run.data.dev))
    precision: Precision = "float32"
    if has_int8(run.checkpoint):
        f1_int8 = _f1(_evaluate(run, "int8", run.data.dev))
        precision = "int8" if f1_int8 >= f1_float - INT8_LOSS else "float32"
    calibration = calibrate(run.checkpoint, run.data.dev, precision)
    console.print(str(calibration), highlight=False)
    results = {"dev": _evaluate(run, precision, run.data.dev)}
    test, repairs = read_split(config, "test")
    _tell_repairs(repairs, console)
    if test:
        results["test"] = _evaluate(run, precision, test)
    metrics = {f"{split}_f1": round(_f1(report), 4) for split, report in results.items()}
    metrics |= {"dev_f1_float32": round(f1_float, 4), **calibration.metrics}
    changes = {
        "precision": precision,
        "temperature": calibration.temperature,
        "metrics": metrics,
    }
    header = _header(run).model_copy(update=changes)
    refresh(run.checkpoint, header, model_card(header, config, results))
    return results


def _evaluate(run: Run, precision: Precision, sentences: tuple[Sentence, ...]) -> Any:
    threads = run.trainer.config.training.threads or None
    tagger = Tagger.load(run.checkpoint, precision=precision, threads=threads)
    return evaluate_sentences(tagger, sentences)


def _f1(report: Any) -> float:
    return float(report["strict"]["micro"]["f1"])


def refresh(directory: Path, header: Header, card: str) -> None:
    """Give a checkpoint another header and card, in one replacement."""
    with replaced(directory) as fresh:
        for path in directory.iterdir():
            shutil.copy2(path, fresh / path.name)
        write_json(fresh / CONFIG, header.model_dump(mode="json"))
        (fresh / CARD).write_text(card, encoding="utf-8")
        write_sums(fresh)


if __name__ == "__main__":
    from tagbelt.training.run.script import main

    main()

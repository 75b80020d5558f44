"""Writes what a run keeps: the state to resume from, and the checkpoint of its best epoch."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tagbelt.data.checkpoint.artifact import (
    CARD,
    CONFIG,
    SUMS,
    Header,
    damage,
    replaced,
    write_json,
    write_sums,
)
from tagbelt.data.types import Sentence
from tagbelt.errors import ConfigError
from tagbelt.inference.baseline import add_baseline
from tagbelt.inference.checkpoint import Precision, has_int8
from tagbelt.inference.tagger import Tagger
from tagbelt.model.checkpoint import save_checkpoint
from tagbelt.training.config import DistillationConfig, RunConfig
from tagbelt.training.corpus.corpus import read_split
from tagbelt.training.events import Message
from tagbelt.training.loop.loop import Progress, Trainer
from tagbelt.training.run.examples import choose_examples
from tagbelt.training.run.prepare import Run, tell_open_types, tell_overlap, tell_repairs
from tagbelt.training.rundir import differences, parse_saved
from tagbelt.training.scores.calibration import Calibration, calibrate
from tagbelt.training.scores.evaluate import MODES, Scores, evaluate_sentences

INT8_LOSS = 0.001
"""The int8 graph serves by default where its dev F1 is at most this far below float32's.

Or by about one entity of the dev set, which says nothing in a small one.
"""


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
        examples=_examples(run),
    )


def _examples(run: Run) -> tuple[str, ...]:
    data = run.trainer.config.data
    if not data.examples:
        return ()
    found = choose_examples(run.data.dev, data.unit)
    return found or choose_examples(run.data.train, data.unit)


def save_best(run: Run) -> None:
    """Write the checkpoint from a copy, since its word table is rounded and training goes on."""
    network = run.trainer.judged
    kept = {name: value.cpu().clone() for name, value in network.state_dict().items()}
    device = run.trainer.device
    try:
        save_checkpoint(run.checkpoint, network.cpu(), run.data.vocabulary, _header(run))
    finally:
        network.load_state_dict(kept)
        network.to(device)


def finish(run: Run) -> dict[str, Scores]:
    """Choose the precision of the best checkpoint, calibrate it, and judge it as it serves.

    Returns its scores by split.
    """
    in_float = _evaluate(run, "float32", run.data.dev)
    f1_float = _f1(in_float)
    precision: Precision = "float32"
    if has_int8(run.checkpoint) and is_as_good(_evaluate(run, "int8", run.data.dev), in_float):
        precision = "int8"
    calibration = calibrate(run.checkpoint, run.data.dev, precision)
    run.progress(Message(str(calibration)))
    results = {"dev": _evaluate(run, precision, run.data.dev)}
    test, repairs = read_split(run.trainer.config, "test")
    tell_repairs(repairs, run.progress)
    tell_overlap("test", test, run.data.train, run.progress)
    tell_open_types("test", test, run.progress)
    if test:
        results["test"] = _evaluate(run, precision, test)
    metrics = {f"{split}_f1": round(_f1(scores), 4) for split, scores in results.items()}
    metrics |= {"dev_f1_float32": round(f1_float, 4), **calibration.metrics}
    changes = {
        "precision": precision,
        "temperature": calibration.temperature,
        "metrics": metrics,
    }
    header = _header(run).model_copy(update=changes)
    refresh(run.checkpoint, header, model_card(header, run.trainer.config, results))
    add_baseline(run.checkpoint, [sentence.tokens for sentence in run.data.dev])
    return results


def _evaluate(run: Run, precision: Precision, sentences: tuple[Sentence, ...]) -> Scores:
    threads = run.trainer.config.training.threads or None
    tagger = Tagger.load(run.checkpoint, precision=precision, threads=threads)
    return evaluate_sentences(tagger, sentences)


def is_as_good(in_int8: Scores, in_float: Scores) -> bool:
    """Tell whether 8-bit arithmetic loses so little on the dev set that it serves by default."""
    entities = in_float["strict"]["micro"]["support"]
    return _f1(in_int8) >= _f1(in_float) - max(INT8_LOSS, 1 / max(entities, 1))


def _f1(scores: Scores) -> float:
    return scores["strict"]["micro"]["f1"]


def refresh(directory: Path, header: Header, card: str) -> None:
    """Give a checkpoint another header and card, in one replacement."""
    with replaced(directory) as fresh:
        for path in directory.iterdir():
            shutil.copy2(path, fresh / path.name)
        write_json(fresh / CONFIG, header.model_dump(mode="json"))
        (fresh / CARD).write_text(card, encoding="utf-8")
        write_sums(fresh)


def model_card(header: Header, config: RunConfig, results: Mapping[str, Scores]) -> str:
    """Write the card in Markdown; `results` maps a split to its report a mode.

    It begins with what Hugging Face's hub reads of a model.
    """
    sections = [
        _front_matter(header, results),
        f"# {header.name} {header.version}",
        header.description,
        _facts(header, config),
        config.notes.strip(),
        *(_scores(split, reports) for split, reports in results.items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


LICENCES = ("CC BY 4.0", "CC BY-SA 4.0", "CC0 1.0", "Apache 2.0", "MIT")
"""Those that the hub has names for, which are these in small letters."""


def _front_matter(header: Header, results: Mapping[str, Scores]) -> str:
    """Return the metadata of a card as the hub has it: YAML, its values as JSON writes them."""
    known = header.licence in LICENCES
    licence = header.licence.lower().replace(" ", "-") if known else "other"
    task = {"type": "token-classification", "name": "Named Entity Recognition"}
    scores = [
        {
            "task": task,
            "dataset": {"name": f"{split} of the training config", "type": header.name},
            "metrics": [{"type": "f1", "value": round(_f1(reports), 4)}],
        }
        for split, reports in results.items()
    ]
    fields = {
        **({"language": header.language} if header.language else {}),
        "license": licence,
        **({"license_name": header.licence} if header.licence and not known else {}),
        "library_name": "tagbelt",
        "pipeline_tag": "token-classification",
        "tags": ["named-entity-recognition", "crf", header.name],
        "model-index": [{"name": f"{header.name} {header.version}", "results": scores}],
    }
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
    return "\n".join(["---", *lines, "---"])


def _facts(header: Header, config: RunConfig) -> str:
    encoder, characters = config.model.encoder, config.model.characters
    direction = "bidirectional" if encoder.bidirectional else "forward"
    files = [source.path for source in config.data.train]
    if config.data.synthesis:
        files.append(f"{config.data.synthesis.sentences:,} sentences from templates")
    rows = {
        "Language": header.language or "not stated",
        "Licence": header.licence or "not stated",
        "Entity types": ", ".join(header.labels),
        "Token": header.unit,
        "Encoder": f"{encoder.cell}, {direction}, {encoder.layers} x {encoder.hidden} units",
        "Characters": characters.kind,
        "Vectors": config.model.words.vectors or f"random, {config.model.words.size}",
        **_more_vectors(config),
        **_context(config),
        "CRF tags": f"{header.scheme}, {len(header.tags)}",
        "Trained on": ", ".join(files),
        "Seed": str(config.training.seed),
        "Served in": header.precision,
    }
    if config.distillation:
        rows["Taught by"] = _teachers(config.distillation)
    calibration = Calibration.recorded(header)
    if calibration is not None:
        rows["Confidence"] = str(calibration)
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _more_vectors(config: RunConfig) -> dict[str, str]:
    said = [
        f"{source.source}, as {source.size} numbers" if source.size else source.source
        for source in config.model.vectors
    ]
    return {"More vectors": "; ".join(said)} if said else {}


def _context(config: RunConfig) -> dict[str, str]:
    """Return what the network knows of a token's neighbours; nothing unless the config asks."""
    bigrams, lexicon, lists = config.model.bigrams, config.model.lexicon, config.data.gazetteers
    rows = {}
    if bigrams.size:
        rows["Pairs of tokens"] = f"{bigrams.size}, of those seen {bigrams.min_count} times or more"
    if lexicon.vectors is not None:
        rows["Lexicon"] = f"{lexicon.vectors}, {lexicon.size} numbers a word"
    if lists:
        rows["Term lists"] = ", ".join(
            source.package or f"{source.type} ({source.path})" for source in lists
        )
    return rows


def _teachers(distillation: DistillationConfig) -> str:
    files = [source.path for source in distillation.text]
    teachers = f"{', '.join(distillation.teachers)}; weight {distillation.weight}"
    return f"{teachers}; on {', '.join(files)} too" if files else teachers


def _scores(split: str, reports: Scores) -> str:
    lines = [f"## Scores on {split} (per cent, seqeval)", "", _head(), "|---|---|---|---|---|---|"]
    for mode in MODES:
        report = reports[mode]
        rows = {"all": report["micro"], **report["types"]}
        lines += [
            f"| {name} | {mode} | {100 * row['precision']:.2f} | {100 * row['recall']:.2f} "
            f"| {100 * row['f1']:.2f} | {row['support']} |"
            for name, row in rows.items()
        ]
    return "\n".join(lines)


def _head() -> str:
    return "| type | mode | precision | recall | F1 | entities |"


NETWORK = "network.safetensors"
OPTIMISER = "optimiser.safetensors"
AVERAGE = "average.safetensors"
PROGRESS = "progress.json"

MAY_CHANGE = {("training", name) for name in ("epochs", "patience", "device", "threads")}
"""Settings that a resumed run may be given anew. With `epochs`, a linear schedule changes too; with
other `threads`, the last bits of the weights."""


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
        write_sums(fresh)


def load_state(directory: Path, trainer: Trainer) -> None:
    """Bring a trainer to where a run stopped.

    Raises:
        ConfigError: a state of another config, or of other data; the message names what differs.
            A file that is missing or damaged; the message names it.
    """
    names = (NETWORK, OPTIMISER, PROGRESS, *([AVERAGE] if trainer.average is not None else []))
    # States of earlier releases have no sums.
    fault = damage(directory, names) if (directory / SUMS).exists() else None
    if fault is not None:
        raise ConfigError(f"can't resume: {fault}; {_REMEDY}")
    try:
        _load_state(directory, trainer)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"can't resume: {directory} is damaged: {error}; {_REMEDY}") from error


_REMEDY = "bring it back from a copy, or train anew with another --out"


def _load_state(directory: Path, trainer: Trainer) -> None:
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
        for tensors in (split.tags, split.bigrams, split.flags, split.allowed):
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

"""The model card of a checkpoint: what it was trained on, and what it scored."""

from collections.abc import Mapping
from typing import Any

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.training.config import RunConfig
from tagbelt.training.distillation_config import DistillationConfig
from tagbelt.training.scores.calibration import Calibration
from tagbelt.training.scores.metrics import MODES


def model_card(header: Header, config: RunConfig, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the card in Markdown; `results` maps a split to its report a mode."""
    sections = [
        f"# {header.name} {header.version}",
        header.description,
        _facts(header, config),
        config.notes.strip(),
        *(_scores(split, reports) for split, reports in results.items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


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


def _context(config: RunConfig) -> dict[str, str]:
    """What the network knows of a token's neighbours; nothing unless it was asked for."""
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


def _scores(split: str, reports: Mapping[str, Any]) -> str:
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

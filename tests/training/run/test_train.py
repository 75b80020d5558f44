import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from tagbelt.data.checkpoint.artifact import Baseline, Header
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme, spans_to_tags
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.inference.baseline import measure_baseline
from tagbelt.model.checkpoint import load_network
from tagbelt.model.config import CELLS
from tagbelt.training.analysis.page import render_page
from tagbelt.training.analysis.report import load_run, make_report
from tagbelt.training.config import parse_config, sized
from tagbelt.training.corpus.corpus import encode_split, read_split
from tagbelt.training.loop import loop
from tagbelt.training.loop.loop import predict
from tagbelt.training.run.checkpoint import is_as_good
from tagbelt.training.run.train import torch_threads, train
from tagbelt.training.scores.evaluate import MODES, Score, evaluate, render
from tests.training.tiny import CHINESE, ENGLISH, EXAMPLES, tiny_config

TRAIN = EXAMPLES / "train.conll"


def metrics_of(run):
    lines = (run.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_learns_its_corpus(learned):
    losses = [values["train/loss"] for values in metrics_of(learned)]
    assert losses[-1] < 0.1 * losses[0]
    scores = evaluate(learned.checkpoint, TRAIN, threads=1)
    assert scores["strict"]["micro"]["f1"] > 0.9
    assert scores["strict"]["micro"]["support"] == 64


def test_characters_are_learned_too(trained):
    run = trained({"training.epochs": 20, "data.dev": "train.bmes"}, CHINESE)
    scores = evaluate(run.checkpoint, EXAMPLES / "zh" / "train.bmes", threads=1)
    assert scores["strict"]["micro"]["f1"] > 0.9
    assert Header.read(run.checkpoint).unit == "character"


def test_metrics_have_a_line_an_epoch(learned):
    rows = metrics_of(learned)
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert list(rows[0]) == [
        "epoch",
        "train/loss",
        "train/learning_rate",
        "train/tokens_per_second",
        "train/seconds",
        "dev/precision",
        "dev/recall",
        "dev/f1",
    ]


def test_tensorboard_shows_what_the_metrics_say(learned):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(learned.directory / "tensorboard")).Reload()
    rows = metrics_of(learned)
    assert set(events.Tags()["scalars"]) == set(rows[0]) - {"epoch"}
    for name in events.Tags()["scalars"]:
        points = [(point.step, point.value) for point in events.Scalars(name)]
        assert points == [(row["epoch"], pytest.approx(row[name], rel=1e-5)) for row in rows]


def test_the_report_is_that_of_the_checkpoint(learned):
    saved = json.loads((learned.directory / "report.json").read_text(encoding="utf-8"))
    assert saved == learned.report
    assert list(saved) == ["dev", "test"]
    for split, scores in saved.items():
        file = EXAMPLES / f"{split}.conll"
        assert evaluate(learned.checkpoint, file, threads=1) == scores
    header = Header.read(learned.checkpoint)
    assert header.metrics["test_f1"] == pytest.approx(
        saved["test"]["strict"]["micro"]["f1"], abs=1e-4
    )
    best = max(row["dev/f1"] for row in metrics_of(learned))
    assert header.metrics["dev_f1_float32"] == pytest.approx(best, abs=0.06), "table is rounded"


@pytest.mark.parametrize(
    ("entities", "lost", "is_chosen"),
    [
        (20, 0.049, True),  # one of them
        (20, 0.051, False),
        (5942, 0.0009, True),
        (5942, 0.0011, False),
        (0, 0.0, True),
    ],
)
def test_8_bits_serve_unless_they_lose_more_than_says_anything(entities, lost, is_chosen):
    def scores(f1):
        row = {"precision": f1, "recall": f1, "f1": f1, "support": entities}
        return {mode: {"micro": row, "macro": row, "types": {}} for mode in MODES}

    assert is_as_good(scores(0.9 - lost), scores(0.9)) is is_chosen


def test_the_baseline_is_what_the_checkpoint_finds_on_dev(learned):
    dev = [one.tokens for one in read_conll(EXAMPLES / "dev.conll").sentences]
    expected = measure_baseline(Tagger.load(learned.checkpoint, threads=1), dev)
    found = Baseline.read(learned.checkpoint)
    assert (found.tokens, found.unknown) == (expected.tokens, expected.unknown)
    assert found.entities == pytest.approx(expected.entities)
    assert found.scores == pytest.approx(expected.scores)
    assert sum(expected.entities.values()) > 0


def test_the_card_says_what_it_is_and_scores_in_both_modes_by_type(learned):
    card = (learned.checkpoint / "README.md").read_text(encoding="utf-8")
    metadata, _, text = card.removeprefix("---\n").partition("\n---\n\n")
    assert text.startswith(
        "# tiny 1\n\n| | |\n|---|---|\n| Language | en |\n| Licence | not stated |"
    )
    rows = (line.split(": ", 1) for line in metadata.split("\n"))
    fields = {key: json.loads(value) for key, value in rows}
    assert (fields["language"], fields["license"]) == ("en", "other")
    assert fields["pipeline_tag"] == "token-classification"
    (model,) = fields["model-index"]
    found = [result["metrics"][0]["value"] for result in model["results"]]
    expected = [learned.report[s]["strict"]["micro"]["f1"] for s in ("dev", "test")]
    assert found == pytest.approx(expected, abs=1e-4)
    assert "| Encoder | lstm, bidirectional, 1 x 12 units |" in card
    assert "| CRF tags | BIOES, 13 |" in card
    for split in ("dev", "test"):
        section = card.partition(f"## Scores on {split}")[2].partition("## ")[0]
        for mode in MODES:
            report = learned.report[split][mode]
            for name, row in {"all": report["micro"], **report["types"]}.items():
                figures = [f"{100 * row[k]:.2f}" for k in ("precision", "recall", "f1")]
                assert f"| {name} | {mode} | {' | '.join(figures)} | {row['support']} |" in section
        assert section.count(" strict ") == section.count(" default ") == 4


def test_the_config_is_kept_whole(learned):
    saved = json.loads((learned.directory / "config.json").read_text(encoding="utf-8"))
    assert parse_config(saved, place="saved") == sized(learned.config, 40)


def test_a_person_sees_what_is_going_on(learned):
    lines = learned.said.splitlines()
    assert lines[:4] == [
        "device: cpu, 1 thread",
        "train: 40 sentences, 308 tokens, 64 entities",
        "dev: 10 sentences, 73 tokens, 18 entities",
        "types: LOC, ORG, PER (CRF over BIOES)",
    ]
    epoch = re.compile(
        r"epoch +(\d+)/12  loss +\d+\.\d{4}  dev P +[\d.]+%  R +[\d.]+%  F1 +[\d.]+%( \*|  ) "
        r"+[\d,]+ tokens/s +[\d.]+ s"
    )
    assert [int(found[1]) for line in lines if (found := epoch.fullmatch(line))] == list(
        range(1, 13)
    )


def test_rendered_scores_line_up(learned):
    text = render(learned.report["test"])
    assert text.splitlines()[0].startswith("strict and default mode alike, IOB2, seqeval ")
    *rows, interval = [line for line in text.splitlines() if line.startswith("  ")]
    assert len({len(row) for row in rows}) == 1
    assert [row.split()[0] for row in rows] == ["precision", "LOC", "ORG", "PER", "all"]
    assert interval.startswith("  few entities: the F1 of others like them would be ")


def test_repairs_are_told_and_brackets_in_tags_survive(trained, tmp_path):
    text = "Ada I-[b]\nmet O\n\n" * 7 + "Bo B-[b]\n"
    for name in ("train", "dev"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    splits = {"data.root": str(tmp_path), "data.train": "train", "data.dev": "dev", "data.test": []}
    invalid = {"data.scheme": "IOB2", "data.on_invalid": "repair"}
    run = trained({**splits, **invalid, "training.epochs": 1})
    told = [line for line in run.said.splitlines() if line.startswith("invalid tag")]
    assert len(told) == 6
    assert f"{tmp_path / 'train'}:1: " in told[0]
    assert "I-[b]" in told[0]
    assert told[5] == "invalid tag and 9 more"
    assert "types: [b] (CRF" in run.said
    assert list(run.report) == ["dev"]


def test_a_second_run_in_a_directory_is_refused(learned):
    with pytest.raises(ConfigError, match=r"a run is here already; go on with --resume, or give"):
        train(learned.config, learned.directory)


def test_what_is_kept_is_the_average(trained):
    run = trained({"training.epochs": 1})
    kept = load_file(run.checkpoint / "model.safetensors")
    averages = load_file(run.directory / "state" / "average.safetensors")
    weights = load_file(run.directory / "state" / "network.safetensors")
    assert len(kept) > 5
    for name, value in kept.items():
        assert np.array_equal(value, averages[f"module.{name}"]), name
    assert not np.array_equal(kept["emissions.weight"], weights["emissions.weight"])


def test_the_best_epoch_is_kept(trained, monkeypatch):
    """Ties go to the earliest: the checkpoint is that of a run that ends there."""
    options = {"optimiser.schedule": "constant"}
    short = trained({**options, "training.epochs": 2})
    scores = iter([0.1, 0.6, 0.3, 0.6])
    monkeypatch.setattr(loop, "span_score", lambda *_: Score(0.0, 0.0, next(scores), 1))
    long = trained({**options, "training.epochs": 4})
    files = [(run.checkpoint / "model.safetensors").read_bytes() for run in (short, long)]
    assert files[0] == files[1]
    assert long.said.count(" *") == 2


NETWORKS = {
    **{cell: {"model.encoder.cell": cell} for cell in CELLS},
    "coupled with peephole": {"model.encoder.cell": "lstm-coupled", "model.encoder.peephole": True},
    "attention": {"model.encoder.attention_heads": 2},
    "two layers": {"model.encoder.layers": 2, "model.encoder.cell": "gru"},
    "forward only": {"model.encoder.bidirectional": False},
    "characters by gru": {"model.characters.kind": "gru", "model.words.shape_size": 4},
    "no characters": {"model.characters.kind": "none", "data.tags": "IOB2"},
    "cased": {"model.words.lowercase": False, "model.words.zero_digits": False},
    "free transitions": {"model.crf.constrain_training": False},
}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_trains_and_serves_what_torch_finds(trained, network):
    run = trained({**NETWORKS[network], "training.epochs": 8})
    scores = evaluate(run.checkpoint, TRAIN, threads=1)
    assert scores["strict"]["micro"]["support"] == 64
    found = 0
    for split in ("train", "dev", "test"):
        torch_tags, served_tags = both_tags(run.checkpoint, run.config, split)
        assert torch_tags == served_tags
        found += sum(tag != "O" for row in torch_tags for tag in row)
    assert found > 20, "tags that are all outside would prove little"


def both_tags(checkpoint, config, split):
    """IOB2 tags of a split by the torch network, and by the Tagger in single precision."""
    network, vocabulary, header = load_network(checkpoint)
    sentences, _ = read_split(config, split)
    encoded = encode_split(sentences, vocabulary, header.tags, config)
    spans = predict(network, encoded, header.tags, config, next(network.parameters()).device)
    rows = zip(sentences, spans, strict=True)
    by_torch = [list(spans_to_tags(found, len(s.tokens), Scheme.IOB2)) for s, found in rows]
    tagger = Tagger.load(checkpoint, threads=1, precision="float32")
    return by_torch, tagger.tag_tokens([s.tokens for s in sentences])


def test_the_optimisers_learn(trained):
    for name, rate in {"adamw": 0.03, "sgd": 0.3}.items():
        changes = {"optimiser.name": name, "optimiser.learning_rate": rate, "training.epochs": 6}
        losses = [row["train/loss"] for row in metrics_of(trained(changes))]
        assert losses[-1] < 0.5 * losses[0], name


def test_a_device_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"training\.device: 'cuda' is not there; say 'auto'"):
        train(tiny_config({"training.device": "cuda"}), tmp_path)


@pytest.mark.parametrize(
    ("given", "variable", "threads"),
    [
        (None, None, 1),
        (None, "", 1),
        (None, "0", 1),
        (None, "many", 1),
        (None, "3", 3),
        (None, " 2,1", 2),
        (2, "3", 2),
        (0, "3", 5),
    ],
)
def test_threads_are_those_given_else_the_environment_s_else_one(
    monkeypatch, given, variable, threads
):
    monkeypatch.setattr("tagbelt.training.run.train.available_threads", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert torch_threads(given) == threads


def test_a_run_says_where_it_trains_and_a_resumed_one_may_have_other_threads(trained, tmp_path):
    first = trained({"training.epochs": 1}, directory=tmp_path)
    changes = {"training.epochs": 2, "training.threads": 2}
    second = trained(changes, directory=tmp_path, resume=True)
    assert first.said.splitlines()[0] == "device: cpu, 1 thread"
    assert second.said.splitlines()[0] == "device: cpu, 2 threads"


def test_a_file_without_entities_can_be_evaluated_on(learned, tmp_path):
    file = tmp_path / "plain.conll"
    file.write_text("Nothing\tO\nhappened\tO\n", encoding="utf-8")
    scores = evaluate(learned.checkpoint, file, threads=1)
    assert scores["strict"]["micro"]["support"] == 0


def test_a_file_is_read_as_it_is_said_to_be(learned, tmp_path):
    corpus = read_conll(EXAMPLES / "test.conll")
    lines = [
        f"{tag} x {token}\n"
        for s in corpus.sentences
        for token, tag in zip(
            s.tokens, spans_to_tags(s.spans, len(s.tokens), Scheme.IOB1), strict=True
        )
    ]
    file = tmp_path / "other.txt"
    file.write_text("".join(lines), encoding="utf-8")
    read = {"columns": ["tag", "x", "token"], "separator": "space", "scheme": "IOB1"}
    scores = evaluate(learned.checkpoint, file, **read, threads=1)
    assert scores["strict"]["micro"]["support"] == 18
    with pytest.raises(
        ConfigError, match=r"options: scheme: Input should be 'IO', .* \(is 'BIO'\)"
    ):
        evaluate(learned.checkpoint, file, scheme="BIO")
    with pytest.raises(
        ConfigError, match=r"options: columns must name 'token' and 'tag' once each"
    ):
        evaluate(learned.checkpoint, file, columns=["token", "pos"])


def test_the_examples_are_what_their_readme_says():
    for base, counts in ((ENGLISH, (40, 10, 10)), (CHINESE, (18, 4, 4))):
        splits = (
            read_split(tiny_config(base=base), split)[0] for split in ("train", "dev", "test")
        )
        assert tuple(map(len, splits)) == counts


def test_a_test_file_without_entities_is_trained_and_reported_to_the_end(trained, tmp_path):
    file = tmp_path / "plain.conll"
    file.write_text("Nothing\tO\nhappened\tO\n", encoding="utf-8")
    run = trained({"training.epochs": 1, "data.test": str(file)})
    assert run.report["test"]["strict"]["micro"]["support"] == 0
    assert "all (micro)" in run.said
    assert "<html" in render_page(make_report(load_run(run.directory)), mistakes=5)


@pytest.mark.parametrize(
    "changes", [{"name": "my model/v1 é"}, {"name": "auto"}, {"version": "1 beta"}, {"version": ""}]
)
def test_a_name_that_cannot_be_served_is_refused_before_training(changes, tmp_path):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        train(tiny_config(changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_split_that_training_has_is_warned_of(trained, tmp_path):
    copy = tmp_path / "copy.conll"
    copy.write_bytes(TRAIN.read_bytes())
    run = trained({"training.epochs": 1, "data.dev": str(copy), "data.test": str(copy)})
    for split in ("dev", "test"):
        assert f"of the 40 sentences of {split} stand in training too" in run.said
    assert "stand in training too" not in trained({"training.epochs": 1}).said

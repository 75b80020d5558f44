"""Gold entities are drawn from a network's own distribution at a known temperature."""

import json
from itertools import product

import numpy as np
import pytest

from tagbelt.data.checkpoint.artifact import Header, verify_sums
from tagbelt.data.conll.schemes import Scheme, tag_set, tags_to_spans
from tagbelt.data.types import Sentence, Span
from tagbelt.inference import Tagger
from tagbelt.model.checkpoint import load_network, save_checkpoint
from tagbelt.training.run import checkpoint as run_checkpoint
from tagbelt.training.scores import calibration
from tagbelt.training.scores.calibration import (
    Calibration,
    best_temperature,
    calibrate,
    calibration_error,
    find_entities,
)
from tests.model.networks import (
    LABELS,
    make_header,
    make_network,
    make_sentences,
    make_vocabulary,
    torch_emissions,
)

TAGS = tag_set(LABELS, Scheme.IOB2)
COUNT = 1200


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A function: a checkpoint, and sentences whose entities are drawn at a temperature."""
    network = make_network(3)
    lengths = np.random.default_rng(1).integers(1, 5, COUNT).tolist()
    sentences = make_sentences(1, lengths)
    emissions = torch_emissions(network, sentences)
    scores = [score.detach().double().numpy() for score in network.crf.scores()]

    def draw(temperature, count=COUNT):
        directory = tmp_path_factory.mktemp("drawn") / "checkpoint"
        save_checkpoint(directory, network, make_vocabulary(), make_header(network))
        chance = np.random.default_rng(5)
        gold = []
        for tokens, rows in zip(sentences[:count], emissions, strict=False):
            paths, weights = enumerated(rows, *scores, temperature)
            tags = [TAGS[tag] for tag in paths[chance.choice(len(paths), p=weights)]]
            gold.append(Sentence(tuple(tokens), tags_to_spans(tags, Scheme.IOB2), 0))
        return directory, gold

    return draw


def enumerated(emissions, start, step, end, temperature):
    """All paths of a sentence, and their probabilities at a temperature."""
    paths = np.array(list(product(range(len(TAGS)), repeat=len(emissions))))
    total = start[paths[:, 0]] + end[paths[:, -1]]
    total = total + emissions[np.arange(len(emissions)), paths].sum(axis=1)
    total = total + step[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    weights = np.exp((total - total.max()) / temperature)
    return paths, weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.6, 2.5])
def test_the_temperature_that_gold_was_drawn_at_is_found(drawn, temperature):
    directory, sentences = drawn(temperature)
    found = find_entities(directory, sentences, "float32")
    assert best_temperature(found) == pytest.approx(temperature, rel=0.15)
    assert calibration_error(found) > 0.05
    assert calibration_error(found, temperature) < 0.04


def test_posteriors_at_a_temperature_are_those_of_all_paths(drawn):
    directory, sentences = drawn(1.0, 60)
    network, _, _ = load_network(directory)
    scores = [score.detach().double().numpy() for score in network.crf.scores()]
    emissions = torch_emissions(network, [sentence.tokens for sentence in sentences])
    wanted, got = [], []
    for found in find_entities(directory, sentences, "float32"):
        spans, table = found.spans, found.batch.table
        for index, start, end, label in zip(
            found.batch.index[spans.rows], spans.starts, spans.ends, spans.labels, strict=True
        ):
            span = Span(int(start), int(end), table.labels[label])
            wanted.append(chance_of(span, *enumerated(emissions[index], *scores, 1.7)))
        got += found.posteriors(1.7).tolist()
    assert len(got) > 40
    assert got == pytest.approx(wanted, abs=1e-5)


def chance_of(span, paths, weights):
    possible = zip(paths[weights > 0], weights[weights > 0], strict=True)
    tagged = ((tags_to_spans([TAGS[tag] for tag in path], Scheme.IOB2), w) for path, w in possible)
    return sum(weight for spans, weight in tagged if span in spans)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_calibrated_checkpoint_has_the_same_tags_and_better_scores(drawn, precision):
    directory, sentences = drawn(2.5)
    tokens = [sentence.tokens for sentence in sentences]
    tags = Tagger.load(directory, threads=1, precision=precision).tag_tokens(tokens)
    measured = calibrate(directory, sentences, precision)
    assert measured.error_before > 0.05 > 0.04 > measured.error
    verify_sums(directory)
    assert Tagger.load(directory, threads=1, precision=precision).tag_tokens(tokens) == tags
    error = calibration_error(find_entities(directory, sentences, precision))
    assert error == pytest.approx(measured.error, abs=2e-4)
    assert Calibration.recorded(Header.read(directory)) == measured


def test_a_calibration_is_told_in_words():
    divided = "calibration error on dev 0.0100, 0.0400 before scores were divided by 1.5000"
    assert str(Calibration(1.5, 0.04, 0.01)) == divided
    assert str(Calibration(1.0, 0.0099, 0.0099)) == (
        "calibration error on dev 0.0099; scores left as they are"
    )


def test_a_checkpoint_is_calibrated_once(drawn):
    directory, sentences = drawn(2.5)
    measured = calibrate(directory, sentences, "float32")
    files = contents(directory)
    assert calibrate(directory, sentences, "float32") == measured
    assert contents(directory) == files


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_network_is_divided_and_nothing_else(drawn):
    directory, sentences = drawn(2.5)
    before = load_network(directory)[0].state_dict()
    temperature = calibrate(directory, sentences, "float32").temperature
    after = load_network(directory)[0].state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        divided = name.startswith(("emissions.", "crf."))
        wanted = value.numpy() / (temperature if divided else 1.0)
        np.testing.assert_allclose(after[name].numpy(), wanted, rtol=1e-6, atol=0, err_msg=name)


def test_scores_that_are_right_already_stay(drawn, monkeypatch):
    directory, sentences = drawn(1.0)
    monkeypatch.setattr(calibration, "WORTHWHILE", 0.04)
    files = contents(directory)
    measured = calibrate(directory, sentences, "float32")
    assert measured.temperature == 1.0
    assert measured.error == measured.error_before < 0.04
    assert contents(directory) == files


def test_too_few_mistakes_tell_nothing(drawn):
    directory, sentences = drawn(2.5, 15)
    assert calibration_error(find_entities(directory, sentences, "float32")) > 0.05
    assert calibrate(directory, sentences, "float32").temperature == 1.0
    assert calibrate(directory, [], "float32").error == 0.0


def test_the_lower_of_two_minima_is_found():
    def value(temperature):
        return min(abs(np.log(temperature / 0.5)) + 0.1, abs(np.log(temperature / 5.0)))

    assert calibration._least(value, 0.25, 8.0) == pytest.approx(5.0, rel=0.01)
    assert calibration._least(lambda temperature: temperature, 0.25, 8.0) == 0.25


def test_a_run_says_what_became_of_its_scores(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "ENOUGH", 1)
    monkeypatch.setattr(run_checkpoint, "refresh", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained({"training.epochs": 4}, directory=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(calibration, "ENOUGH", 1)
    run = trained({"training.epochs": 4}, directory=tmp_path, resume=True)
    whole = trained({"training.epochs": 4})
    assert contents(run.checkpoint) == contents(whole.checkpoint)
    recorded = Calibration.recorded(Header.read(run.checkpoint))
    assert recorded.temperature != 1.0
    assert recorded.error < recorded.error_before
    card = (run.checkpoint / "README.md").read_text(encoding="utf-8")
    assert f"| Confidence | {recorded} |" in card
    assert str(recorded) in run.said


def test_what_a_checkpoint_knows_of_neighbours_stays(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "ENOUGH", 1)
    names = tmp_path / "names.txt"
    names.write_text("Mara\nTarn\n", encoding="utf-8")
    run = trained(
        {
            "training.epochs": 6,
            "data.dev": "train.conll",
            "data.gazetteers": [{"type": "NAME", "path": str(names)}],
            "model.bigrams": {"size": 4},
        }
    )
    assert Header.read(run.checkpoint).temperature != 1.0
    network, vocabulary, _ = load_network(run.checkpoint)
    assert network.context.size > 4
    assert vocabulary.gazetteer.types == ("NAME",)
    lines = (run.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    best = max(json.loads(line)["dev/f1"] for line in lines)
    assert run.report["dev"]["strict"]["micro"]["f1"] == pytest.approx(best, abs=0.03)

"""Experiments, in forms that take seconds: they run, go on, and measure what they say."""

import json
import re
import shutil
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

pytest.importorskip("matplotlib", reason="plots need the extra `plots`")

from tagbelt.commands.cli import app
from tagbelt.data.conll.reading import read_conll
from tagbelt.errors import ConfigError
from tagbelt.inference.tagger import Tagger
from tagbelt.model.config import CELLS
from tagbelt.training.experiments import cost, gradients, inside, lags, rates, sequences, taggers
from tagbelt.training.experiments.drawing import DARK
from tagbelt.training.experiments.sequences import TASKS, Effort, fresh_encoder, sequence_network
from tagbelt.training.experiments.table import EXPERIMENTS, experiment
from tagbelt.training.experiments.taggers import Size
from tagbelt.training.experiments.trials import VARIANTS, Records, Table, Trying
from tests.training.tiny import EXAMPLES

TINY = Size(None, 8, 20)


@pytest.fixture
def tiny(monkeypatch):
    """Every experiment in its smallest form."""
    for module, name, value in (
        (lags, "MEMORY", {True: (lags.Ladder("first", (1, 3), 4, 60),)}),
        (lags, "TIMING", {True: (lags.Ladder("spikes", (4,), 4, 10),)}),
        (lags, "CAROUSEL_LAGS", {"gradient": 4, "first": 2, "since": 6}),
        (lags, "CAROUSEL_STEPS", {True: 5}),
        (gradients, "BACK", 5),
        (gradients, "EFFORT", Effort(steps=5)),
        (gradients, "STEPS", {True: 20}),
        (gradients, "SHOWN", (1, 5)),
        (gradients, "LOOKED_BACK", 5),
        (gradients, "SCALES", (0.5, 1.5)),
        (taggers, "LOOKED_INTO", {True: TINY}),
        (inside, "LOOKED_INTO", {True: TINY}),
        (inside, "TEXTS", {True: Size(None, 2, 1)}),
        (inside, "LOOKED_AT", {True: 3}),
        (inside, "HEADS", (0, 2)),
        (rates, "RATES", (0.001, 0.1)),
        (rates, "SIZES", {True: Size(None, 8, 1)}),
        (rates, "STEPS", {True: 10}),
        (cost, "ROUNDS", {True: 1}),
        (cost, "LENGTHS", (2, 4)),
        (cost, "UNITS", 8),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(sequences, "CHECKED", 20)
    monkeypatch.setattr(lags, "CHECKED", 20)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Our own small corpora under the names of those that the experiments read."""
    root = tmp_path_factory.mktemp("corpora")
    for name, folder, ending in (("conll2003", ".", "conll"), ("cluener", "zh", "bmes")):
        (root / name).mkdir()
        for split in ("train", "dev"):
            source = EXAMPLES / folder / f"train.{ending}"
            shutil.copy2(source, root / name / f"{split}.txt")
    return root


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Where the taggers of all tests of this file are kept."""
    return tmp_path_factory.mktemp("runs")


def heard(name, options):
    told, ended = [], []
    return experiment(name, options, told.append, ended.append), ended


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_leaves_records_a_plot_and_a_table_and_goes_on(
    name, tmp_path, corpora, taught, monkeypatch
):
    cells = ("rnn", "lstm")
    options = Trying(tmp_path, taught, cells, 2 if name == "timing" else 1, True, corpora)
    done, ended = heard(name, options)
    records = json.loads(done.results.read_text(encoding="utf-8"))
    assert len(records) == len(ended) > 1
    assert all("seed" in record and record["result"] for record in records)
    assert ElementTree.parse(done.plot).getroot().tag.endswith("svg")
    assert all(len(row) == len(done.table.columns) for row in done.table.rows)
    assert not [cell for row in done.table.rows for cell in row if "nan" in cell]
    first = done.plot.read_bytes()

    def forbidden(*_):
        raise AssertionError("it ran again")

    monkeypatch.setitem(EXPERIMENTS, name, replace(EXPERIMENTS[name], run=forbidden))
    again, ended = heard(name, options)
    assert all("done before" in line for line in ended)
    assert again.table == done.table
    assert done.plot.read_bytes() == first
    body = first.decode("utf-8").partition("</style>")[2]
    colours = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body))
    assert colours <= DARK.keys()


def test_a_trial_that_a_kill_cut_off_runs_again_and_others_do_not(tmp_path):
    path = tmp_path / "memory.json"
    records = Records(path)
    for seed in (1, 2):
        records.add({"seed": seed, "lag": 5}, {"steps": 50 * seed})
    path.with_suffix(".json.part").write_text("[{", encoding="utf-8")  # cut off
    assert Records(path).find({"lag": 5, "seed": 2}) == {"steps": 100}
    assert Records(path).find({"lag": 6, "seed": 2}) is None
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"memory\.json: no records"):
        Records(path)


@pytest.mark.usefixtures("tiny")
def test_longer_lags_are_for_those_who_solved_the_shorter(tmp_path):
    options = Trying(tmp_path, tmp_path, ("lstm",), 2, True)
    records = Records(tmp_path / "memory.json")
    trials = EXPERIMENTS["memory"].trials(options, records)
    seen = []
    for key in trials:
        seen.append((key["variant"], key["lag"], key["seed"]))
        records.add(key, {"is_solved": key["variant"] == "lstm" and key["seed"] == 2})
    assert seen[:4] == [("lstm", 1, 1), ("lstm", 1, 2), ("lstm", 3, 1), ("lstm", 3, 2)]
    assert {lag for variant, lag, _ in seen if variant != "lstm"} == {1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "there are gradients, carousel, explosion, memory, timing, cost, exposure"),
        (["memory", "--cell", "lsmt"], "no cell 'lsmt'; there are rnn, lstm, lstm-peephole"),
        (["exposure", "--data", "/nowhere"], "conll2003/ in the directory that --data"),
        (["keeping", "--cell", "gru"], "TAGBELT_DATA"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(arguments, words, tmp_path, monkeypatch):
    monkeypatch.delenv("TAGBELT_DATA", raising=False)
    out = ["--out", str(tmp_path), "--runs", str(tmp_path), "--quick"]
    done = CliRunner().invoke(app, ["experiment", *arguments, *out])
    assert done.exit_code == 1
    assert words in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tiny")
def test_the_command_writes_a_table_and_says_where_things_are(tmp_path):
    arguments = ["explosion", "--quick", "--seeds", "1", "--cell", "rnn", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["experiment", *arguments])
    assert done.exit_code == 0, done.stderr
    assert "| network |" in done.stdout
    assert "explosion.svg" in done.stderr


# What is measured.
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_norms_are_those_of_finite_differences(cell, bidirectional):
    settings = {"cell": cell, "hidden": 3, "bidirectional": bidirectional}
    encoder = fresh_encoder(settings, 2, 1).double()
    rows = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    sizes, step = torch.ones(4, dtype=torch.int64), 1e-6
    norms = []
    for k in range(4):
        columns = []
        for unit in range(2):
            moved = rows.clone()
            ends = []
            for sign in (1, -1):
                moved[3 - k, unit] = rows[3 - k, unit] + sign * step
                ends.append(encoder(moved, sizes)[-1, :3].detach())
            columns.append((ends[0] - ends[1]) / (2 * step))
        norms.append(float(torch.stack(columns).norm()))
    found = gradients.jacobian_norms(encoder, rows, 3)
    np.testing.assert_allclose(found, norms, rtol=1e-3)


def test_on_tiny_inputs_the_plain_cell_is_linear():
    encoder = fresh_encoder({"cell": "rnn", "hidden": 4}, 4, 1)
    gradients.enlarge(encoder, 1.5)
    network = encoder.layers[0].network
    found = gradients.jacobian_norms(encoder, gradients.TINY * torch.randn(9, 4))
    u, w = network.weight_hh_l0.detach().double(), network.weight_ih_l0.detach().double()
    wanted = [float((torch.linalg.matrix_power(u, k) @ w).norm()) for k in range(9)]
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert wanted[8] / wanted[0] == pytest.approx(1.5**8, rel=1e-4)


def test_a_forget_gate_held_at_1_stays_there():
    task = TASKS["since"]
    network = sequence_network({**VARIANTS["lstm f=1"], "hidden": 4}, task, 1)
    cell = network.encoder.layers[0].network
    before = {name: w.detach().clone() for name, w in cell.named_parameters()}
    sequences.learn(network, task, 30, 1, Effort(steps=20))
    rows = slice(8, 12)  # candidate, input, forget, output
    for name, weight in cell.named_parameters():
        assert torch.equal(weight[:, rows], before[name][:, rows]), name
        assert not torch.equal(weight, before[name])
    assert bool((torch.sigmoid(cell.bias[:, rows] - 20.0) == 1.0).all())


def test_the_records_of_peepholes_have_them_on_those_gates_alone():
    for name in ("input", "forget", "output"):
        network = sequence_network(
            {**VARIANTS[f"peephole: {name}"], "hidden": 4}, TASKS["spikes"], 1
        )
        assert network.encoder.layers[0].network.peephole.shape == (1, 1, 4)


drawn = {"count": st.integers(1, 5), "lag": st.integers(10, 40), "seed": st.integers(0, 99)}


def sequences_of(name, count, lag, seed):
    return TASKS[name].make(count, lag, torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(**drawn)
def test_the_answers_follow_from_the_inputs(count, lag, seed):
    batch = sequences_of("first", count, lag, seed)
    assert batch.inputs.shape == (lag + 1, count, 8)
    assert torch.equal(batch.inputs[0].argmax(1), batch.answers)
    assert bool((batch.inputs[1:].argmax(2) >= 4).all())
    batch = sequences_of("adding", count, lag, seed)
    values, marks = batch.inputs.unbind(2)
    assert marks.sum(0).tolist() == [2.0] * count
    torch.testing.assert_close((values * marks).sum(0), batch.answers)
    batch = sequences_of("order", count, lag, seed)
    symbols = batch.inputs.argmax(2)
    for column, answer in zip(symbols.T, batch.answers.tolist(), strict=True):
        first, second = column[column < 2].tolist()
        assert answer == 2 * first + second
    batch = sequences_of("copy", count, lag, seed)
    symbols = batch.inputs.argmax(2)
    assert torch.equal(symbols[:5].flatten(), batch.answers)
    assert bool((symbols[5:] >= 4).all())
    batch = sequences_of("since", count, lag, seed)
    values, marks = batch.inputs.unbind(2)
    answers = batch.answers.view(lag, count)
    for b in range(count):
        total = 0.0
        for t in range(lag):
            total = float(values[t, b]) + (0.0 if marks[t, b] else total)
            assert float(answers[t, b]) == pytest.approx(total, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(**drawn)
def test_spikes_ask_for_the_time_between_two(count, lag, seed):
    batch = sequences_of("spikes", count, lag, seed)
    assert set(batch.inputs.flatten().tolist()) == {0.0, 1.0}
    asked, answers = batch.asked.tolist(), batch.answers.tolist()
    for b in range(count):
        at = batch.inputs[:, b, 0].nonzero()[:, 0].tolist()
        apart = np.diff(at)
        assert {*apart} <= {lag - 1, lag}
        mine = [
            (row // count, a) for row, a in zip(asked, answers, strict=True) if row % count == b
        ]
        assert sorted(mine) == [(t, int(d == lag)) for t, d in zip(at[1:], apart, strict=True)]


# What is looked up in taggers.
@pytest.fixture(scope="module")
def reader(taught, corpora):
    options = Trying(taught, taught, ("lstm",), 1, True, corpora)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taggers, "LOOKED_INTO", {True: TINY})
        checkpoint = taggers.trained(options, "lstm", 1, lambda _: None)
    return inside.Reader.load(checkpoint), Tagger.load(checkpoint, threads=1, precision="float32")


def test_the_probability_of_an_entity_is_the_taggers_own(reader, corpora):
    network, tagger = reader
    header = tagger.info
    seen = 0
    for sentence in read_conll(corpora / "conll2003" / "train.txt").sentences[:20]:
        for entity in tagger.inspect(sentence.tokens).entities:
            place = (entity.start, entity.end)
            (found,) = network.posteriors([sentence.tokens], [place], entity.label)
            seen += 1
            if getattr(header, "temperature", 1.0) == 1.0:
                assert found == pytest.approx(entity.score, abs=1e-4)
            assert 0.0 < found <= 1.0
    assert seen


def test_what_is_dropped_is_asked_for_at_its_new_place(reader, corpora):
    network, tagger = reader
    for sentence in read_conll(corpora / "conll2003" / "train.txt").sentences[:20]:
        trace = tagger.inspect(sentence.tokens, occlude="all").sentences[0]
        for number, entity in enumerate(trace.entities):
            outside = {j: j for j in range(len(trace.tokens)) if not entity.start <= j < entity.end}
            tops = {str(j): j for j in outside}
            if not tops:
                continue
            whole = network.posteriors([trace.tokens], [(entity.start, entity.end)], entity.label)
            for name, drop in inside.dropped(network, trace, number, tops).items():
                left = [t for j, t in enumerate(trace.tokens) if j != int(name)]
                start = entity.start - (int(name) < entity.start)
                place = (start, start + entity.end - entity.start)
                (after,) = network.posteriors([left], [place], entity.label)
                assert drop == pytest.approx(whole[0] - after, abs=1e-5)
            return
    pytest.fail("no entity was found")


def test_the_gradient_is_that_of_the_entitys_tags(reader, corpora):
    network, tagger = reader
    sentence = read_conll(corpora / "conll2003" / "train.txt").sentences[0]
    path = tagger.inspect(sentence.tokens).sentences[0].path
    found = network.influence(sentence.tokens, path, 0, 1)
    batch = inside.encode([sentence.tokens], network.vocabulary).batch([0])
    with torch.no_grad():
        rows = network.network.rows(batch)

        def score(scale, token):
            moved = rows.clone()
            moved[token] *= scale
            scores = network.network.scores(moved, batch.batch_sizes).log_softmax(1)
            return float(scores[0, path[0]])

        for token in range(len(rows)):
            slope = (score(1.01, token) - score(0.99, token)) / 0.02
            assert found[token] == pytest.approx(abs(slope), abs=2e-3)


@pytest.mark.usefixtures("tiny")
def test_documents_lose_no_token_and_no_entity(tmp_path, corpora):
    options = Trying(tmp_path, tmp_path, ("lstm",), 1, True, corpora)
    folder = inside._documents(options, Size(None, 4, 1))
    before = read_conll(corpora / "conll2003" / "train.txt").sentences
    after = read_conll(folder / "train.txt").sentences
    assert len(after) < len(before)
    assert [t for s in after for t in s.tokens] == [t for s in before for t in s.tokens]

    def entities(sentences):
        return [s.tokens[p.start : p.end] for s in sentences for p in s.spans]

    assert entities(after) == entities(before)
    assert len(read_conll(folder / "dev.txt").sentences) == 1


def test_a_table_is_markdown():
    assert Table(("a", "b"), (("1", "2"),)).markdown() == "| a | b |\n| --- | --- |\n| 1 | 2 |"

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch.nn.functional import embedding

from tagbelt.data.checkpoint.artifact import EMBEDDINGS
from tagbelt.model.checkpoint import load_network
from tagbelt.training.events import Epoch, Step
from tagbelt.training.loop import loop
from tagbelt.training.loop.deferred_adam import DeferredAdam
from tagbelt.training.loop.loop import clip_gradients, set_learning_rate
from tagbelt.training.run.prepare import prepare
from tagbelt.training.scores.evaluate import Score
from tests.training.tiny import tiny_config


@pytest.fixture
def trainer(tmp_path):
    def make(changes=None):
        return prepare(tiny_config(changes), tmp_path).trainer

    return make


@pytest.fixture
def scripted(monkeypatch):
    """Let dev F1 be as given, epoch by epoch."""

    def script(values):
        scores = iter(values)
        monkeypatch.setattr(
            loop,
            "span_score",
            lambda *_: Score(precision=0.0, recall=0.0, f1=next(scores), support=1),
        )

    return script


def epochs_of(trainer):
    return [event for event in trainer.run() if isinstance(event, Epoch)]


def weights_of(trainer):
    return {name: value.clone() for name, value in trainer.network.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_what_happens_is_told_in_order(trainer):
    events = list(trainer({"training.epochs": 2}).run())
    steps = [event for event in events if isinstance(event, Step)]
    assert [type(event) for event in events] == ([Step] * 5 + [Epoch]) * 2
    assert [(step.epoch, step.done, step.batches) for step in steps[4:6]] == [(1, 5, 5), (2, 1, 5)]
    assert all(step.tokens_per_second > 0 for step in steps)
    first, second = (event for event in events if isinstance(event, Epoch))
    assert (first.epoch, second.epoch) == (1, 2)
    # 40 sentences in batches of 8: the mean over sentences is that over batches.
    assert first.loss == pytest.approx(sum(step.loss for step in steps[:5]) / 5)


def test_a_run_learns(trainer):
    epochs = epochs_of(trainer({"training.epochs": 12}))
    assert epochs[-1].loss < 0.1 * epochs[0].loss
    assert epochs[-1].dev.f1 > 0.9 > 0.2 > epochs[0].dev.f1


def test_the_seed_decides_all(trainer):
    runs = {}
    for name, seed in {"one": 1, "again": 1, "two": 2}.items():
        made = trainer({"training.seed": seed, "training.epochs": 2})
        torch.rand(len(name))  # what others drew before does not matter
        runs[name] = ([epoch.loss for epoch in epochs_of(made)], weights_of(made))
    assert runs["one"][0] == runs["again"][0] != runs["two"][0]
    assert same(runs["one"][1], runs["again"][1])
    assert not same(runs["one"][1], runs["two"][1])


def test_a_sentence_weighs_the_same_in_a_short_batch(trainer):
    """40 sentences in batches of 16 end with one of 8."""
    made = trainer({"training.epochs": 1, "training.batch_size": 16})
    *steps, epoch = made.run()
    sizes = {step.done: step.loss for step in steps}
    assert len(sizes) == 3
    candidates = [
        sum(loss * (8 if done == short else 16) for done, loss in sizes.items()) / 40
        for short in sizes
    ]
    assert any(epoch.loss == pytest.approx(candidate) for candidate in candidates)
    assert epoch.loss != pytest.approx(sum(sizes.values()) / 3, rel=1e-6)


def test_patience_ends_a_run_and_ties_go_to_the_earliest(trainer, scripted):
    scripted([0.2, 0.5, 0.5, 0.4, 0.5, 0.9])
    made = trainer({"training.epochs": 6, "training.patience": 3})
    epochs = epochs_of(made)
    assert [epoch.is_best for epoch in epochs] == [True, True, False, False, False]
    progress = made.progress
    assert (progress.epoch, progress.best_epoch, progress.best_f1) == (5, 2, 0.5)
    assert progress.history == [0.2, 0.5, 0.5, 0.4, 0.5]
    assert epochs_of(made) == [], "it stays ended"


def test_patience_does_not_count_before_the_first_entity_is_found(trainer, scripted):
    scripted([0.0] * 5 + [0.1, 0.0, 0.1, 0.5])
    epochs = epochs_of(trainer({"training.epochs": 9, "training.patience": 2}))
    assert len(epochs) == 8


def test_an_epoch_that_finds_nothing_can_be_the_best(trainer, scripted):
    scripted([0.0, 0.0])
    assert [e.is_best for e in epochs_of(trainer({"training.epochs": 2}))] == [True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(trainer, value):
    made = trainer()
    with torch.no_grad():
        made.network.emissions.bias[0] = value
    before = weights_of(made)
    with pytest.raises(
        FloatingPointError, match=r"lower optimiser\.learning_rate or optimiser\.clip"
    ):
        list(made.run())
    assert made.progress.epoch == 0
    after = weights_of(made)
    assert all(torch.equal(before[k].nan_to_num(), after[k].nan_to_num()) for k in before)


def test_the_gradient_is_clipped(trainer):
    """One step of plain SGD moves all weights by `clip` at most."""
    settings = {"optimiser.name": "sgd", "optimiser.schedule": "constant", "optimiser.warmup": 0.0}
    made = trainer({**settings, "optimiser.learning_rate": 1.0, "optimiser.clip": 0.01})
    before = weights_of(made)
    next(made.run())
    moved = sum(float((now - before[k]).square().sum()) for k, now in weights_of(made).items())
    assert math.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_sparse_gradients_are_clipped_as_torch_clips_dense_ones(limit):
    torch.manual_seed(0)
    table, other, unused = (torch.nn.Parameter(torch.randn(5, 3)) for _ in range(3))
    rows = torch.tensor([1, 4, 1])

    def gradients(clip, *, sparse):
        table.grad = other.grad = None
        (embedding(rows, table, sparse=sparse) * other[:3]).sum().backward()
        clip([table, other, unused], limit)
        return table.grad.to_dense(), other.grad

    mine = gradients(clip_gradients, sparse=True)
    theirs = gradients(torch.nn.utils.clip_grad_norm_, sparse=False)
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.parametrize("bigrams", [0, 4])
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_run_with_deferred_moves_ends_as_one_with_the_whole_tables(trainer, name, bigrams):
    changes = {"optimiser.average": 0.0, "optimiser.name": name, "optimiser.weight_decay": 0.01}
    changes |= {"model.bigrams": {"size": bigrams, "dropout": 0.2}}
    changes |= {"training.epochs": 3, "optimiser.learning_rate": 0.01}
    fast, slow = trainer(changes), trainer(changes)
    assert isinstance(fast.optimiser, DeferredAdam)
    slow.network.words.embedding.sparse = False
    if bigrams:
        assert fast.network.context.bigrams.sparse
        slow.network.context.bigrams.sparse = False
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    slow = replace(slow, optimiser=kind(slow.optimiser.param_groups))
    losses = [[epoch.loss for epoch in epochs_of(made)] for made in (fast, slow)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    after = weights_of(slow)
    for weight, value in weights_of(fast).items():
        torch.testing.assert_close(value, after[weight], rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_what_is_judged_is_an_average_that_forgets_the_start(trainer, decay):
    made = trainer({"training.epochs": 2, "optimiser.average": decay})
    expected = None
    for steps, _ in enumerate(event for event in made.run() if isinstance(event, Step)):
        weights = weights_of(made)
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        expected = (
            {k: (1 - share) * v + share * weights[k] for k, v in expected.items()}
            if expected
            else weights
        )
    judged = made.judged.state_dict()
    assert judged.keys() == expected.keys()
    assert all(torch.allclose(judged[k], v, atol=1e-6) for k, v in expected.items())
    assert not same(weights_of(made), judged)


def test_dev_is_tagged_by_what_is_judged(trainer):
    made = trainer({"training.epochs": 10})
    list(made.run())
    before = made.predict(made.dev)
    with torch.no_grad():
        made.network.emissions.bias[0] = 1e6  # it would find nothing
    assert any(before)
    assert made.predict(made.dev) == before


def test_without_an_average_the_weights_themselves_are_judged(trainer):
    made = trainer({"optimiser.average": 0.0})
    assert made.judged is made.network


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"warmup": 2.0}, {0: 0.005, 1: 0.505, 2: 1.0, 6: 0.5, 9: 0.125, 10: 0.01}),
        ({"warmup": 0.0}, {0: 1.0, 5: 0.5, 9.95: 0.01}),
        ({"warmup": 2.0, "schedule": "constant"}, {0: 0.005, 1: 0.505, 2: 1.0, 9: 1.0}),
        ({"warmup": 0.0, "schedule": "constant"}, {0: 1.0, 9: 1.0}),
        ({"warmup": 20.0}, {0: 0.0005, 10: 0.5005}),
    ],
)
def test_the_learning_rate_rises_and_falls(changes, rates):
    options = {f"optimiser.{name}": value for name, value in changes.items()}
    config = tiny_config({**options, "training.epochs": 10, "optimiser.learning_rate": 0.5})
    optimiser = torch.optim.SGD([torch.zeros(1)], 9.0)
    for position, factor in rates.items():
        set_learning_rate(optimiser, config, position)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(0.5 * factor), position


@given(st.integers(1, 40), st.floats(0, 10), st.sampled_from(["linear", "constant"]))
def test_no_schedule_jumps_or_ends_at_nothing(epochs, warmup, schedule):
    options = {"optimiser.warmup": warmup, "optimiser.schedule": schedule}
    config = tiny_config({**options, "training.epochs": epochs, "optimiser.learning_rate": 1.0})
    optimiser = torch.optim.SGD([torch.zeros(1)], 9.0)
    rates = []
    for step in range(100 * epochs):
        set_learning_rate(optimiser, config, step / 100)
        rates.append(optimiser.param_groups[0]["lr"])
    assert all(0 < rate <= 1 for rate in rates)
    rising = [after - before for before, after in pairwise(rates) if after > before]
    assert all(step <= 0.011 / warmup for step in rising)
    assert max(rates) == pytest.approx(min(1.0, (epochs + 0.01) / (warmup or 1.0)), abs=0.02)


VECTORS = {"ellison": 0.5, "tarn": -0.25, "the": 1.5, "harbourmaster": 2.0}
"""Words in training and one that is not, each with a constant vector; exact in half precision."""


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    lines = (f"{word} {' '.join([str(value)] * 10)}\n" for word, value in VECTORS.items())
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_frozen_vectors_stay_as_they_came(trained, vectors, optimiser):
    run = trained(
        {
            "model.words": {"vectors": vectors, "train_vectors": False},
            "optimiser.name": optimiser,
            "optimiser.weight_decay": 0.1,
            "training.epochs": 2,
        }
    )
    assert "4 of " in run.said
    assert "words have a pretrained vector" in run.said
    table = load_file(run.checkpoint / EMBEDDINGS)["embeddings"]
    network, vocabulary, _ = load_network(run.checkpoint)
    assert table.shape[1] == network.words.embedding.trained.shape[1] == 10
    for word, value in VECTORS.items():
        assert np.array_equal(table[vocabulary.word_id(word)], np.full(10, value)), word


def test_vectors_that_train_move_unless_training_lacks_the_word(trained, vectors):
    run = trained({"model.words": {"vectors": vectors}, "training.epochs": 2})
    table = load_file(run.checkpoint / EMBEDDINGS)["embeddings"]
    _, vocabulary, _ = load_network(run.checkpoint)
    moved = {w: not (table[vocabulary.word_id(w)] == value).all() for w, value in VECTORS.items()}
    assert moved == {"ellison": True, "tarn": True, "the": True, "harbourmaster": False}


def test_words_seen_once_and_without_a_vector_are_hidden_most(trainer, vectors):
    def hidden(changes):
        made = trainer(changes)
        assert set(made.hide_rates.tolist()) <= {0.0, 0.5}
        return made.hide_rates > 0, made

    plain, made = hidden({"model.words": {"size": 12, "lowercase": True}})
    words, counts = made.train.forms.words, torch.zeros(1000, dtype=torch.long)
    for row in made.train.sentences:
        for word in words[row]:
            counts[word] += 1
    assert plain.tolist() == (counts[words] == 1).tolist()
    assert 10 < int(plain.sum()) < len(words)
    given, _ = hidden({"model.words": {"vectors": vectors}})
    assert int(given.sum()) == int(plain.sum()), "none of the given words occurs once"
    rates = trainer({"model.words": {"word_dropout": 0.25}}).hide_rates
    assert torch.equal(rates, torch.where(plain, 0.5, 0.25))


@pytest.mark.parametrize(("dropout", "rate", "rare"), [(0.0, 0.4, 0.4), (0.6, 0.4, 0.6)])
def test_pairs_seen_once_are_hidden_at_least_as_often_as_words(trainer, dropout, rate, rare):
    settings = {"size": 4, "min_count": 1, "dropout": dropout}
    made = trainer({"model.bigrams": settings, "model.words": {"size": 12, "unknown_rate": rate}})
    pairs = torch.cat(made.train.bigrams).tolist()
    expected = [rare if pairs.count(pair) == 1 else dropout for pair in range(max(pairs) + 1)]
    assert made.bigram_rates.tolist() == pytest.approx(expected)
    assert {rare, dropout} == set(expected)


def test_pairs_that_are_never_hidden_cost_no_chance(trainer):
    assert trainer({"model.bigrams": {"size": 4}}).bigram_rates is None
    assert trainer().bigram_rates is None

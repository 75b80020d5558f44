"""Looking inside a network: it is the one that tags, and what it shows is what it does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tagbelt.data.checkpoint.artifact import WEIGHTS, write_sums
from tagbelt.data.conll.schemes import Scheme
from tagbelt.errors import CheckpointError, InputError
from tagbelt.inference import Tagger
from tagbelt.inference.crf.algorithms import span_posteriors, viterbi
from tagbelt.inference.crf.parameters import Spans, tag_table
from tagbelt.inference.equations import EQUATIONS
from tagbelt.inference.inspector import MOST_TOKENS
from tagbelt.model.checkpoint import save_checkpoint
from tagbelt.model.config import CELLS
from tests.model.networks import (
    ALL_CELLS,
    make_header,
    make_network,
    make_sentences,
    vocabulary_of,
)

LENGTHS = [1, 1, 2, 3, 5, 8, 13, 40, *range(4, 20), *[6] * 20]
NETWORKS = {
    f"{cell}-{peephole}": {"cell": cell, "peephole": peephole} for cell, peephole in ALL_CELLS
} | {
    "forward": {"cell": "lstm", "bidirectional": False},
    "two-layers": {"cell": "gru", "layers": 2},
    "attention": {"cell": "mgu", "layers": 2, "attention_heads": 3},
    "context": {"cell": "lstm", "context": ("bigrams", "flags", "lexicon")},
    "bioes": {"cell": "lstm-coupled", "scheme": Scheme.BIOES},
}


def saved(directory, *, window=256, scheme=Scheme.IOB2, **options):
    network = make_network(scheme=scheme, **options)
    header = make_header(network, scheme, window=window)
    save_checkpoint(directory, network, vocabulary_of(network), header)
    return directory


@pytest.fixture(scope="module")
def tagger_of(tmp_path_factory):
    """Loads a tagger of a small network of random weights, made once."""
    made = {}

    def load(**options):
        key = tuple(sorted(options.items()))
        if key not in made:
            directory = tmp_path_factory.mktemp("network") / "checkpoint"
            made[key] = Tagger.load(saved(directory, **options), threads=1, precision="float32")
        return made[key]

    return load


def served_emissions(tagger, words):
    """Emissions [T, K] of the float32 graph."""
    lengths = np.array([len(words)], np.intp)
    prepared = tagger._scorer.prepare(words, lengths)
    return prepared.emissions(np.arange(len(words))[:, None], lengths)[:, 0]


def test_there_are_equations_for_every_cell():
    assert set(EQUATIONS) == set(CELLS)


@pytest.mark.parametrize("name", NETWORKS)
def test_emissions_and_marginals_are_those_of_the_graph_that_serves(name, tagger_of):
    tagger = tagger_of(**NETWORKS[name])
    table = tag_table(tagger.info.tags, tagger.info.scheme)
    for words in make_sentences(3, LENGTHS):
        (sentence,) = tagger.inspect(words).sentences
        np.testing.assert_allclose(sentence.emissions, served_emissions(tagger, words), atol=1e-4)
        (annotation,) = tagger.annotate_tokens([words], marginals=True)
        assert [(e.label, e.start, e.end) for e in sentence.entities] == [
            (e.label, e.start, e.end) for e in annotation.entities
        ]
        np.testing.assert_allclose(sentence.marginals.sum(1), 1.0, atol=1e-9)
        for chances, likely in zip(sentence.marginals, annotation.marginals, strict=True):
            of_iob2 = np.bincount(table.iob2, chances)
            named = {table.iob2_tags[i]: chance for i, chance in enumerate(of_iob2)}
            assert all(named[tag] == pytest.approx(p, abs=1e-4) for tag, p in likely.items())


@pytest.mark.parametrize("cell", CELLS)
def test_gates_say_how_the_cell_came_from_the_one_before(cell, tagger_of):
    words = make_sentences(4, [9])[0]
    (sentence,) = tagger_of(cell=cell).inspect(words).sentences
    for trace in sentence.layers[0]:
        of_weights = set(EQUATIONS[cell].blocks) - {"candidate"}
        coupled = {"input"} if cell == "lstm-coupled" else set()
        assert set(trace.gates) == of_weights | coupled
        assert all((gate > 0).all() and (gate < 1).all() for gate in trace.gates.values())
        if trace.kept is None:
            assert cell == "rnn"
            continue
        order = slice(None, None, -1 if trace.direction == "backward" else 1)
        cells, kept, new = (a[order] for a in (trace.cell, trace.kept, trace.candidate))
        written = trace.gates["input"][order] if "input" in trace.gates else 1 - kept
        before = np.concatenate((np.zeros_like(cells[:1]), cells[:-1]))
        np.testing.assert_allclose(cells, kept * before + written * new, atol=1e-6)


def test_what_is_carried_is_the_product_of_what_each_step_keeps(tagger_of):
    words = make_sentences(5, [6])[0]
    (sentence,) = tagger_of(cell="lstm").inspect(words).sentences
    forward, backward = sentence.layers[0]
    for i in range(6):
        for j in range(6):
            ahead = forward.kept[i + 1 : j + 1].prod(axis=0).mean() if j >= i else 0.0
            back = backward.kept[j:i].prod(axis=0).mean() if j <= i else 0.0
            assert forward.carried()[i, j] == pytest.approx(ahead, abs=1e-6)
            assert backward.carried()[i, j] == pytest.approx(back, abs=1e-6)
    assert forward.reach() == [int((row >= 0.5).sum()) - 1 for row in forward.carried()]


def test_a_cell_without_the_gate_asked_for_says_which_it_has(tagger_of):
    (sentence,) = tagger_of(cell="gru").inspect(["Anna", "went"]).sentences
    with pytest.raises(InputError, match="gru has no gate 'forget'; its gates: reset, update"):
        sentence.layers[0][0].gate("forget")
    (sentence,) = tagger_of(cell="rnn").inspect(["Anna", "went"]).sentences
    trace = sentence.layers[0][0]
    assert (trace.kept, trace.carried(), trace.reach()) == (None, None, None)
    with pytest.raises(InputError, match="rnn has no gate 'forget'; its gates: none"):
        trace.gate("forget")


def test_attention_sums_to_one_and_is_none_without_heads(tagger_of):
    words = make_sentences(6, [7])[0]
    (sentence,) = tagger_of(**NETWORKS["attention"]).inspect(words).sentences
    assert sentence.attention.shape == (3, 7, 7)
    np.testing.assert_allclose(sentence.attention.sum(-1), 1.0, atol=1e-6)
    assert len(sentence.layers) == 2
    assert tagger_of(cell="lstm").inspect(words).sentences[0].attention is None


def test_emissions_and_transitions_of_the_path_add_up_to_its_score(tagger_of):
    tagger = tagger_of(cell="lstm")
    words = make_sentences(7, [11])[0]
    (sentence,) = tagger.inspect(words).sentences
    score = sentence.transitions.sum() + sentence.emissions[range(11), sentence.path].sum()
    lengths = np.array([11], np.intp)
    paths, best = viterbi(sentence.emissions[:, None], lengths, tagger._decoder._crf)
    assert paths[:, 0].tolist() == list(sentence.path)
    assert score == pytest.approx(best[0], abs=1e-4)


def with_entities(tagger, least):
    """A sentence in which the random network finds entities."""
    return next(
        words
        for words in make_sentences(8, [9] * 200)
        if len(tagger.inspect(words).entities) >= least
    )


def test_an_entity_rests_on_the_tokens_whose_hiding_makes_it_less_probable(tagger_of):
    tagger = tagger_of(cell="gru")
    words = with_entities(tagger, 2)
    inspection = tagger.inspect(words, occlude=[1])
    (sentence,) = inspection.sentences
    assert set(sentence.rests_on) == {1}
    everything = tagger.inspect(words, occlude="all").sentences[0].rests_on
    assert set(everything) == set(range(len(inspection.entities)))
    np.testing.assert_allclose(everything[1], sentence.rests_on[1], atol=1e-6)
    # By hand: the same network with one row of zeros, one token after the other.
    network, entity = tagger._inspector.network, inspection.entities[1]
    table = tag_table(tagger.info.tags, tagger.info.scheme)
    span = [[0], [entity.start], [entity.end], [table.labels.index(entity.label)]]
    for token, loss in enumerate(sentence.rests_on[1]):
        rows = tagger._inspector.rows(words).copy()
        rows[token] = 0.0
        emissions = network.run(rows[:, None])[2]
        spans = Spans(*(np.array(place, np.intp) for place in span))
        crf = tagger._decoder._crf
        (left,) = span_posteriors(emissions, np.array([9], np.intp), crf, spans, table)
        assert loss == pytest.approx(entity.score - left, abs=1e-6)


@pytest.mark.parametrize("number", [-1, 99])
def test_an_entity_that_is_not_there_is_refused(number, tagger_of):
    tagger = tagger_of(cell="gru")
    words = with_entities(tagger, 1)
    with pytest.raises(InputError, match=f"no entity {number} in the text: its . are counted"):
        tagger.inspect(words, occlude=[number])
    with pytest.raises(InputError, match="no entity 0 in the text: it has none"):
        tagger.inspect(" ", occlude=[0])


def test_a_text_of_several_sentences_has_one_trace_each_and_counts_its_entities_through():
    tagger = Tagger.load(Path(__file__).parents[2] / "checkpoints" / "en", threads=1)
    text = "Angela Merkel went home. She met Toyota in Nagoya."
    inspection = tagger.inspect(text, occlude=[2])
    assert [e.text for e in inspection.entities] == ["Angela Merkel", "Toyota", "Nagoya"]
    assert [e.text for e in tagger.tag([text])[0]] == ["Angela Merkel", "Toyota", "Nagoya"]
    first, second = inspection.sentences
    assert first.rests_on == {}
    assert second.tokens[int(second.rests_on[2].argmax())] in ("Nagoya", "in")
    for sentence in inspection.sentences:
        places = zip(sentence.tokens, sentence.spans, strict=True)
        assert all(text[start:end] == token for token, (start, end) in places)


@pytest.mark.parametrize("item", ["", " \n", []])
def test_nothing_to_read_shows_nothing(item, tagger_of):
    assert tagger_of(cell="lstm").inspect(item, occlude="all").sentences == ()


def test_longer_than_the_bound_or_the_window_is_refused(tagger_of):
    tagger = tagger_of(cell="lstm")
    assert len(tagger.inspect(["Anna"] * MOST_TOKENS).sentences[0].tokens) == MOST_TOKENS
    with pytest.raises(InputError, match=f"has {MOST_TOKENS + 1} tokens, at most {MOST_TOKENS}"):
        tagger.inspect(["Anna"] * (MOST_TOKENS + 1))
    with pytest.raises(InputError, match=r"a sentence has 9 tokens, .* windows of 8"):
        tagger_of(cell="lstm", window=8).inspect(["Anna"] * 9)


def test_a_tagger_that_was_not_loaded_has_nothing_to_look_into(tagger):
    with pytest.raises(CheckpointError, match="not loaded from a checkpoint"):
        tagger.inspect("Anna")


def test_a_copy_for_serving_only_says_what_is_missing(tmp_path):
    directory = saved(tmp_path / "checkpoint", cell="lstm")
    (directory / WEIGHTS).unlink()
    tagger = Tagger.load(directory)
    with pytest.raises(CheckpointError, match=f"{WEIGHTS} is missing"):
        tagger.inspect("Anna")


def test_a_checkpoint_that_was_replaced_since_is_not_mixed_with_the_old(tmp_path):
    directory = saved(tmp_path / "checkpoint", cell="lstm")
    tagger = Tagger.load(directory)
    shutil.rmtree(directory)
    saved(directory, cell="lstm", seed=1)
    with pytest.raises(CheckpointError, match="was replaced since it was loaded"):
        tagger.inspect("Anna")


def test_weights_of_another_shape_are_refused(tmp_path):
    directory = saved(tmp_path / "checkpoint", cell="lstm")
    other = saved(tmp_path / "other", cell="gru")
    shutil.copy(other / WEIGHTS, directory / WEIGHTS)
    write_sums(directory)
    with pytest.raises(CheckpointError, match="does not fit"):
        Tagger.load(directory).inspect("Anna")


def test_json_holds_means_norms_and_whole_vectors_when_asked(tagger_of):
    tagger = tagger_of(cell="lstm", bidirectional=False)
    inspection = tagger.inspect("Anna went to Paris", occlude="all")
    sentence = inspection.sentences[0]
    (plain,) = inspection.to_json()["sentences"]
    (whole,) = inspection.to_json(vectors=True)["sentences"]
    direction = plain["layers"][0][0]
    assert "vectors" not in direction
    trace = sentence.layers[0][0]
    np.testing.assert_allclose(
        direction["gates"]["forget"], trace.gate("forget").mean(1), atol=1e-4
    )
    np.testing.assert_allclose(
        direction["norms"]["cell"], np.linalg.norm(trace.cell, axis=1), atol=1e-4
    )
    vectors = whole["layers"][0][0]["vectors"]
    assert set(vectors) == {"forget", "input", "output", "candidate", "cell", "state"}
    np.testing.assert_allclose(vectors["cell"], trace.cell, atol=1e-4)
    assert plain["path"] == [tagger.info.tags[tag] for tag in sentence.path]
    assert [t["text"] for t in plain["tokens"]] == ["Anna", "went", "to", "Paris"]
    assert all(e["rests_on"] is not None for e in plain["entities"])


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_that_of_torch(cell, tmp_path):
    """Through torch's own backward pass of the encoder and the CRF."""
    network = make_network(cell=cell, layers=2).eval()
    save_checkpoint(tmp_path, network, vocabulary_of(network), make_header(network))
    tagger = Tagger.load(tmp_path, threads=1)
    words = with_entities(tagger, 1)
    inspection = tagger.inspect(words, occlude="all")
    (sentence,), entity, tags = inspection.sentences, inspection.entities[0], inspection.tags
    allowed = torch.ones(len(words), len(tags), dtype=torch.bool)
    inside = tags.index(f"I-{entity.label}")
    for place in range(entity.start, entity.end):
        first = place == entity.start
        allowed[place] = torch.arange(len(tags)) == (
            tags.index(f"B-{entity.label}") if first else inside
        )
    if entity.end < len(words):
        allowed[entity.end, inside] = False
    network, steps = network.double(), torch.ones(len(words), dtype=torch.int64)
    rows = torch.from_numpy(tagger._inspector.rows(words)).double().requires_grad_()
    chance = torch.exp(-network.crf.partial_nll(network.scores(rows, steps), steps, allowed))
    assert chance.item() == pytest.approx(entity.score, abs=1e-5)
    chance.backward()
    expected = (rows.grad * rows).sum(1).detach().numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(sentence.gradient[0], expected, atol=2e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_influence_is_how_far_hiding_a_token_moves_the_memory(cell, tagger_of):
    tagger = tagger_of(cell=cell)
    words = make_sentences(9, [7])[0]
    (sentence,) = tagger.inspect(words, occlude="all").sentences
    rows = tagger._inspector.rows(words)
    rows[2] = 0.0
    hidden, _, _ = tagger._inspector.network.run(rows[:, None])
    for one, other in zip(sentence.layers[0], hidden[0], strict=True):
        moved = np.linalg.norm(other.cell[:, 0] - one.cell, axis=1)
        np.testing.assert_allclose(one.influence[2], moved / moved[2], atol=1e-5)
    forward, backward = sentence.layers[0]
    assert forward.influence[2, :2].max() < 1e-5
    assert backward.influence[2, 3:].max() < 1e-5
    assert tagger.inspect(words).sentences[0].layers[0][0].influence is None

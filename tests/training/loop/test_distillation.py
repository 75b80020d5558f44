"""Teachers' probabilities: asked for, kept, and learned from."""

import json
import random
import shutil
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tagbelt.data.checkpoint.artifact import CARD, SUMS
from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import Scheme
from tagbelt.data.conll.writing import write_conll
from tagbelt.data.types import Sentence, Span
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.inference.checkpoint import load_checkpoint
from tagbelt.inference.crf.reference import LogChart
from tagbelt.model.batch import ExpectedTags, encode
from tagbelt.training.loop.distillation import (
    SoftTargets,
    expected_tags,
    load_teacher,
    mean_expected,
    soft_targets,
)
from tagbelt.training.run.prepare import prepare
from tagbelt.training.run.train import train
from tagbelt.training.rundir import digests
from tests.model.networks import make_vocabulary
from tests.training.corpus.test_files import sha256
from tests.training.tiny import CHINESE, EXAMPLES, tiny_config

LETTER = EXAMPLES / "letter.txt"


@pytest.fixture(scope="module")
def teachers(trained, learned):
    """Two checkpoints of one corpus, the second with another cell and other features."""
    other = trained(
        {
            "training.epochs": 8,
            "training.seed": 5,
            "model.encoder.cell": "gru",
            "model.bigrams.size": 4,
        }
    )
    return [str(learned.checkpoint), str(other.checkpoint)]


def taught(teachers, **settings):
    return {"distillation": {"teachers": teachers, **settings}, "training.epochs": 2}


def weights(run):
    return load_file(run.directory / "state" / "network.safetensors")


def same(left, right):
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


def decoders(paths):
    tags = load_checkpoint(paths[0], precision="float32").info.tags
    return [load_teacher(path, tags, Scheme.BIOES, "word", workers=1) for path in paths]


SENTENCES = [s.tokens for s in read_conll(EXAMPLES / "test.conll").sentences]


IOB2 = str.maketrans("SE", "BI")


def test_what_teachers_expect_is_the_mean_of_the_probabilities_they_serve(teachers):
    found = list(mean_expected(decoders(teachers), SENTENCES))
    assert len(found) == len(SENTENCES)
    taggers = [Tagger.load(path, threads=1, precision="float32") for path in teachers]
    for tokens, expected in zip(SENTENCES, found, strict=True):
        assert expected.marginals.shape == (len(tokens), len(taggers[0].info.tags))
        served = [t.annotate_tokens([tokens], marginals=True)[0].marginals for t in taggers]
        for place, row in enumerate(expected.marginals.tolist()):
            said = Counter()
            for tag, probability in zip(taggers[0].info.tags, row, strict=True):
                said[tag[:1].translate(IOB2) + tag[1:]] += probability  # as is served
            # What is least likely is not served.
            for tag in set.intersection(*(set(marginals[place]) for marginals in served)):
                mean = sum(marginals[place][tag] for marginals in served) / 2
                assert said[tag] == pytest.approx(mean, abs=1e-4)
        # Each token but the first is entered, and each but the last left, once.
        sums = expected.marginals
        torch.testing.assert_close(expected.steps.sum(0), sums[1:].sum(0))
        torch.testing.assert_close(expected.steps.sum(1), sums[:-1].sum(0))


def test_what_a_crf_expects_is_that_of_each_sentence_alone(teachers):
    crf = load_checkpoint(teachers[0], precision="float32").crf
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([7, 5, 5, 1]).numpy()
    emissions = torch.randn(9, 4, crf.size, generator=generator).numpy()
    together = expected_tags(emissions, lengths, crf)
    marginals = torch.from_numpy(LogChart(emissions, lengths, crf).token_marginals())
    for row, length in enumerate(lengths.tolist()):
        (alone,) = expected_tags(emissions[:, row : row + 1], lengths[row : row + 1], crf)
        torch.testing.assert_close(together[row].marginals, alone.marginals)
        torch.testing.assert_close(together[row].steps, alone.steps)
        torch.testing.assert_close(together[row].marginals, marginals[:length, row])


@st.composite
def expectations(draw):
    """Of sentences of any lengths over a few tags, some transitions never made."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    count = draw(st.integers(1, 6))
    found = []
    for length in draw(st.lists(st.integers(1, 40), min_size=1, max_size=8)):
        marginals = torch.randn(length, count, generator=generator).double().mul(4.0).softmax(1)
        steps = torch.randn(count * count, generator=generator).double().mul(9.0).softmax(0)
        found.append(ExpectedTags(marginals, (length - 1) * steps.view(count, count)))
    return found


@given(expectations(), st.randoms(use_true_random=False))
def test_targets_come_back_as_they_were_kept(kept, chance):
    encoded = encode([["a"] * len(e.marginals) for e in kept], make_vocabulary())
    indices = chance.sample(range(len(kept)), chance.randint(1, len(kept)))
    batch = encoded.batch(indices)
    found = SoftTargets.of(kept).batch(batch)
    order = batch.index.tolist()
    rows = torch.nn.utils.rnn.pack_sequence([kept[i].marginals for i in order])
    torch.testing.assert_close(found.marginals, rows.data, rtol=0.0, atol=1e-3)
    torch.testing.assert_close(found.marginals.sum(1), torch.ones(len(rows.data)).double())
    steps = torch.stack([kept[i].steps for i in order]).sum(0)
    torch.testing.assert_close(found.steps, steps, rtol=1e-4, atol=1e-3)
    assert float(found.steps.sum()) == pytest.approx(float(steps.sum()))
    parts = [part for i in range(2) if (part := batch.part(i, 2)).share.weight]
    shared = torch.stack([SoftTargets.of(kept).batch(part).steps for part in parts]).sum(0)
    torch.testing.assert_close(shared, found.steps)


def test_gold_tags_have_the_rest_of_the_weight(teachers):
    gold = [torch.zeros(len(tokens), dtype=torch.long) for tokens in SENTENCES[:2]]
    asked = decoders(teachers)
    alone = soft_targets(asked, SENTENCES, [], 0.3).marginals.double()
    mixed = soft_targets(asked, SENTENCES, gold, 0.25).marginals.double()
    cut = len(SENTENCES[0]) + len(SENTENCES[1])
    certain = torch.zeros_like(alone[:cut])
    certain[:, 0] = 1.0
    torch.testing.assert_close(mixed[:cut], 0.75 * certain + 0.25 * alone[:cut], rtol=0, atol=1e-3)
    assert torch.equal(mixed[cut:], alone[cut:])


def test_without_weight_it_is_a_run_without_teachers(trained, teachers):
    plain = trained({"training.epochs": 2})
    assert same(weights(plain), weights(trained(taught(teachers, weight=0.0))))
    assert not same(weights(plain), weights(trained(taught(teachers, weight=0.1))))


def test_with_all_weight_on_teachers_gold_tags_do_not_matter(trained, teachers, tmp_path):
    """The same sentences, their entities replaced by other ones."""
    sentences = read_conll(EXAMPLES / "train.conll").sentences
    wrong = [
        Sentence(s.tokens, (Span(0, 1, random.Random(i).choice(["LOC", "ORG", "PER"])),))
        for i, s in enumerate(sentences)
    ]
    write_conll(tmp_path / "wrong.conll", wrong)
    changes = taught(teachers, weight=1.0)
    false = {**changes, "data.train": str(tmp_path / "wrong.conll")}
    assert same(weights(trained(changes)), weights(trained(false)))


def test_a_student_learns_what_its_teacher_says(trained, learned, tmp_path):
    """From sentences that name no entity to it, but one that it needs to know the types."""
    sentences = read_conll(EXAMPLES / "train.conll").sentences
    hidden = [Sentence(s.tokens, ()) for s in sentences]
    labels = ("LOC", "ORG", "PER")
    shown = Sentence(("a", "b", "c"), tuple(Span(i, i + 1, x) for i, x in enumerate(labels)))
    write_conll(tmp_path / "hidden.conll", [shown, *hidden])
    settings = taught([str(learned.checkpoint)], weight=1.0)
    student = trained(
        {**settings, "data.train": str(tmp_path / "hidden.conll"), "training.epochs": 12}
    )
    assert student.report["dev"]["strict"]["micro"]["f1"] > 0.8


def test_unlabelled_text_is_trained_on_and_recorded(trained, teachers):
    text = [str(LETTER), {"path": "test.conll", "column": 0}]
    run = trained(taught(teachers, text=text))
    assert "teachers: 2, reading 53 sentences, 13 of them unlabelled" in run.said
    vocabulary = json.loads((run.checkpoint / "vocabulary.json").read_text(encoding="utf-8"))
    assert {"okafor", "dear"} <= set(vocabulary["words"])  # from both
    files = json.loads((run.directory / "files.json").read_text(encoding="utf-8"))
    assert files["text"] == {
        str(LETTER): sha256(LETTER),
        "test.conll": sha256(EXAMPLES / "test.conll"),
    }
    assert files["teachers"] == {path: Tagger.load(path).info.digest for path in teachers}
    card = (run.checkpoint / CARD).read_text(encoding="utf-8")
    assert f"| Taught by | {', '.join(teachers)}; weight 0.5; on {LETTER}, test.conll too |" in card


def test_it_goes_with_all_else_that_training_can_do(trained, teachers):
    """Chance, a deferred table, pairs of tokens, a moved input; long enough to learn."""
    changes = taught(teachers, text=[str(LETTER)])
    more = {
        "model.bigrams": {"size": 4, "dropout": 0.1},
        "optimiser.average": 0.0,
        "optimiser.adversarial": 0.3,
        "training.epochs": 10,
    }
    assert trained({**changes, **more}).report["dev"]["strict"]["micro"]["f1"] > 0.6


def test_a_resumed_run_ends_as_one_that_was_not_stopped(trained, teachers):
    changes = {**taught(teachers, text=[str(LETTER)]), "optimiser.schedule": "constant"}
    whole = trained(changes)
    stopped = trained({**changes, "training.epochs": 1})
    resumed = trained(changes, directory=stopped.directory, resume=True)
    assert same(weights(whole), weights(resumed))


def test_a_run_does_not_go_on_with_another_teacher(trained, teachers, tmp_path):
    copy = tmp_path / "teacher"
    shutil.copytree(teachers[0], copy)
    run = trained(taught([str(copy)]))
    shutil.rmtree(copy)
    shutil.copytree(teachers[1], copy)
    with pytest.raises(ConfigError, match=f"changed since this run began: teachers file {copy}"):
        train(run.config, run.directory, resume=True)


@pytest.mark.parametrize(
    ("changes", "base", "message"),
    [
        ({"data.tags": "IOB2"}, None, "own scheme: it has BIOES, the run IOB2"),
        ({}, CHINESE, "own scheme: it has BIOES, the run IOB2"),
        ({"data.tags": "BIOES"}, CHINESE, "own unit: it has word, the run character"),
        ({"data.labels": {"ORG": ""}}, None, "own tags: it has .*ORG.*, the run O, B-LOC"),
    ],
)
def test_a_teacher_that_does_not_tag_alike_is_refused(teachers, tmp_path, changes, base, message):
    settings = taught(teachers[:1])
    config = tiny_config({**settings, **changes}, *([base] if base else []))
    with pytest.raises(ConfigError, match=f"distillation.teachers: .*checkpoint: .*{message}"):
        prepare(config, tmp_path)


def test_a_teacher_that_is_not_there_is_named(tmp_path):
    config = tiny_config(taught([str(tmp_path / "none")]))
    with pytest.raises(ConfigError, match=f"distillation.teachers: no such file: .*none/{SUMS}"):
        digests(config)

"""Tokens of which not all is known: what training takes from them, and how they are judged."""

import re
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.conll.schemes import (
    Scheme,
    allowed_transitions,
    spans_to_tags,
    tag_set,
    tags_to_spans,
)
from tagbelt.data.types import Open, Sentence, Span
from tagbelt.errors import ConfigError
from tagbelt.inference import Tagger
from tagbelt.training.corpus.corpus import allowed_tags, encode_split, load_run_data
from tagbelt.training.run.prepare import prepare
from tagbelt.training.scores.calibration import find_entities
from tagbelt.training.scores.evaluate import evaluate, judged
from tests.data.conll.test_partial import sentences
from tests.training.tiny import EXAMPLES, tiny_config

TYPES = ("ORG", "PER", "X!y", "?a", "a-b")


def agrees(spans, sentence):
    """Whether a tagging, as its spans, agrees with all that is known of a sentence."""
    spans = set(spans)
    known = [set(range(s.start, s.end)) for s in sentence.spans]
    loose = set()
    for part in sentence.open:
        tokens = set(range(part.start, part.end))
        if part.is_entity:
            known.append(tokens)
            if not any((s.start, s.end) == (part.start, part.end) for s in spans):
                return False
        else:
            loose |= tokens
            if any(s.label in part.never and tokens & set(range(s.start, s.end)) for s in spans):
                return False
    if not set(sentence.spans) <= spans:
        return False
    free = [set(range(s.start, s.end)) for s in spans if set(range(s.start, s.end)) not in known]
    return all(tokens <= loose for tokens in free)


@settings(max_examples=40, deadline=None)
@given(sentences().filter(lambda s: len(s.tokens) <= 4), st.sampled_from(list(Scheme)[2::2]))
def test_the_sets_allow_exactly_the_taggings_that_agree(sentence, scheme):
    types = tuple(dict.fromkeys([*(s.label for s in sentence.spans), "PER"]))[:2]
    types = tuple(sorted({*types, *(s.label for s in sentence.spans)}))
    tags = tag_set(types, scheme)
    moves = allowed_transitions(tags, scheme)
    length = len(sentence.tokens)
    gold = [tags.index(tag) for tag in spans_to_tags(sentence.spans, length, scheme)]
    allowed = allowed_tags(gold, sentence, tags, scheme)
    for path in product(range(len(tags)), repeat=length):
        steps = all(moves.step[a, b] for a, b in pairwise(path))
        if not (moves.start[path[0]] and moves.end[path[-1]] and steps):
            continue
        kept = bool(allowed[torch.arange(length), torch.tensor(path)].all())
        spans = tags_to_spans([tags[k] for k in path], scheme)
        assert kept == agrees(spans, sentence), spans


def rows(*sentences):
    return "\n".join("".join(f"{t}\t{tag}\n" for t, tag in s) for s in sentences)


@pytest.fixture
def partly(tmp_path):
    """Write rows; return the entry of a config."""

    def write(*sentences):
        path = tmp_path / "partly.conll"
        path.write_text(rows(*sentences), encoding="utf-8")
        return {"path": str(path)}

    return write


def test_a_sentence_of_unknown_tokens_alone_has_no_loss_and_moves_nothing(partly, tmp_path):
    entry = partly([("Ada", "?"), ("slept", "?"), (".", "?")])
    trainer = prepare(tiny_config({"data.train": ["train.conll", entry]}), tmp_path).trainer
    last = len(trainer.train.sentences) - 1
    loss = trainer.network.nll(trainer.train.batch([last]))
    loss.backward()
    assert loss.item() == 0.0
    gradients = [w.grad for w in trainer.network.parameters() if w.grad is not None]
    assert gradients
    assert all(bool((g.to_dense() == 0.0).all()) for g in gradients)


def test_a_whole_batch_beside_such_sentences_has_todays_loss_bit_for_bit(partly, tmp_path):
    entry = partly([("Ada", "?"), ("slept", "O")])
    run = prepare(tiny_config({"data.train": ["train.conll", entry]}), tmp_path)
    data, config, network = run.data, run.trainer.config, run.trainer.network.eval()
    whole = encode_split(data.train[:-1], data.vocabulary, data.tags, config)
    every = encode_split(data.train, data.vocabulary, data.tags, config)
    assert network.nll(every.batch([0, 1, 2])) == network.nll(whole.batch([0, 1, 2]))
    assert every.batch([0, 1, 2]).allowed is None
    assert every.batch([0, len(whole.sentences)]).allowed is not None


def test_a_type_that_is_ruled_out_and_that_no_file_has_is_refused_with_its_line(partly):
    entry = partly([("Ada", "B-PER")], [("in", "O"), ("Rome", "!ROG")])
    message = f"{re.escape(entry['path'])}:4: not of type ROG, which no training file has"
    with pytest.raises(ConfigError, match=message):
        load_run_data(tiny_config({"data.train": ["train.conll", entry]}))


def test_teachers_are_refused_for_such_files(partly):
    changes = {"data.train": ["train.conll", partly([("a", "?")])]}
    config = tiny_config({**changes, "distillation": {"teachers": ["x"]}})
    with pytest.raises(ConfigError, match="distillation: it takes train files without tags such"):
        load_run_data(config)


def test_entities_that_touch_what_is_open_are_judged_only_where_they_are_surely_wrong():
    gold = Sentence(
        tuple("abcdef"),
        (Span(0, 1, "PER"),),
        open=(Open(1, 3), Open(3, 4, ("PER",)), Open(4, 6, is_entity=True)),
    )
    wrong = [Span(3, 4, "PER"), Span(2, 4, "PER")]
    open_ones = [Span(1, 2, "PER"), Span(3, 4, "LOC"), Span(4, 6, "LOC"), Span(0, 2, "PER")]
    assert judged(gold, [*wrong, *open_ones, *gold.spans]) == (*wrong, *gold.spans)


def hidden(sentence, index):
    """A sentence with one of its entities, and the token behind it, made unknown."""
    span = sentence.spans[index]
    end = min(span.end + 1, len(sentence.tokens))
    other = [s for s in sentence.spans if (s is not span and s.start >= end) or s.end <= span.start]
    free = next((s.start for s in other if span.start <= s.start < end), end)
    return Sentence(sentence.tokens, tuple(other), sentence.line, open=(Open(span.start, free),))


def test_scores_and_calibration_skip_what_is_open_and_say_so(learned):
    whole = read_conll(EXAMPLES / "test.conll").sentences
    gold = [hidden(s, 0) if s.spans else s for s in whole]
    told = []
    found = evaluate(learned.checkpoint, gold, threads=1, tell=told.append)
    assert "tokens of which nothing is known (?): entities found that touch them are not" in told[0]
    support = sum(len(s.spans) for s in gold)
    assert found["strict"]["micro"]["support"] == support
    tagger = Tagger.load(learned.checkpoint, threads=1)
    spans = [tags_to_spans(row, Scheme.IOB2) for row in tagger.tag_tokens([s.tokens for s in gold])]
    kept = sum(len(judged(s, row)) for s, row in zip(gold, spans, strict=True))
    assert kept < sum(map(len, spans))
    batches = find_entities(learned.checkpoint, gold, "float32")
    assert sum(len(batch.spans) for batch in batches) == kept


def test_a_run_says_what_is_open_and_learns_from_the_rest(trained, partly):
    """Half of the entities are known; taken for outside, they would be learned as such."""
    entities = []
    for number, sentence in enumerate(read_conll(EXAMPLES / "train.conll").sentences):
        tags = ["?"] * len(sentence.tokens)
        for span in sentence.spans[number % 2 :: 2]:
            tags[span.start : span.end] = spans_to_tags(
                [Span(0, span.end - span.start, span.label)], span.end - span.start, Scheme.IOB2
            )
        if number % 4 == 0:  # some are annotated to the end
            tags = spans_to_tags(sentence.spans, len(sentence.tokens), Scheme.IOB2)
        entities.append(list(zip(sentence.tokens, tags, strict=True)))
    run = trained({"data.train": [partly(*entities)], "training.epochs": 12})
    assert re.search(r"train: \d+ tokens of which nothing is known \(\?\)", run.said)
    scores = evaluate(run.checkpoint, EXAMPLES / "train.conll", threads=1)
    assert scores["strict"]["micro"]["f1"] > 0.7

"""Texts and token lists tagged together, whatever is wanted of each."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, tags_to_spans
from tagbelt.inference import Phases, TokenizedItem, UnscoredEntity, VectorCacheUse, annotator

EVERY = 100_000  # more paths than a short item has
WORDS = st.text("ab王.", min_size=1, max_size=3)
ITEMS = st.lists(WORDS, max_size=9) | st.lists(WORDS, max_size=12).map(" ".join)
REQUESTS = st.lists(st.tuples(ITEMS, st.booleans(), st.sampled_from([0, 0, 1, 3, 20])), max_size=9)


def close(one, other):
    """Equal annotations, probabilities within 1e-9."""
    assert (one.tokens, one.starts, one.tags) == (other.tokens, other.starts, other.tags)
    assert list(map(place, one.entities)) == list(map(place, other.entities))
    np.testing.assert_allclose(scores(one.entities), scores(other.entities), atol=1e-9)
    assert (one.marginals is None) == (other.marginals is None)
    for mine, yours in zip(one.marginals or (), other.marginals or (), strict=True):
        assert mine.keys() == yours.keys()
        np.testing.assert_allclose([*mine.values()], [*yours.values()], atol=1e-9)
    assert (one.paths is None) == (other.paths is None)
    mine, yours = one.paths or (), other.paths or ()
    assert [(p.tags, p.entities) for p in mine] == [(p.tags, p.entities) for p in yours]
    np.testing.assert_allclose(scores(mine), scores(yours), atol=1e-9)


def place(entity):
    return UnscoredEntity(entity.label, entity.start, entity.end, entity.text)


def scores(rated):
    return [it.score for it in rated]


def only(tagger, item, **wanted):
    """The annotation of one item."""
    (annotation,) = tagger.annotate_items([tagger.tokenize(item, **wanted)])
    return annotation


@given(REQUESTS)
@settings(max_examples=60)
def test_an_annotation_does_not_depend_on_the_others(tagger_with, requests):
    tagger = tagger_with(limit=6, overlap=2, budget=24)
    items = [tagger.tokenize(item, marginals=m, paths=n) for item, m, n in requests]
    together = tagger.annotate_items(items)
    for (item, marginals, paths), reading, found in zip(requests, items, together, strict=True):
        assert reading.tokens == len(found.tokens) == len(found.tags)
        close(found, only(tagger, item, marginals=marginals, paths=paths))
        assert (found.marginals is not None) == marginals
        assert (found.paths is not None) == bool(paths)
        close(replace(found, marginals=None, paths=None), only(tagger, item))


@given(st.lists(ITEMS, max_size=6), st.booleans())
@settings(max_examples=40)
def test_annotate_items_gives_what_annotate_gives(tagger, items, marginals):
    texts = [item for item in items if isinstance(item, str)]
    lists = [item for item in items if not isinstance(item, str)]
    for given_, whole in (
        (texts, tagger.annotate(texts, marginals=marginals)),
        (lists, tagger.annotate_tokens(lists, marginals=marginals)),
    ):
        for item, annotation in zip(given_, whole, strict=True):
            close(annotation, only(tagger, item, marginals=marginals))


@pytest.mark.parametrize("workers", [1, 3])
def test_annotations_do_not_depend_on_the_number_of_workers(tagger_with, workers):
    words = [f"w{i * i % 37}" for i in range(300)]
    requests = [(words[i : i + (5 * i) % 40], i % 3 == 0, i % 4) for i in range(120)]
    one = tagger_with(limit=32, overlap=2, budget=64)
    many = tagger_with(limit=32, overlap=2, budget=64, workers=workers)
    items = [one.tokenize(item, marginals=m, paths=n) for item, m, n in requests]
    assert many.annotate_items(items) == one.annotate_items(items)


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BMES, Scheme.BIOES, Scheme.BILUO], ids=str)
def test_paths_are_distinct_taggings_best_first(tagger_with, scheme):
    tagger = tagger_with(scheme)
    for item in ("Zoë O’Neil went to 北京. He left. Why?", ["a", "b c", "", "d"]):
        annotation = only(tagger, item, paths=20)
        first = annotation.paths[0]
        assert first.tags == annotation.tags
        assert first.entities == tuple(map(place, annotation.entities))
        assert len({path.tags for path in annotation.paths}) == 20
        assert scores(annotation.paths) == sorted(scores(annotation.paths), reverse=True)
        assert 0 < sum(scores(annotation.paths)) < 1 + 1e-9
        for path in annotation.paths:
            assert len(path.tags) == len(annotation.tokens)
            spans = tags_to_spans(path.tags, Scheme.IOB2, on_invalid="error")
            assert [entity.label for entity in path.entities] == [span.label for span in spans]
            for entity, span in zip(path.entities, spans, strict=True):
                words = annotation.tokens[span.start : span.end]
                if isinstance(item, str):
                    assert entity.text == item[entity.start : entity.end]
                    assert entity.start == annotation.starts[span.start]
                    assert entity.end == annotation.starts[span.end - 1] + len(words[-1])
                else:
                    assert entity == UnscoredEntity(
                        span.label, span.start, span.end, " ".join(words)
                    )


def test_paths_of_an_item_combine_those_of_its_sentences(tagger):
    sentences = ["Go home.", "She saw 北京!", "Why?"]
    whole = only(tagger, " ".join(sentences), paths=40).paths
    each = [only(tagger, sentence, paths=EVERY).paths for sentence in sentences]
    every = {
        tuple(tag for path in combined for tag in path.tags): prod(scores(combined))
        for combined in product(*each)
    }
    expected = sorted(every.values(), reverse=True)
    np.testing.assert_allclose(scores(whole), expected[:40], rtol=1e-9)
    np.testing.assert_allclose(scores(whole), [every[path.tags] for path in whole], rtol=1e-9)
    assert sum(expected) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
def test_all_paths_together_have_the_marginals(tagger_with, scheme):
    tagger = tagger_with(scheme)
    annotation = only(tagger, ["Anna", "saw", "Rome"], marginals=True, paths=EVERY)
    for step, chances in enumerate(annotation.marginals):
        for tag, chance in chances.items():
            total = sum(path.score for path in annotation.paths if path.tags[step] == tag)
            assert total == pytest.approx(chance, abs=1e-9)
    for entity in annotation.entities:
        total = sum(path.score for path in annotation.paths if place(entity) in path.entities)
        assert total == pytest.approx(entity.score, abs=1e-9)


@pytest.mark.parametrize("item", ["", " \n", []])
def test_an_item_without_tokens_has_one_path_which_is_certain(tagger, item):
    annotation = only(tagger, item, paths=5, marginals=True)
    (path,) = annotation.paths
    assert (path.score, path.tags, path.entities) == (1.0, (), ())
    assert annotation.marginals == ()


def test_windows_cannot_be_seen_in_paths(tagger_with):
    words = [f"w{i * i % 37}" for i in range(500)]
    whole = only(tagger_with(limit=10_000), words, paths=20)
    cut = only(tagger_with(limit=8, overlap=2, budget=64), words, paths=20)
    close(cut, whole)
    assert len({path.tags for path in cut.paths}) == 20


def test_a_tokenized_item_says_how_many_tokens_it_has(tagger):
    assert tagger.tokenize("Anna left. Why?").tokens == 5
    assert tagger.tokenize(["a b", ""]).tokens == 2
    assert tagger.tokenize("").tokens == 0
    assert isinstance(tagger.tokenize("x"), TokenizedItem)
    assert tagger.annotate_items([]) == []


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (7, TypeError, "expected a text or a list of tokens, got int"),
        (None, TypeError, "expected a text or a list of tokens, got NoneType"),
        (b"bytes", TypeError, "expected a text or a list of tokens, got bytes"),
        ({"a"}, TypeError, "expected a text or a list of tokens, got set"),
        (["a", 3], TypeError, "^token 1 is not a str but int"),
        ("ab\ud83d", ValueError, r"^the text has the lone surrogate U\+D83D at offset 2"),
        (["é", "\udc00"], ValueError, r"^token 1 has the lone surrogate U\+DC00 at offset 0"),
    ],
)
def test_a_bad_item_is_refused(tagger, item, error, message):
    with pytest.raises(error, match=message):
        tagger.tokenize(item)


def test_fewer_than_no_paths_are_refused(tagger):
    with pytest.raises(ValueError, match="there cannot be -1 paths"):
        tagger.tokenize("x", paths=-1)


class Clock:
    """Stands still in each thread, but for what takes a time that was said."""

    def __init__(self):
        self.own = threading.local()

    def now(self):
        return getattr(self.own, "time", 7.0)

    def takes(self, monkeypatch, owner, name, seconds):
        method = getattr(owner, name)

        def timed(*arguments):
            self.own.time = self.now() + seconds
            return method(*arguments)

        monkeypatch.setattr(owner, name, timed)


@pytest.mark.parametrize("workers", [1, 2])
def test_phases_separate_the_seconds_of_network_and_decoding(tagger_with, monkeypatch, workers):
    tagger = tagger_with(budget=16, workers=workers)
    items = [tagger.tokenize("a " * 16)] * 3  # each a batch of its own
    expected = tagger.annotate_items(items)
    clock = Clock()
    monkeypatch.setattr("tagbelt.inference.decoding.decoder.perf_counter", clock.now)
    monkeypatch.setattr("tagbelt.inference.annotator.perf_counter", clock.now)
    clock.takes(monkeypatch, tagger._decoder._scorer, "prepare", 1.0)
    clock.takes(monkeypatch, tagger._decoder, "_whole", 10.0)
    clock.takes(monkeypatch, tagger._annotator, "_add_paths", 100.0)
    clock.takes(monkeypatch, annotator._AnnotatedPool, "annotations", 1000.0)
    phases = Phases(tokenize=0.5)
    assert tagger.annotate_items(items, phases) == expected
    assert phases == Phases(tokenize=0.5, infer=1.0 + 3 * 10.0, decode=3 * 100.0 + 1000.0)


def test_phases_add_up_the_seconds_of_many_threads():
    phases = Phases()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: phases.add(infer=1.0, decode=2.0, tokenize=0.5), range(2000)))
    assert (phases.tokenize, phases.infer, phases.decode) == (1000.0, 2000.0, 4000.0)


def test_vector_cache_use_is_that_of_the_scorer(tagger_with, monkeypatch):
    tagger = tagger_with()
    monkeypatch.setattr(
        tagger._decoder._scorer, "vector_cache_use", lambda: VectorCacheUse(3, 4), raising=False
    )
    assert tagger.vector_cache_use() == VectorCacheUse(hits=3, misses=4)


def test_between_is_called_after_each_batch_and_each_path_and_may_end_the_work(tagger):
    items = [tagger.tokenize("a b c d e f", paths=9), tagger.tokenize("g h")]
    calls = []
    found = tagger.annotate_items(items, between=lambda: calls.append(1))
    assert found == tagger.annotate_items(items)
    assert len(calls) > len(found[0].paths) == 9

    def leave():
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("nobody waits")

    calls.clear()
    with pytest.raises(KeyError):
        tagger.annotate_items(items, between=leave)
    assert len(calls) == 5
    assert tagger.annotate_items(items) == found

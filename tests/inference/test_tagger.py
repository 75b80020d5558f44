from collections import UserList, deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.data.conll.schemes import Scheme, spans_to_tags, tags_to_spans
from tagbelt.data.text.tokenize import tokenize
from tagbelt.data.types import Entity

TEXTS = [
    "Angela Merkel visited Toyota in Nagoya on Monday. She left.",
    "",
    "Zoë O’Neil (née Brontë) paid $5.00 in São Paulo!\r\n\r\nThen 王小明 went to 北京。",
    " \t\u00a0\n",
    "x",
    "One. Two! Three? Four; five, six - seven … eight.",
]
SENTENCES = [["Angela", "Merkel", "left", "."], [], ["x"], ["", " ", "北京", "a\nb"], ["y"] * 30]

# What has shifted other people's offsets: combining marks, emoji with joiners and flags,
# zero-width characters, line ends, right-to-left text, quotes, wide and astral letters.
PIECES = [
    "e\u0301",
    "n\u0303\u0308",
    "👩‍👩‍👧‍👦",
    "🇯🇵",
    "👍🏽",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u202e",
    "\r\n",
    "\r",
    "\u2028",
    "\x85",
    "\x00",
    "  ",
    "\u3000",
    "שלום",
    "مرحبا",
    "“",
    "''",
    "北京",
    "𝔘𝔫𝔦",
    "ﬁ",
    "ß",
    "İ",
    "Mr.",
    "U.S.",
    "don't",
    "http://a.b/c?d=e",
    ". ",
]
UNICODE = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    max_size=25,
).map("".join)


def same(left, right):
    """Equal entities, scores within 1e-9."""
    places = [[(e.label, e.start, e.end, e.text) for e in found] for found in (left, right)]
    scores = [[e.score for e in found] for found in (left, right)]
    return places[0] == places[1] and np.allclose(*scores, atol=1e-9)


@given(UNICODE)
@settings(max_examples=150)
def test_offsets_slice_the_untouched_text(tagger, text):
    (annotation,) = tagger.annotate([text])
    for start, word in zip(annotation.starts, annotation.tokens, strict=True):
        assert text[start : start + len(word)] == word
    for entity in annotation.entities:
        assert text[entity.start : entity.end] == entity.text
        assert entity.start in annotation.starts
        assert 0.0 <= entity.score <= 1.0
    assert list(annotation.entities) == sorted(annotation.entities, key=lambda e: e.start)
    (found,) = tagger.tag([text])
    assert found == list(annotation.entities)


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
@pytest.mark.parametrize("unit", ["word", "character"])
def test_entities_are_those_of_the_tags(tagger_with, scheme, unit):
    tagger = tagger_with(scheme, unit)
    for text, annotation in zip(TEXTS, tagger.annotate(TEXTS), strict=True):
        sentences = tokenize(text, unit)
        words = tuple(word for tokens in sentences for word in tokens.words)
        starts = [start for tokens in sentences for start in tokens.starts]
        assert annotation.tokens == words
        tags = tagger.tag_tokens([tokens.words for tokens in sentences])
        assert annotation.tags == tuple(tag for sentence in tags for tag in sentence)
        spans = tags_to_spans(annotation.tags, Scheme.IOB2)
        expected = [
            (s.label, starts[s.start], starts[s.end - 1] + len(words[s.end - 1])) for s in spans
        ]
        assert [(e.label, e.start, e.end) for e in annotation.entities] == expected


def test_the_fake_network_finds_entities_of_all_kinds(tagger):
    found = [entity for entities in tagger.tag(TEXTS) for entity in entities]
    assert {entity.label for entity in found} == set(tagger.info.labels)
    assert any(" " in entity.text for entity in found)
    assert len({round(entity.score, 6) for entity in found}) > 3


def test_blank_texts_and_empty_sentences_stay_at_their_own_index(tagger):
    found = tagger.tag(TEXTS)
    assert len(found) == len(TEXTS)
    assert found[1] == []
    assert found[3] == []
    assert found[0]
    assert tagger.annotate([""])[0].tokens == ()
    assert [len(tags) for tags in tagger.tag_tokens(SENTENCES)] == [4, 0, 1, 4, 30]
    assert tagger.tag([]) == []
    assert tagger.tag_tokens([]) == []
    assert tagger.annotate([]) == []
    assert tagger.annotate_tokens([[]], marginals=True)[0].marginals == ()


@given(st.lists(st.lists(st.text("ab王.", min_size=1, max_size=3), max_size=12), max_size=12))
@settings(max_examples=60)
def test_a_sentence_does_not_depend_on_its_batch(tagger, sentences):
    together = tagger.annotate_tokens(sentences)
    tags = tagger.tag_tokens(sentences)
    for sentence, annotation, own in zip(sentences, together, tags, strict=True):
        (alone,) = tagger.annotate_tokens([sentence])
        assert annotation.tags == alone.tags == tuple(own)
        assert same(annotation.entities, alone.entities)


def test_a_text_does_not_depend_on_the_order_of_texts(tagger):
    texts = TEXTS * 3
    found = tagger.tag(texts)
    backwards = tagger.tag(texts[::-1])[::-1]
    for text, one, other in zip(texts, found, backwards, strict=True):
        assert same(one, other)
        assert same(one, tagger.tag([text])[0])


@pytest.mark.parametrize("length", [7, 8, 9, 15, 100, 1000])
def test_windows_cannot_be_seen_in_the_results(tagger_with, length):
    # The fake network looks one token to each side, so windows that share two lose nothing.
    words = [f"w{i * i % 37}" for i in range(length)]
    sentences = [words, ["short", "one"], words[: length // 2], words[::-1]]
    whole = tagger_with(limit=10_000)
    cut = tagger_with(limit=8, overlap=2, budget=64)
    assert cut.tag_tokens(sentences) == whole.tag_tokens(sentences)
    expected = whole.annotate_tokens(sentences, marginals=True)
    for one, other in zip(cut.annotate_tokens(sentences), expected, strict=True):
        assert one.tags == other.tags
        assert same(one.entities, other.entities)


def test_the_scorer_never_sees_more_than_was_allowed(tagger_with):
    shapes = []
    tagger = tagger_with(limit=16, overlap=4, budget=64, shapes=shapes)
    tagger.tag_tokens([["w"] * length for length in [500, 3, 40, 16, 17, 1, *[9] * 50]])
    assert max(steps for steps, _ in shapes) == 16
    assert max(steps * rows for steps, rows in shapes) <= 64


def test_sentences_are_looked_up_in_blocks_that_cannot_be_seen_in_the_results(
    tagger_with, monkeypatch
):
    words = [f"w{i * i % 37}" for i in range(120)]
    sentences = [words[: (7 * i) % 60] for i in range(90)] + [[], words, []]
    whole = tagger_with()
    expected = whole.annotate_tokens(sentences)
    assert whole._decoder._scorer.prepared == [sum(map(len, sentences))]
    monkeypatch.setattr("tagbelt.inference.decoding.decoder._BLOCK_TOKENS", 100)
    cut = tagger_with(limit=50, overlap=6)
    for one, other in zip(cut.annotate_tokens(sentences), expected, strict=True):
        assert one.tags == other.tags
        assert same(one.entities, other.entities)
    sizes = cut._decoder._scorer.prepared
    assert sum(sizes) == sum(map(len, sentences))
    assert sorted(sizes)[-2] <= 100  # the one that is longer alone stands alone
    assert sorted(sizes)[-1] == 120
    # As full as they can be: two neighbours never fit into one.
    assert all(a + b > 100 for a, b in pairwise(sizes))


@pytest.mark.parametrize("workers", [2, 3])
def test_tags_do_not_depend_on_the_number_of_workers(tagger_with, workers):
    words = [f"w{i * i % 37}" for i in range(300)]
    sentences = [words[i : i + (5 * i) % 80] for i in range(200)]
    many = tagger_with(limit=32, overlap=2, budget=64, workers=workers)
    one = tagger_with(limit=32, overlap=2, budget=64)
    assert many.tag_tokens(sentences) == one.tag_tokens(sentences)
    assert many.tag(TEXTS * 30) == one.tag(TEXTS * 30)
    expected = one.annotate_tokens(sentences, marginals=True)
    assert many.annotate_tokens(sentences, marginals=True) == expected


def test_a_failure_on_a_worker_comes_to_the_caller(tagger_with):
    tagger = tagger_with(budget=16, workers=2)
    assert tagger.tag_tokens([["w"]] * 100) == tagger.tag_tokens([["w"]]) * 100

    class Broken:
        def prepare(self, *_):
            return self

        def emissions(self, index, _):
            return np.full((*index.shape, len(tagger.info.tags)), np.nan, np.float32)

    tagger._decoder._scorer = Broken()
    with pytest.raises(ValueError, match="no path of finite score"):
        tagger.tag_tokens([["w"]] * 100)


def test_token_lists_may_be_any_kind_of_sequence(tagger):
    expected = tagger.tag_tokens(SENTENCES)
    kinds = [tuple, UserList, deque]
    for outer in kinds:
        for inner in kinds:
            assert tagger.tag_tokens(outer(map(inner, SENTENCES))) == expected


def test_many_threads_give_what_one_gives(tagger):
    jobs = [(TEXTS * (i % 4 + 1))[i % 5 :] for i in range(60)]
    expected = [tagger.tag(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tagger.tag, jobs)) == expected


@pytest.mark.parametrize("model_scheme", [Scheme.IOB2, Scheme.BIOES])
@pytest.mark.parametrize("scheme", [Scheme.IOB1, Scheme.IOB2, Scheme.BMES, Scheme.BIOES])
def test_tags_come_in_the_scheme_that_was_asked_for(tagger_with, model_scheme, scheme):
    tagger = tagger_with(model_scheme)
    plain = tagger.tag_tokens(SENTENCES)
    asked = tagger.tag_tokens(SENTENCES, scheme=scheme)
    for iob2, tags in zip(plain, asked, strict=True):
        spans = tags_to_spans(iob2, Scheme.IOB2)
        assert tags == list(spans_to_tags(spans, len(iob2), scheme))


def test_token_lists_give_token_indices(tagger):
    (annotation,) = tagger.annotate_tokens([[f"w{i}" for i in range(40)]])
    assert annotation.starts == ()
    assert annotation.marginals is None
    spans = tags_to_spans(annotation.tags, Scheme.IOB2)
    assert [(e.start, e.end, e.label) for e in annotation.entities] == [
        (s.start, s.end, s.label) for s in spans
    ]
    for entity in annotation.entities:
        assert entity.text == " ".join(annotation.tokens[entity.start : entity.end])


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.BIOES])
def test_marginals_name_iob2_tags_highest_first(tagger_with, scheme):
    tagger = tagger_with(scheme)
    for annotation in tagger.annotate(TEXTS, marginals=True):
        assert len(annotation.marginals) == len(annotation.tokens)
        for chances in annotation.marginals:
            assert set(chances) <= {"O", "B-PER", "I-PER", "B-LOC-X", "I-LOC-X"}
            values = list(chances.values())
            assert values == sorted(values, reverse=True)
            assert min(values) >= 0.001
            assert 0.99 < sum(values) < 1.0 + 1e-9
        for entity in annotation.entities:
            # An entity is at most as sure as the tag it begins with.
            first = annotation.marginals[annotation.starts.index(entity.start)]
            assert entity.score <= first.get(f"B-{entity.label}", 0.001) + 1e-9


def test_a_stream_reads_no_further_than_it_must(tagger):
    read = []

    def texts():
        for i in range(100):
            read.append(i)
            yield TEXTS[i % len(TEXTS)]

    first = list(islice(tagger.stream(texts(), block=7), 3))
    assert len(read) == 7
    assert all(map(same, first, tagger.tag(TEXTS[:3])))
    everything = list(tagger.stream(texts(), block=7))
    assert len(everything) == 100
    assert all(map(same, everything, tagger.tag(list(texts()))))


@pytest.mark.parametrize("call", ["tag", "annotate", "stream"])
@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, r"expected a list of texts, got one str: pass \[text\]"),
        (["good", 7], TypeError, "text 1 is not a str but int"),
        (["good", b"bad"], TypeError, "text 1 is not a str but bytes"),
        (
            ["good", "é", "ab\ud83d"],
            ValueError,
            r"text 2 has the lone surrogate U\+D83D at offset 2",
        ),
    ],
)
def test_bad_texts_are_named(tagger, call, texts, error, message):
    with pytest.raises(error, match=message):
        list(getattr(tagger, call)(texts))


@pytest.mark.parametrize("call", ["tag_tokens", "annotate_tokens"])
@pytest.mark.parametrize(
    ("sentences", "error", "message"),
    [
        ("words", TypeError, "expected a list of token lists, got one string"),
        (["a b"], TypeError, "sentence 0 is one string: pass its tokens"),
        ([["a"], None], TypeError, "sentence 1 is not a list of tokens but NoneType"),
        ([["a"], ["b", 3]], TypeError, "sentence 1, token 1 is not a str but int"),
        ([["\udc00", "é"]], ValueError, r"sentence 0, token 0 has the lone surrogate U\+DC00"),
        ([["\ud83d", "\ude00"]], ValueError, r"sentence 0, token 0 has the lone surrogate U\+D83D"),
        ([*[["a"]] * 3000, ["b", None]], TypeError, "sentence 3000, token 1 is not a str but None"),
        ([*[["a"]] * 2048, {"b"}], TypeError, "sentence 2048 is not a list of tokens but set"),
    ],
)
def test_bad_tokens_are_named(tagger, call, sentences, error, message):
    with pytest.raises(error, match=message):
        getattr(tagger, call)(sentences)


def test_a_bad_text_is_found_before_any_work_is_done(tagger_with):
    shapes = []
    tagger = tagger_with(shapes=shapes)
    for call in (tagger.tag, tagger.annotate):
        with pytest.raises(TypeError, match="text 3000 is not a str but NoneType"):
            call([*["good"] * 3000, None])
    assert shapes == []


def test_impossible_windows_and_budgets_are_refused(tagger_with):
    with pytest.raises(ValueError, match="a window of 8 tokens cannot overlap the next by 8"):
        tagger_with(limit=8, overlap=8)
    with pytest.raises(ValueError, match="budget of at least 1 token, got 0"):
        tagger_with(budget=0)


def test_an_entity_is_a_plain_value(tagger):
    entity = tagger.tag(TEXTS)[0][0]
    assert isinstance(entity, Entity)
    assert type(entity.score) is float
    assert type(entity.start) is int

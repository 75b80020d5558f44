"""The component in real spaCy pipelines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.errors import CheckpointError
from tagbelt.inference.tagger import Tagger

spacy = pytest.importorskip("spacy")

from spacy.tokens import Doc  # noqa: E402
from spacy.training import Example  # noqa: E402

from tagbelt.integrations.spacy import MISALIGNED, TagbeltComponent  # noqa: E402
from tests.clients.pipelines import PEOPLE, PLACES, TEXT, pipeline, places, places_of, texts  # noqa: E402


@pytest.fixture(scope="module")
def tagger(english):
    return Tagger.load(english, threads=1)


@pytest.fixture(scope="module")
def zh_tagger(characters):
    return Tagger.load(characters, threads=1)


def test_entities_with_their_scores(nlp):
    doc = nlp(TEXT)
    assert texts(doc.ents, "PER") == PEOPLE
    assert texts(doc.ents, "LOC") == PLACES
    group = doc.spans["tagbelt"]
    assert places(group) == places(doc.ents)
    assert group.attrs["scores"] == [span._.tagbelt_score for span in doc.ents]
    assert all(0 < score <= 1 for score in group.attrs["scores"])
    assert doc[0:1]._.tagbelt_score is None
    assert doc[0].ent_iob_ == "B"
    assert doc[2].ent_iob_ == "O"


def test_a_document_is_tagged_by_its_own_tokens(nlp, tagger):
    words = ["Angela", "Merkel", "visited", "New", "York", "City."]
    doc = nlp(Doc(nlp.vocab, words=words))
    (annotation,) = tagger.annotate_tokens([words])
    assert [t.ent_type_ or "O" for t in doc] == [tag.split("-")[-1] for tag in annotation.tags]
    scores = [entity.score for entity in annotation.entities]
    assert doc.spans["tagbelt"].attrs["scores"] == pytest.approx(scores)


def test_sentences_are_those_of_the_document_if_it_has_any(nlp, tagger):
    words = ["Angela", "Merkel", "in", "New", "York", "City"]
    starts = [True, False, False, False, True, False]
    doc = nlp(Doc(nlp.vocab, words=words, sent_starts=starts))
    found = tagger.annotate_tokens([words[:4], words[4:]])
    scores = [entity.score for annotation in found for entity in annotation.entities]
    assert doc.spans["tagbelt"].attrs["scores"] == pytest.approx(scores)


def test_otherwise_the_document_is_cut_as_a_text_is(nlp, tagger):
    doc = nlp(TEXT)
    assert places(doc.ents) == places_of(tagger.tag([TEXT])[0])
    scores = [entity.score for entity in tagger.tag([TEXT])[0]]
    assert doc.spans["tagbelt"].attrs["scores"] == pytest.approx(scores)


@given(st.text(st.sampled_from("Aa. \n\t\u00a0,!?李\U0001f600 "), max_size=60))
def test_any_text_keeps_its_offsets(nlp, text):
    doc = nlp(text)
    assert doc.text == text
    for span in doc.ents:
        assert text[span.start_char : span.end_char] == span.text
        assert not span[0].is_space
        assert not span[-1].is_space


@pytest.mark.parametrize("text", ["", " ", "\n\n", "  \t "])
def test_blank_documents_have_no_entities(nlp, text):
    doc = nlp(text)
    assert (doc.ents, list(doc.spans["tagbelt"])) == ((), [])


def test_a_document_of_any_length(nlp):
    doc = nlp(" and ".join(["Angela Merkel"] * 2000))
    assert len(doc.ents) == 2000


def test_many_documents_are_tagged_as_each_alone(nlp):
    given = [TEXT, "", "Nagoya", " ", "nothing here"] * 5
    alone = [places(nlp(text).ents) for text in given]
    for batch_size in (1, 3, 100):
        docs = nlp.pipe(given, batch_size=batch_size)
        assert [places(doc.ents) for doc in docs] == alone


def test_several_processes(english):
    nlp = pipeline(english, threads=2)
    nlp(TEXT * 200)  # starts the threads that a forked process does not have
    docs = list(nlp.pipe([TEXT * 200] * 3, n_process=2, batch_size=1))
    assert [len(doc.ents) for doc in docs] == [len(nlp(TEXT * 200).ents)] * 3
    assert docs[2].ents[0]._.tagbelt_score == docs[2].spans["tagbelt"].attrs["scores"][0]


def test_labels_and_scores_may_be_limited(english, nlp):
    scores = nlp(TEXT).spans["tagbelt"].attrs["scores"]
    sure = pipeline(english, min_score=sorted(scores)[1])
    assert sorted(sure(TEXT).spans["tagbelt"].attrs["scores"]) == sorted(scores)[1:]
    people = pipeline(english, labels=["PER"])
    assert texts(people(TEXT).ents) == PEOPLE
    assert people.pipe_labels["tagbelt"] == ["PER"]
    assert set(nlp.pipe_labels["tagbelt"]) == {"PER", "ORG", "LOC", "MISC"}


def test_a_label_that_the_model_has_not_is_named(english):
    with pytest.raises(ValueError, match=r"PERSON: no labels of .*, which has: .*PER"):
        pipeline(english, labels=["PERSON"])


RULES = [{"label": "PARTY", "pattern": "Merkel visited"}, {"label": "VERB", "pattern": "born"}]


@pytest.mark.parametrize("overwrite", [False, True])
def test_entities_that_are_there_already(english, overwrite):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(RULES)
    nlp.add_pipe("tagbelt", config={"checkpoint": english, "overwrite": overwrite, "threads": 1})
    doc = nlp(TEXT)
    assert texts(doc.ents, "PARTY") == ([] if overwrite else ["Merkel visited"])
    assert texts(doc.ents, "PER") == (PEOPLE if overwrite else PEOPLE[1:])
    assert texts(doc.ents, "VERB") == ["born"]
    assert texts(doc.spans["tagbelt"], "PER") == PEOPLE


@pytest.mark.parametrize("overwrite", [False, True])
def test_blocked_tokens(english, overwrite):
    nlp = pipeline(english, overwrite=overwrite)
    doc = nlp.make_doc(TEXT)
    doc.set_ents([], blocked=[doc[0:1], doc[3:4]])
    nlp.get_pipe("tagbelt")(doc)
    assert texts(doc.ents, "PER") == (PEOPLE if overwrite else PEOPLE[1:])
    assert doc[3].ent_iob_ == "B"  # as spaCy shows a blocked token
    assert bool(doc[3].ent_type_) is overwrite


def test_another_group_of_spans(english):
    doc = pipeline(english, spans_key="found")(TEXT)
    assert list(doc.spans) == ["found"]


def test_chinese_by_characters(characters, zh_tagger):
    text = "李明在 上海工作。\n北京是首都。"
    doc = pipeline(characters, "zh")(text)
    (expected,) = zh_tagger.tag([text])
    assert expected
    assert places(doc.ents) == places_of(expected)
    assert doc.spans["tagbelt"].attrs["scores"] == [entity.score for entity in expected]
    assert MISALIGNED not in doc.user_data


@pytest.mark.parametrize("alignment", ["strict", "contract", "expand"])
def test_what_is_no_whole_tokens_is_told(characters, zh_tagger, alignment):
    text = "Anna went to Tokyo 北京"
    nlp = pipeline(characters, "en", alignment=alignment)
    doc = nlp(text)
    (expected,) = zh_tagger.tag([text])
    told = doc.user_data[MISALIGNED]
    assert told
    assert len(told) + len(doc.spans["tagbelt"]) == len(expected)
    assert len(doc.ents) == len(doc.spans["tagbelt"])
    assert all(text[e["start"] : e["end"]] == e["text"] for e in told)
    if alignment == "strict":
        found = [*places(doc.ents), *((e["label"], e["start"], e["end"], e["text"]) for e in told)]
        assert sorted(found) == sorted(places_of(expected))
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    assert again.user_data[MISALIGNED] == told


def test_a_model_of_words_by_text(english, tagger):
    text = "Angela-Merkel visited Nagoya."
    nlp = pipeline(english, by="text")
    doc = nlp(text)
    told = [
        (e["label"], e["start"], e["end"], e["text"]) for e in doc.user_data.get(MISALIGNED, [])
    ]
    assert sorted([*places(doc.ents), *told]) == sorted(places_of(tagger.tag([text])[0]))


def test_without_a_checkpoint_there_is_no_component(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        pipeline(str(tmp_path))


def test_unless_a_place_is_named_the_bundled_model_is_taken(nlp):
    plain = spacy.blank("en")
    plain.add_pipe("tagbelt")
    assert plain.get_pipe("tagbelt").digest == nlp.get_pipe("tagbelt").digest


def test_options_are_checked(english):
    for config in ({"by": "sentence"}, {"alignment": "loose"}, {"min_score": "high"}):
        with pytest.raises(ValueError, match=next(iter(config))):
            pipeline(english, **config)


def test_a_failure_is_told_to_the_error_handler(english, monkeypatch):
    nlp = pipeline(english)
    component = nlp.get_pipe("tagbelt")
    tag = component.tagger.annotate_tokens

    def fails(sentences):
        if ["bad"] in sentences:
            raise RuntimeError("a fault")
        return tag(sentences)

    monkeypatch.setattr(component.tagger, "annotate_tokens", fails)
    with pytest.raises(RuntimeError, match="a fault"):
        nlp("bad")
    told = []
    nlp.set_error_handler(lambda name, _, docs, error: told.append((name, len(docs), str(error))))
    docs = list(nlp.pipe([TEXT, "bad", TEXT, TEXT], batch_size=2))
    assert told == [("tagbelt", 2, "a fault")]
    assert [texts(doc.ents, "PER") for doc in docs] == [PEOPLE] * 2


def test_spacy_can_score_it(nlp):
    def gold(entities):
        return Example.from_dict(nlp.make_doc(TEXT), {"entities": entities})

    right = [(span.start_char, span.end_char, span.label_) for span in nlp(TEXT).ents]
    assert nlp.evaluate([gold(right)])["ents_f"] == 1.0
    assert nlp.evaluate([gold(right[:2])])["ents_p"] == 0.5


def test_it_says_what_it_sets(nlp):
    assert "doc.ents" in nlp.get_pipe_meta("tagbelt").assigns
    assert isinstance(nlp.get_pipe("tagbelt"), TagbeltComponent)

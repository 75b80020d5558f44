"""The recognizer in Presidio's real analyzer, over a checkpoint and over a server."""

import pytest

from tagbelt.errors import CheckpointError
from tests.service.fake import FakeTagger
from tests.service.live import serving

pytest.importorskip("presidio_analyzer")

import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    BatchAnalyzerEngine,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer
from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

from tagbelt.client import ConnectionFailedError, NotFoundError
from tagbelt.integrations.presidio import TagbeltRecognizer

TEXT = "Angela Merkel visited Nagoya 👩‍🚀 and wrote to a@example.com. Barack Obama did not."


class Blank(SpacyNlpEngine):
    """spaCy's tokenizers alone: nothing to download."""

    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en"), "zh": spacy.blank("zh")}

    def load(self):
        """Loaded."""


@pytest.fixture(scope="module", autouse=True)
def plain_environment():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TAGBELT_URL", "TAGBELT_API_KEY"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def local(english):
    return TagbeltRecognizer(english, threads=1)


def analyzer(*recognizers, languages=("en",)):
    registry = RecognizerRegistry(list(recognizers), supported_languages=list(languages))
    return AnalyzerEngine(
        registry=registry, nlp_engine=Blank(), supported_languages=list(languages)
    )


def found(text, results):
    ordered = sorted(results, key=lambda result: result.start)
    return [(result.entity_type, text[result.start : result.end]) for result in ordered]


EXPECTED = [("PERSON", "Angela Merkel"), ("LOCATION", "Nagoya"), ("PERSON", "Barack Obama")]


def test_the_analyzer_finds_what_the_model_does(local):
    results = analyzer(local).analyze(TEXT, language="en")
    assert found(TEXT, results) == EXPECTED
    assert all(0 < result.score <= 1 for result in results)


def test_beside_other_recognizers(local):
    engine = analyzer(local, EmailRecognizer())
    results = engine.analyze(TEXT, language="en")
    assert found(TEXT, results) == [*EXPECTED[:2], ("EMAIL_ADDRESS", "a@example.com"), EXPECTED[2]]
    assert set(engine.get_supported_entities()) == {
        "EMAIL_ADDRESS", "LOCATION", "MISC", "ORGANIZATION", "PERSON",
    }  # fmt: skip


def test_only_what_is_asked_for_and_sure_enough(local):
    engine = analyzer(local)
    results = engine.analyze(TEXT, language="en", entities=["LOCATION"])
    assert found(TEXT, results) == EXPECTED[1:2]
    scores = sorted(result.score for result in engine.analyze(TEXT, language="en"))
    assert len(engine.analyze(TEXT, language="en", score_threshold=scores[1])) == 2


def test_the_decision_is_explained(local):
    results = analyzer(local).analyze(TEXT, language="en", return_decision_process=True)
    why = results[0].analysis_explanation
    assert why.recognizer == "TagbeltRecognizer"
    assert why.original_score == results[0].score
    assert why.textual_explanation.startswith(f"PER, by Tagbelt {local.version}; ")
    metadata = results[0].recognition_metadata
    assert metadata[RecognizerResult.RECOGNIZER_NAME_KEY] == "TagbeltRecognizer"
    assert metadata[RecognizerResult.RECOGNIZER_IDENTIFIER_KEY] == local.id


def test_labels_may_be_named_otherwise_or_left_out(english):
    recognizer = TagbeltRecognizer(
        english, threads=1, labels={"PER": "NAME"}, ignored=["ORG"], name="names", context=["met"]
    )
    assert set(recognizer.supported_entities) == {"NAME", "LOC", "MISC"}
    assert recognizer.context == ["met"]
    results = analyzer(recognizer).analyze(TEXT, language="en")
    assert [kind for kind, _ in found(TEXT, results)] == ["NAME", "LOC", "NAME"]
    ignoring = TagbeltRecognizer(english, threads=1, ignored=["LOC"])
    assert found(TEXT, ignoring.analyze(TEXT, None)) == [EXPECTED[0], EXPECTED[2]]


def test_entities_below_a_score_are_left_out(english, local):
    scores = sorted(result.score for result in local.analyze(TEXT, None))
    surer = TagbeltRecognizer(english, threads=1, min_score=scores[1])
    assert sorted(result.score for result in surer.analyze(TEXT, None)) == scores[1:]


def test_many_texts(local):
    texts = [TEXT, "", "nothing here", TEXT]
    answers = BatchAnalyzerEngine(analyzer(local)).analyze_iterator(texts, language="en")
    assert [found(t, r) for t, r in zip(texts, answers, strict=True)] == [
        EXPECTED, [], [], EXPECTED,
    ]  # fmt: skip


@pytest.mark.parametrize("model", [None, "fake", "fake@3", "auto"])
def test_over_a_server(model):
    text = "👩‍🚀Ana and 李明 met Toyota in Nagoya"
    with serving() as url:
        recognizer = TagbeltRecognizer(url=url, model=model, supported_language="zh")
        results = analyzer(recognizer, languages=["zh"]).analyze(text, language="zh")
    assert found(text, results) == [
        ("PERSON", "👩‍🚀Ana"),
        ("PERSON", "李明"),
        ("ORGANIZATION", "Toyota"),
        ("LOCATION", "Nagoya"),
    ]
    assert recognizer.version == ("auto" if model == "auto" else "fake@3")
    assert recognizer.supported_language == "zh"


def test_auto_has_the_labels_of_all_models():
    models = [FakeTagger("en"), FakeTagger("zh", language="zh", labels=("PER", "GAME"))]
    with serving(models) as url:
        recognizer = TagbeltRecognizer(url=url, model="auto")
    assert set(recognizer.supported_entities) == {"PERSON", "ORGANIZATION", "LOCATION", "GAME"}


def test_a_server_that_is_gone_is_no_empty_answer():
    with serving() as url:
        recognizer = TagbeltRecognizer(url=url, timeout=0.5)
    with pytest.raises(ConnectionFailedError):
        analyzer(recognizer).analyze(TEXT, language="en")


def test_one_source_and_a_good_one(english, tmp_path):
    with pytest.raises(ValueError, match="either a checkpoint or a url"):
        TagbeltRecognizer(english, url="http://127.0.0.1:9")
    with serving() as url, pytest.raises(NotFoundError, match="nobody"):
        TagbeltRecognizer(url=url, model="nobody")
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        TagbeltRecognizer(str(tmp_path))


def test_a_registry_can_be_described_in_a_file(english, tmp_path):
    conf = tmp_path / "recognizers.yaml"
    conf.write_text(
        "supported_languages: [en]\n"
        "global_regex_flags: 26\n"
        "recognizers:\n"
        "  - name: Tagbelt\n"
        "    class_name: TagbeltRecognizer\n"
        "    type: predefined\n"
        f"    checkpoint: {english}\n"
        "    threads: 1\n",
        encoding="utf-8",
    )
    registry = RecognizerRegistryProvider(conf_file=conf).create_recognizer_registry()
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    assert found(TEXT, engine.analyze(TEXT, language="en")) == EXPECTED


def test_the_anonymizer_takes_the_results(local):
    anonymizer = pytest.importorskip("presidio_anonymizer").AnonymizerEngine()
    results = analyzer(local).analyze(TEXT, language="en")
    assert anonymizer.anonymize(TEXT, results).text == (
        "<PERSON> visited <LOCATION> 👩‍🚀 and wrote to a@example.com. <PERSON> did not."
    )

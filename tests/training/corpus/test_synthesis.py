import pytest

from tagbelt.data.types import Sentence, Span
from tagbelt.errors import ConfigError
from tagbelt.training.corpus.synthesis import LONGEST_NAME, names_of, synthesise
from tagbelt.training.data_config import SynthesisConfig

TEMPLATES = """
# how people are spoken of
@first = Ada | Bo
@PER = {first} Quill
@day = Monday | {part} of May
@part = end
{PER} met {ORG} on {day} .
"""


@pytest.fixture
def make(tmp_path):
    """Fill templates: `make(text, names)`."""

    def run(text=TEMPLATES, names=None, *, count=50, seed=1, own_names=0.5):
        path = tmp_path / "templates.txt"
        path.write_text(text, encoding="utf-8")
        config = SynthesisConfig(templates=str(path), sentences=count, own_names=own_names)
        found = {"ORG": [("Tarn", "Rovers")], "PER": [("Lee",)]} if names is None else names
        return synthesise(config, found, seed=seed)

    return run


def test_slots_become_entities_of_their_type(make):
    for sentence in make():
        person, org = sentence.spans
        assert (person.label, org.label) == ("PER", "ORG")
        assert sentence.tokens[person.start : person.end] in {
            ("Ada", "Quill"),
            ("Bo", "Quill"),
            ("Lee",),
        }
        assert sentence.tokens[org.start : org.end] == ("Tarn", "Rovers")
        assert sentence.tokens[org.end + 1 :] in {("Monday", "."), ("end", "of", "May", ".")}


def test_so_many_sentences_as_are_asked_for_and_the_same_again(make):
    assert len(make(count=7)) == 7
    assert make(seed=1) == make(seed=1) != make(seed=2)


@pytest.mark.parametrize(("share", "names"), [(1.0, {"Ada", "Bo"}), (0.0, {"Lee"})])
def test_own_names_have_their_share(make, share, names):
    assert {sentence.tokens[0] for sentence in make(own_names=share)} == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{PER} on {day} .", r"templates\.txt:1: no list @day fills \{day\}"),
        ("@day\nx", r"templates\.txt:1: a list is written"),
        ("@day = |\nx", r"templates\.txt:1: a list is written"),
        ("@a = {b}\n@b = {a}\n{a}", r"lists contain one another: a > b > a"),
        ("{LOC} .", r"nothing fills \{LOC\}"),
        ("{PER}'s dog", r"templates\.txt:1: \{PER\} must stand between spaces"),
        ("@who = {PER} Lee\n{who}", r"templates\.txt:1: \{PER\} in a list would not be marked"),
        ("@a = b", r"templates\.txt: no template"),
    ],
)
def test_templates_that_can_not_be_filled_are_refused(make, text, message):
    with pytest.raises(ConfigError, match=message):
        make(text)


def test_names_are_taken_from_what_sentences_mark():
    tokens = ("Ada", "Lee", "of", "the", "(", "Tarn", "lee", "Ada", "Lee")
    spans = (
        Span(0, 2, "PER"),
        Span(4, 6, "ORG"),  # brackets are no name
        Span(6, 7, "PER"),  # nor is what begins small
        Span(7, 9, "PER"),
    )
    size = LONGEST_NAME["word"] + 1
    long = Sentence(("A",) * size, (Span(0, size, "PER"),))
    unlabelled = Sentence(("Bo",))
    assert names_of([Sentence(tokens, spans), long, unlabelled]) == {"PER": [("Ada", "Lee")]}


def test_a_byte_order_mark_is_no_part_of_templates(make):
    assert make("\ufeff" + TEMPLATES.lstrip()) == make(TEMPLATES.lstrip())

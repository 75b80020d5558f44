from tagbelt.data.checkpoint.artifact import Header
from tagbelt.data.types import Sentence, Span
from tagbelt.training.run.examples import choose_examples
from tests.training.tiny import CHINESE


def sentence(text, *labels):
    tokens = tuple(text.split())
    spans = tuple(Span(i, i + 1, label) for i, label in enumerate(labels))
    return Sentence(tokens=tokens, spans=spans)


def test_few_sentences_show_many_types():
    both = sentence("Ana left Toyota here", "PER", "ORG")
    other = sentence("Nagoya is far away", "LOC")
    more = [sentence(f"Ana {i} went home", "PER") for i in range(9)]
    chosen = choose_examples([*more, both, both, other, sentence("nobody at all")], "word")
    assert chosen[:2] == ("Ana left Toyota here", "Nagoya is far away")
    assert len(set(chosen)) == 4
    assert chosen[2:] == ("Ana 0 went home", "Ana 1 went home")


def test_a_long_sentence_is_taken_only_where_all_are():
    long = sentence("Ana " * 40, "PER")
    assert choose_examples([long, sentence("Ana left", "PER")], "word") == ("Ana left",)
    assert choose_examples([long], "word") == (" ".join(long.tokens),)
    assert choose_examples([sentence("nobody")], "word") == ()


def test_characters_are_joined_without_spaces():
    assert choose_examples([sentence("李 明 来 了", "PER")], "character") == ("李明来了",)


def test_a_checkpoint_keeps_examples_of_dev(trained):
    run = trained({"training.epochs": 1}, CHINESE)
    examples = Header.read(run.checkpoint).examples
    assert examples
    assert all(" " not in text for text in examples)


def test_a_checkpoint_keeps_none_where_the_config_says_so(trained):
    run = trained({"training.epochs": 1, "data.examples": False}, CHINESE)
    assert Header.read(run.checkpoint).examples == ()

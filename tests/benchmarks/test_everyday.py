import pytest

from benchmarks.accuracy.everyday import FOLDER, read_marked, scored

LANGUAGES = ["en", "zh"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_150_sentences_and_none_twice(language):
    texts = [sentence.text for sentence in read_marked(FOLDER / f"{language}.txt")]
    assert len(texts) == len(set(texts)) == 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_mark_is_left_in_a_text_and_each_span_is_trimmed(language):
    for sentence in read_marked(FOLDER / f"{language}.txt"):
        assert not set("{}") & set(sentence.text)
        for span in sentence.spans:
            entity = sentence.text[span.start : span.end]
            assert entity == entity.strip() != ""
            assert span.label in ("PER", "LOC", "ORG", "MISC")


def test_offsets_count_the_text_without_its_marks(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("# A\n{PER Ada} met {PER Bo} in {LOC Rome}.\n", encoding="utf-8")
    (sentence,) = read_marked(path)
    assert (sentence.group, sentence.text) == ("A", "Ada met Bo in Rome.")
    found = [(s.label, sentence.text[s.start : s.end]) for s in sentence.spans]
    assert found == [("PER", "Ada"), ("PER", "Bo"), ("LOC", "Rome")]


def test_types_that_a_checkpoint_lacks_do_not_count_against_it(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("# A\nIn {LOC London} they speak {MISC English}.\n", encoding="utf-8")
    total, group = scored(FOLDER.parents[1] / "checkpoints" / "en", list(read_marked(path)))
    assert (total["group"], group["group"]) == ("all", "A")
    assert total["support"] == 1

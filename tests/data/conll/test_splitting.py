import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.data.conll.reading import read_tolerantly
from tagbelt.data.conll.splitting import piece_text, split_file
from tagbelt.errors import ConllError, DataError

SHARES = (0.8, 0.1, 0.1)


def read(text):
    return read_tolerantly(io.BytesIO(text.encode("utf-8")))


def sentence(*tokens):
    return "".join(f"{token}\tO\n" for token in tokens)


def corpus(number, length=3):
    return "\n".join(sentence(*[f"w{n}.{i}" for i in range(length)]) for n in range(number))


def documents(number, mark="-DOCSTART-\tO\n\n", size=4):
    return "".join(
        mark + "\n".join(sentence(f"d{n}", f"s{i}") for i in range(size)) + "\n"
        for n in range(number)
    )


def rows(text):
    return Counter(line for line in text.split("\n") if line)


@given(st.integers(30, 120), st.integers(0, 9))
def test_every_row_is_in_one_part_and_parts_have_their_shares(number, seed):
    text = corpus(number)
    file = read(text)
    split = split_file(file, SHARES, seed)
    written = [piece_text(file, part) for part in split.parts]
    assert sum(map(rows, written), Counter()) == rows(text)
    sizes = [len(read(part).blocks) for part in written]
    assert all(abs(size - share * number) <= 2 for size, share in zip(sizes, SHARES, strict=True))
    assert not split.by_document


def test_a_seed_splits_the_same_way_always():
    file = read(corpus(20))
    starts = [[piece.start for piece in part] for part in split_file(file, (8, 1, 1), 1).parts]
    assert starts[1:] == [[64, 68], [44, 48]]
    assert starts == [[p.start for p in part] for part in split_file(file, SHARES, 1).parts]
    assert starts != [[p.start for p in part] for part in split_file(file, SHARES, 2).parts]


@pytest.mark.parametrize("mark", ["-DOCSTART-\tO\n\n", "# newdoc id = x\n"])
def test_documents_stay_whole(mark):
    text = documents(30, mark)
    file = read(text)
    split = split_file(file, SHARES, 3)
    assert split.by_document
    written = [piece_text(file, part) for part in split.parts]
    assert sum(map(rows, written), Counter()) == rows(text)
    homes = [{block.tokens[0] for block in read(part).blocks} for part in written]
    assert [len(home) for home in homes] == [24, 3, 3]
    assert len(set().union(*homes)) == 30
    assert all(part.startswith(mark) for part in written)


def test_what_stands_before_the_first_document_is_kept():
    text = sentence("first") + "\n" + documents(9)
    file = read(text)
    split = split_file(file, (1, 1), 1)
    assert sum((rows(piece_text(file, p)) for p in split.parts), Counter()) == rows(text)


@given(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=60, max_size=90), st.integers(0, 5))
def test_no_sentence_is_in_two_parts(tokens, seed):
    file = read("\n".join(sentence(token) for token in [*"abcdefghijklmnop", *tokens]))
    split = split_file(file, (2, 1, 1), seed)
    homes = [{s for piece in part for s in piece.sentences} for part in split.parts]
    assert sum(map(len, homes)) == len(set().union(*homes))
    assert split.repeated == (0, 0, 0)


def test_documents_that_share_a_sentence_go_together():
    shared = sentence("a", "sentence", "that", "two", "of", "these", "documents", "have")
    parts = documents(40).split("-DOCSTART-\tO\n\n")[1:]
    parts[3] += shared + "\n"
    parts[31] += shared + "\n"
    file = read("".join("-DOCSTART-\tO\n\n" + part for part in parts))
    for seed in range(10):
        assert split_file(file, SHARES, seed).repeated == (0, 0, 0)


def test_sentences_that_all_documents_share_are_counted():
    mark = "-DOCSTART-\tO\n\n" + sentence("the", "same") + "\n"
    split = split_file(read(documents(30, mark)), SHARES, 1)
    assert [len(part) for part in split.parts] == [24, 3, 3]
    assert split.repeated == (0, 3, 3)


def test_comments_above_a_sentence_go_with_it():
    text = "\n".join(f"# sent_id = {n}\n" + sentence(f"w{n}", "x") for n in range(12))
    file = read(text)
    for part in split_file(file, (1, 1), 1).parts:
        for block in piece_text(file, part).strip().split("\n\n"):
            assert block.split("\n")[0].removeprefix("# sent_id = ") == block.split("\n")[1][1:-2]


@pytest.mark.parametrize("shares", [(1,), (1, 0), (1, -1), (1, float("nan")), (1, float("inf"))])
def test_shares_that_make_no_sense(shares):
    with pytest.raises(DataError, match="two or more numbers above 0"):
        split_file(read(corpus(20)), shares, 1)


def test_what_cannot_be_split():
    with pytest.raises(DataError, match="too few"):
        split_file(read(corpus(2)), SHARES, 1)
    with pytest.raises(ConllError, match=":3: expected 2 columns"):
        split_file(read("a\tO\n\nb\n\nc\tO\n"), SHARES, 1)

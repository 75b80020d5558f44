"""What tools export, read as they mean it; and what cannot be carried over, told with its place."""

import json

import pytest

from tagbelt.data.conll.reading import read_conll
from tagbelt.data.formats.brat import write_brat
from tagbelt.data.formats.convert import (
    SourceOptions,
    TargetOptions,
    convert,
    guess_source,
    guess_target,
    save,
)
from tagbelt.data.formats.record import Format, Mark, Offsets, Record
from tagbelt.data.types import Span
from tagbelt.errors import DataError

FIREMEN = "\U0001f468\U0001f3fb\u200d\U0001f692 firemen drive firetrucks"


@pytest.fixture
def rows(tmp_path):
    """Convert to rows; the sentences, and the losses as `{kind: [message]}`."""

    def run(source, source_format, text, **reading):
        path = tmp_path / source
        path.write_bytes(text.encode("utf-8"))
        done = convert(path, source_format, Format.conll, SourceOptions(**reading), TargetOptions())
        save(done, tmp_path / "out.conll", TargetOptions())
        read = read_conll(tmp_path / "out.conll", separator="\t")
        losses = {
            kind: [m.removeprefix(f"{tmp_path}/") for m in found]
            for kind, found in done.losses.examples.items()
        }
        return [(" ".join(s.tokens), s.spans) for s in read.sentences], losses

    return run


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def task(text, *values, **more):
    result = [{"type": "labels", "value": value} for value in values]
    return {"data": {"text": text}, "annotations": [{"result": result}], **more}


def test_offsets_of_each_unit():
    for unit, offset in (("codepoint", 4), ("utf16", 7), ("utf8", 15)):
        offsets = Offsets(FIREMEN, unit)
        assert (offsets.offset(4), offsets.point(offset)) == (offset, 4)
        assert [offsets.point(bad) for bad in (-1, 1000, "4", None, True, 4.0)] == [None] * 6
    assert Offsets(FIREMEN, "utf16").point(1) is None


def test_doccano_counts_utf16(rows):
    text = lines({"id": 1, "text": FIREMEN, "label": [[22, 32, "OBJ"]], "Comments": []})
    sentences, losses = rows("a.jsonl", Format.doccano, text, tokenizing="whitespace")
    assert sentences == [(FIREMEN, (Span(3, 4, "OBJ"),))]
    assert losses == {}


def test_doccano_with_entities_as_objects(rows):
    entity = {"id": 7, "label": "OBJ", "start_offset": 22, "end_offset": 32}
    relation = {"id": 1, "from_id": 7, "to_id": 7, "type": "self"}
    text = lines(
        {"text": FIREMEN, "entities": [entity], "relations": []},
        {"text": FIREMEN, "entities": [entity], "relations": [relation]},
    )
    sentences, losses = rows("a.jsonl", Format.doccano, text, tokenizing="whitespace")
    assert [spans for _, spans in sentences] == [(Span(3, 4, "OBJ"),)] * 2
    assert losses == {"relation": ["a.jsonl:2: 1 relations between entities"]}


def test_label_studio_counts_code_points_and_its_texts_tell_when_not(rows):
    value = {"start": 19, "end": 29, "text": "firetrucks", "labels": ["OBJ"]}
    text = json.dumps([task(FIREMEN, value)])
    right, losses = rows("a.json", Format.labelstudio, text)
    assert right[0][1][0].label == "OBJ"
    assert losses == {}
    wrong, losses = rows("a.json", Format.labelstudio, text, unit="utf16")
    assert wrong[0][1] == ()
    assert list(losses) == ["other-text"]
    assert "'firetrucks'; is --offset-unit right?" in losses["other-text"][0]


def test_label_studio_tells_what_it_leaves_out(rows):
    value = {"start": 0, "end": 3, "text": "Ada", "labels": ["PER", "ORG"]}
    other = task("Ada slept", value)
    other["annotations"].insert(
        0, {"was_cancelled": True, "result": other["annotations"][0]["result"]}
    )
    other["annotations"][1]["result"].append({"type": "choices", "value": {"choices": ["x"]}})
    sentences, losses = rows("a.json", Format.labelstudio, json.dumps([other, task("Nobody")]))
    assert sentences == [("Ada slept", (Span(0, 1, "ORG"),)), ("Nobody", ())]
    assert losses == {
        "other-annotation": ["a.json: task 1: 2 regions of a further annotation"],
        "not-a-span": ["a.json: task 1: a region of type 'choices'"],
        "overlap": ["a.json: task 1: PER 'Ada' at 0 overlaps a ORG"],
    }


def test_prodigy_with_tokens_and_an_answer(rows):
    tokens = [
        {"text": t, "start": s, "end": e} for t, s, e in (("Ada", 0, 3), ("L.", 3, 5), ("\n", 5, 6))
    ]
    span = {"start": 0, "end": 5, "label": "PER", "token_start": 0, "token_end": 1}
    text = lines(
        {"text": "AdaL.\n", "tokens": tokens, "spans": [span], "answer": "accept"},
        {"text": "Ada L.", "spans": [span], "answer": "reject"},
    )
    sentences, losses = rows("a.jsonl", Format.prodigy, text)
    assert sentences[0] == ("Ada L.", (Span(0, 2, "PER"),))
    assert losses == {"not-accepted": ["a.jsonl:2: the answer is 'reject', so not its spans"]}


def test_spans_that_fit_no_tokens_or_overlap_are_told(rows):
    label = [[0, 5, "PER"], [4, 12, "PER"], [4, 16, "ORG"], [13, 99, "X"], [3, 3, "X"], [0, 3, ""]]
    text = lines({"text": "fine", "label": []}, {"text": "Ada Lovelace Inc", "label": label})
    sentences, losses = rows("a.jsonl", Format.doccano, text)
    assert sentences == [("fine", ()), ("Ada Lovelace Inc", (Span(1, 3, "ORG"),))]
    assert losses == {
        "misaligned": ["a.jsonl:2: PER 'Ada L' at 0 to 5 does not begin and end with tokens"],
        "overlap": ["a.jsonl:2: PER 'Lovelace' at 4 overlaps a ORG"],
        "bad-span": [
            "a.jsonl:2: 13 to 99 ('X') is no span of this text",
            "a.jsonl:2: 3 to 3 ('X') is no span of this text",
            "a.jsonl:2: 'Ada' has no label",
        ],
    }


def test_a_sentence_does_not_end_inside_an_entity(rows):
    text = "Ada slept. Then she went. It rained."
    found, losses = rows("a.jsonl", Format.doccano, lines({"text": text, "label": [[4, 15, "X"]]}))
    assert [len(spans) for _, spans in found] == [1, 0]
    assert found[1][0] == "It rained ."
    assert losses == {}


def test_brat(tmp_path):
    folder = tmp_path / "brat"
    folder.mkdir()
    (folder / "a.txt").write_bytes("Ada 😀\nslept in Rome.\n".encode())
    (folder / "a.ann").write_text(
        "T1\tPER 0 5\tAda 😀\nT2\tLOC 15 19\tRome\nT3\tX 0 3;6 11\tAda slept\n"
        "R1\tlives Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tsure?\nT4\tPER 0 3\tEve\n",
        encoding="utf-8",
    )
    (folder / "b.txt").write_text("Nobody.", encoding="utf-8")
    (folder / "b.ann").write_text("", encoding="utf-8")
    done = convert(folder, Format.brat, Format.conll, SourceOptions(), TargetOptions())
    assert done.text.count("-DOCSTART-") == 2
    assert "Ada\tB-PER\n😀\tI-PER\nslept\tO\nin\tO\nRome\tB-LOC\n.\tO\n" in done.text.replace(
        "\n\n", "\n"
    )
    assert done.losses.counts == {"discontinuous": 1, "not-a-span": 2, "other-text": 1}
    assert done.losses.examples["discontinuous"] == [
        f"{folder}/a.ann:3: X in several pieces: 0 3;6 11"
    ]
    (folder / "b.ann").unlink()
    with pytest.raises(DataError, match=r"b\.ann: is missing"):
        convert(folder, Format.brat, Format.conll, SourceOptions(), TargetOptions())


@pytest.mark.parametrize("end", ["3.5", "x", "9" * 30, "9" * 5000])
def test_an_offset_that_is_none_in_brat_is_left_out_and_told(tmp_path, end):
    (tmp_path / "a.txt").write_text("Ada slept.", encoding="utf-8")
    (tmp_path / "a.ann").write_text(f"T1\tPER 0 {end}\tAda\n", encoding="utf-8")
    done = convert(tmp_path / "a.txt", Format.brat, Format.conll, SourceOptions(), TargetOptions())
    assert "B-PER" not in done.text
    ((told,),) = done.losses.examples.values()
    assert told.startswith(f"{tmp_path}/a.ann:1: ")


def test_documents_of_rows_are_documents_of_brat(tmp_path):
    source = tmp_path / "a.conll"
    source.write_text(
        "-DOCSTART- O\n\nAda B-PER\nslept O\n\nAgain O\n\n-DOCSTART- O\n\nRome B-LOC\n",
        encoding="utf-8",
    )
    save(
        convert(source, Format.conll, Format.brat, SourceOptions(), TargetOptions()),
        tmp_path / "b",
        TargetOptions(),
    )
    found = {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "b").iterdir()}
    assert found == {
        "00001.txt": "Ada slept\nAgain",
        "00001.ann": "T1\tPER 0 3\tAda\n",
        "00002.txt": "Rome",
        "00002.ann": "T1\tLOC 0 4\tRome\n",
    }
    with pytest.raises(DataError, match="has documents already"):
        save(
            convert(source, Format.conll, Format.brat, SourceOptions(), TargetOptions()),
            tmp_path / "b",
            TargetOptions(),
        )


def test_tokens_that_brat_cannot_show_are_told(tmp_path):
    source = tmp_path / "a.conll"
    source.write_text("two words\tB-PER\nx\tO\n\n\tO\ny\tB-X\n\n\tB-X\n", encoding="utf-8")
    done = convert(source, Format.conll, Format.brat, SourceOptions(), TargetOptions())
    assert done.losses.counts == {"token-boundaries": 3, "empty-entity": 1}
    assert done.losses.examples["empty-entity"] == [
        f"{source}:7: X at token 1 of the sentence has no text"
    ]


def test_rows_keep_their_columns_comments_and_documents(tmp_path):
    source = tmp_path / "a.conll"
    source.write_text(
        "# a longer comment here\n-DOCSTART- -X- O\n\n"
        "Ada NNP I-PER\nslept VBD O\n\n\nRome NNP I-LOC\n",
        encoding="utf-8",
    )
    reading = SourceOptions(columns=["token", "pos", "tag"])
    bioes = TargetOptions(scheme="BIOES", separator=" ")
    done = convert(source, Format.conll, Format.conll, reading, bioes)
    expected = source.read_text(encoding="utf-8").replace("I-", "S-")
    assert done.text == expected
    two = TargetOptions(keep=(2, 0))
    done = convert(source, Format.conll, Format.conll, reading, two)
    assert "\nB-PER\tAda\nO\tslept\n" in done.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.conll", "", Format.conll),
        ("a.txt", "", Format.conll),
        ("a.json", "[]", Format.labelstudio),
        ("a.jsonl", '{"text": "", "spans": []}', Format.prodigy),
        ("a.jsonl", '\n{"text": "", "label": []}', Format.doccano),
        ("a.jsonl", '{"text": "", "entities": []}', Format.doccano),
    ],
)
def test_formats_are_told_by_suffix(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert guess_source(path) is expected
    assert guess_source(tmp_path) is Format.brat


def test_a_doubtful_suffix_is_asked_about(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ""}', encoding="utf-8")
    with pytest.raises(DataError, match="say with --from"):
        guess_source(path)
    with pytest.raises(DataError, match="say with --to"):
        guess_target(path)
    path.with_name("b.txt").write_text("", encoding="utf-8")
    path.with_name("b.ann").write_text("", encoding="utf-8")
    assert guess_source(path.with_name("b.txt")) is Format.brat
    assert [guess_target(path.with_name(n)) for n in ("c", "c.json", "c.tsv")] == [
        Format.brat,
        Format.labelstudio,
        Format.conll,
    ]


@pytest.mark.parametrize(
    ("source_format", "text", "message"),
    [
        (Format.doccano, "{}\n", r"a:1: no field 'text'; name it with --field"),
        (Format.doccano, "\n[]\n", r"a:2: no JSON object"),
        (Format.doccano, "{\n", r"a:1: not JSON"),
        (Format.doccano, '{"text": "\\ud83d"}', r"a:1: half of a surrogate pair"),
        (Format.doccano, '{"text": "ab", "tokens": [[1, 2], [0, 1]]}', r"a:1: tokens: \[0, 1\]"),
        (Format.labelstudio, "{}", r"a: no list of tasks"),
        (Format.labelstudio, '[{"data": {}}]', r"a: task 1: no data.text"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path, source_format, text, message):
    path = tmp_path / "a"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        convert(path, source_format, Format.conll, SourceOptions(), TargetOptions())


def test_marks_are_in_order():
    assert sorted([Mark(2, 3, "A"), Mark(0, 9, "B")])[0] == Mark(0, 9, "B")


def test_documents_of_brat_never_take_each_others_name(tmp_path):
    texts = [("one", "00002"), ("two", "../evil"), ("three", "x"), ("four", "x"), ("five", 5)]
    records = [Record(text, (), fields={"name": name}) for text, name in texts]
    write_brat(records, "codepoint", tmp_path / "out")
    found = {p.stem: p.read_text(encoding="utf-8") for p in (tmp_path / "out").glob("*.txt")}
    assert found == {
        "00002": "one",
        "00002_": "two",
        "x": "three",
        "00004": "four",
        "00005": "five",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


REGION = {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}


def test_tasks_that_nobody_annotated_are_left_out_and_told(rows):
    predicted = task("Eve left", predictions=[{"result": [{"type": "labels", "value": REGION}]}])
    cancelled = task("Bob left", REGION)
    cancelled["annotations"][0]["was_cancelled"] = True
    tasks = [
        task("Ada left", REGION),
        {"data": {"text": "Nobody looked"}},
        {**predicted, "annotations": []},
        cancelled,
        task("It rains"),  # annotated: there is nothing in it
    ]
    sentences, losses = rows("a.json", Format.labelstudio, json.dumps(tasks))
    assert sentences == [("Ada left", (Span(0, 1, "PER"),)), ("It rains", ())]
    assert {kind: [m.split(": ")[1] for m in found] for kind, found in losses.items()} == {
        "not-annotated": ["task 2"],
        "only-predicted": ["task 3"],
        "skipped": ["task 4"],
    }


def test_lines_that_nobody_annotated_or_accepted_are_left_out_and_told(rows):
    text = lines(
        {"text": "Ada left", "spans": [{"start": 0, "end": 3, "label": "PER"}]},
        {"text": "Nobody looked"},
        {"text": "Skipped", "spans": [], "answer": "ignore"},
        {"text": "It rains", "answer": "accept"},
        {"text": "It pours", "label": []},
    )
    for source_format in (Format.prodigy, Format.doccano):
        sentences, losses = rows("a.jsonl", source_format, text)
        assert [text for text, _ in sentences] == ["Ada left", "It rains", "It pours"]
        assert losses == {
            "not-annotated": [
                "a.jsonl:2: it has none of the fields label, labels, entities, spans"
            ],
            "not-accepted": ["a.jsonl:3: the answer is 'ignore'"],
        }


def test_white_space_at_the_edge_of_a_span_is_cut_off(rows):
    label = [[0, 4, "PER"], [3, 13, "ORG"], [12, 14, "X"]]
    for tokenizing in ("word", "whitespace"):
        text = lines({"text": "Ada Lovelace  left", "label": label})
        sentences, losses = rows("a.jsonl", Format.doccano, text, tokenizing=tokenizing)
        assert sentences == [("Ada Lovelace left", (Span(0, 1, "PER"), Span(1, 2, "ORG")))]
        assert len(losses.pop("trimmed")) == 2
        expected = "a.jsonl:1: X '  ' at 12 to 14 does not begin and end with tokens"
        assert losses == {"misaligned": [expected]}


def test_a_span_twice_is_one(rows):
    text = lines({"text": "Ada left", "label": [[0, 3, "PER"], [0, 3, "PER"]]})
    assert rows("a.jsonl", Format.doccano, text) == ([("Ada left", (Span(0, 1, "PER"),))], {})


@pytest.mark.parametrize(
    ("align", "spans", "kind"),
    [
        ("strict", (), "misaligned"),
        ("contract", (Span(1, 2, "PER"),), "moved"),
        ("expand", (Span(0, 3, "PER"),), "moved"),
    ],
)
def test_spans_that_end_inside_tokens_are_aligned_as_asked(rows, align, spans, kind):
    text = lines({"text": "young Ada Lovelace left", "label": [[2, 14, "PER"]]})
    sentences, losses = rows("a.jsonl", Format.doccano, text, align=align)
    assert sentences == [("young Ada Lovelace left", spans)]
    assert list(losses) == [kind]
    inside = lines({"text": "young Ada", "label": [[7, 8, "PER"]]})
    sentences, losses = rows("a.jsonl", Format.doccano, inside, align=align)
    assert list(losses) == ["moved" if align == "expand" else "misaligned"]


def test_a_span_of_brat_over_a_line_break_is_whole_and_comes_back(tmp_path):
    folder = tmp_path / "brat"
    folder.mkdir()
    (folder / "a.txt").write_text("He saw New\nYork today, and Rome.", encoding="utf-8")
    rows = "T1\tLOC 7 10;11 15\tNew York\nT2\tX 0 2;16 21\tHe today\nT3\tLOC 26 31\t Rome\n"
    (folder / "a.ann").write_text(rows, encoding="utf-8")
    done = convert(folder, Format.brat, Format.conll, SourceOptions(), TargetOptions())
    assert "New\tB-LOC\nYork\tI-LOC\n" in done.text
    assert "Rome\tB-LOC\n" in done.text
    assert done.losses.counts == {"joined": 1, "discontinuous": 1, "trimmed": 1}
    assert (done.losses.lost, done.losses.left_out) == (1, 0)
    again = convert(folder, Format.brat, Format.brat, SourceOptions(), TargetOptions())
    save(again, tmp_path / "out", TargetOptions())
    assert (tmp_path / "out" / "a.ann").read_text("utf-8").startswith(rows.split("\n")[0] + "\n")


def test_a_byte_order_mark_is_no_part_of_json_lines(rows, tmp_path):
    text = lines({"text": "Ada left", "label": [[0, 3, "PER"]]})
    assert rows("a.jsonl", Format.doccano, "\ufeff" + text) == rows("a.jsonl", Format.doccano, text)
    (tmp_path / "b.jsonl").write_text("\ufeff" + text, encoding="utf-8")
    assert guess_source(tmp_path / "b.jsonl") is Format.doccano


ENTITIES = ("Ada 😀 left Rome", (Span(0, 1, "PER"), Span(3, 4, "LOC")))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spacy.json", [["Ada 😀 left Rome", {"entities": [[0, 3, "PER"], [11, 15, "LOC"]]}]]),
        ("spacy.jsonl", ["Ada 😀 left Rome", {"entities": [[0, 3, "PER"], [11, 15, "LOC"]]}]),
        (
            "hf.jsonl",
            {"tokens": ["Ada", "😀", "left", "Rome"], "ner_tags": ["B-PER", "O", "O", "B-LOC"]},
        ),
        (
            "gliner.jsonl",
            {
                "tokenized_text": ["Ada", "😀", "left", "Rome"],
                "ner": [[0, 0, "PER"], [3, 3, "LOC"]],
            },
        ),
        ("array.json", [{"text": "Ada 😀 left Rome", "label": [[0, 3, "PER"], [12, 16, "LOC"]]}]),
        (
            "min.json",
            [
                {
                    "text": "Ada 😀 left Rome",
                    "label": [
                        {"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]},
                        {"start": 11, "end": 15, "text": "Rome", "labels": ["LOC"]},
                    ],
                }
            ],
        ),
        (
            "cluener.jsonl",
            {
                "text": "Ada 😀 left Rome",
                "label": {"PER": {"Ada": [[0, 2]]}, "LOC": {"Rome": [[11, 14]]}},
            },
        ),
    ],
)
def test_what_other_tools_write_is_told_and_read(rows, tmp_path, name, content):
    text = json.dumps(content, ensure_ascii=False) + "\n"
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert rows(name, guess_source(tmp_path / name), text) == ([ENTITIES], {})


def test_tags_that_are_numbers_or_too_few_are_refused(rows):
    for tags in ([1, 0], ["B-PER"], ["B-PER", "perhaps"]):
        with pytest.raises(DataError, match="tag"):
            rows("a.jsonl", Format.prodigy, lines({"tokens": ["Ada", "left"], "ner_tags": tags}))


def test_a_field_within_an_object(rows):
    text = lines({"data": {"text": "Ada left"}, "label": [[0, 3, "PER"]]})
    sentences, _ = rows("a.jsonl", Format.doccano, text, field="data.text")
    assert sentences == [("Ada left", (Span(0, 1, "PER"),))]


def test_brat_in_folders_of_a_folder(tmp_path):
    (tmp_path / "in" / "x").mkdir(parents=True)
    (tmp_path / "in" / "x" / "a.txt").write_text("Ada left", encoding="utf-8")
    (tmp_path / "in" / "x" / "a.ann").write_text("T1\tPER 0 3\tAda\n", encoding="utf-8")
    done = convert(tmp_path / "in", Format.brat, Format.conll, SourceOptions(), TargetOptions())
    assert done.text == "Ada\tB-PER\nleft\tO\n\n"


def rows_of(tmp_path, lines, **options):
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    reading = SourceOptions(tokenizing="whitespace", **options)
    done = convert(source, Format.prodigy, Format.conll, reading, TargetOptions())
    return done, [block.replace("\n", " ") for block in done.text.strip().split("\n\n")]


def test_accepted_rejected_unlabelled_and_untyped_spans(tmp_path):
    line = {
        "text": "Ada saw Bo in Old York .",
        "spans": [{"start": 0, "end": 3, "label": "PER"}],
        "rejected": [[8, 10, "ORG"]],
        "unlabelled": [[4, 6]],
        "untyped": [{"start": 14, "end": 22}],
    }
    done, (rows,) = rows_of(tmp_path, [line])
    assert done.losses.counts == {}
    assert rows == "Ada\tB-PER saw\t? Bo\t!ORG in\tO Old\tB-? York\tI-? .\tO"


def test_with_partial_only_what_was_looked_at_is_known(tmp_path):
    spans = [{"start": 0, "end": 3, "label": "PER"}]
    lines = [
        {"text": "Ada slept .", "spans": spans, "answer": "accept"},
        {"text": "May is long .", "spans": spans, "answer": "reject"},
        {"text": "It rained .", "spans": spans, "answer": "ignore"},
    ]
    done, rows = rows_of(tmp_path, lines, partial=True)
    assert rows == ["Ada\tB-PER slept\t? .\t?", "May\t!PER is\t? long\t? .\t?"]
    assert done.losses.counts == {"not-accepted": 1}
    done, rows = rows_of(tmp_path, lines)
    assert rows == ["Ada\tB-PER slept\tO .\tO"]
    reading = SourceOptions(partial=True)
    with pytest.raises(DataError, match="--partial is for JSON lines, not for brat"):
        convert(tmp_path, Format.brat, Format.conll, reading, TargetOptions())


def test_what_contradicts_or_cannot_be_placed_is_told(tmp_path):
    line = {
        "text": "Ada saw Bo .",
        "spans": [{"start": 0, "end": 3, "label": "PER"}, {"start": 8, "end": 10, "label": "?"}],
        "rejected": [[0, 3, "PER"], [8, 9, "PER"], [4, 7, ""]],
        "unlabelled": [[5, 6]],
    }
    done, (rows,) = rows_of(tmp_path, [line])
    assert done.losses.counts == {"contradiction": 1, "misaligned": 1, "bad-span": 2}
    assert rows == "Ada\tB-PER saw\t? Bo\tO .\tO"


def test_formats_without_room_for_what_is_open_say_so(tmp_path):
    source = tmp_path / "a.conll"
    source.write_text("Ada\tB-PER\nslept\t?\n", encoding="utf-8")
    for target in (Format.labelstudio, Format.brat):
        done = convert(source, Format.conll, target, SourceOptions(), TargetOptions())
        assert done.losses.examples["open"] == [f"{source}:1: 'slept' at 4 to 9"]


@pytest.mark.parametrize("guess", [guess_source, guess_target])
def test_a_suffix_of_something_else_is_refused_and_any_other_is_rows(tmp_path, guess):
    with pytest.raises(DataError, match=r"a\.xml: \.xml is none of our formats; --(from|to) is"):
        guess(tmp_path / "a.xml")
    assert guess(tmp_path / "ner.testa") is Format.conll

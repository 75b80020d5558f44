"""Bulk runs: cut anywhere, stopped anywhere, the output is what one pass over everything gives."""

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagbelt.bulk import run as bulk
from tagbelt.bulk.job import BulkJob, ShardTagger
from tagbelt.bulk.shards import find_sources, shards_of
from tagbelt.bulk.storage import LocalStorage, joined
from tagbelt.errors import InputError
from tagbelt.inference import Tagger

TEXTS = ["Ann Lee met Bo in Port Anwick.", "nobody", "", 'said "Bo, \nAnn"', "李明 in Anwick"]


def cuts(path, size):
    (source,) = find_sources([str(path)], "/nowhere", None)
    return list(shards_of(source, size, "/nowhere"))


def parts(path, size):
    return [path.read_bytes()[shard.start : shard.end] for shard in cuts(path, size)]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(*[st.text('ab",\n\r é', max_size=12)] * 2).map(list), max_size=30),
    size=st.integers(1, 200),
)
def test_a_csv_file_is_cut_between_its_rows_whatever_they_quote(rows, size, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], *rows])
    found = []
    for part in parts(path, size):
        found += csv.reader(io.StringIO(part.decode("utf-8"), newline=""))
    assert found == [["id", "text"], *rows]


@settings(max_examples=60)
@given(lines=st.lists(st.text("ab é", max_size=9), max_size=40), size=st.integers(1, 99))
@pytest.mark.parametrize("suffix", [".txt", ".conll"])
def test_lines_are_cut_at_their_ends_and_sentences_at_blank_lines(
    lines, size, suffix, tmp_path_factory
):
    path = tmp_path_factory.mktemp("lines") / f"a{suffix}"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = parts(path, size)
    assert b"".join(found) == path.read_bytes()
    for part in found[:-1]:
        assert part.endswith(b"\n")
        assert suffix == ".txt" or not part.splitlines()[-1].strip()


@pytest.fixture
def inputs(tmp_path):
    """A folder with a file of each format, 20 rows each, one of them bad where that can be."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    rows = [{"id": number, "text": TEXTS[number % 5], "more": [1]} for number in range(20)]
    lines = [json.dumps(row) for row in rows]
    lines[7] = '{"id": 7, "text": 7}'
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(folder / "b.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(text.replace("\n", " ") for text in TEXTS * 4))
    with (folder / "sub" / "c.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], *([row["id"], row["text"]] for row in rows)])
    with (folder / "sub" / "c.csv").open("ab") as stream:
        stream.write(b"20,\xff\r\n21\r\n")
    table = pa.table({"text": [*TEXTS[:4], None] * 4, "id": list(range(20))})
    parquet.write_table(table, folder / "d.parquet", row_group_size=6)
    (folder / "e.conll").write_text("Ann O\nLee O\n\nBo O\n\n" * 10, encoding="utf-8")
    (folder / "_hidden.jsonl").write_text("no", encoding="utf-8")
    return folder


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def tagged(folder, name):
    """All rows that were written for an input, in order."""
    from pyarrow import parquet

    paths = sorted(folder.glob(f"{name}.*"))
    if name.endswith(".parquet"):
        return [row for path in paths for row in parquet.read_table(path).to_pylist()]
    return [
        json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()
    ]


def test_every_row_of_every_format_is_tagged_once_and_keeps_its_columns(
    cli, checkpoint, inputs, tmp_path
):
    out = tmp_path / "out"
    done = cli("tag", inputs, "-m", checkpoint, "--out", out, "--shard-mb", 0.001, "--threads", 1)
    assert (done.code, "102 rows, 7 bad" in done.err) == (1, True), done.err
    tagger = Tagger.load(checkpoint, threads=1)
    expected = [[asdict(one) for one in found] for found in tagger.tag(TEXTS)]
    assert any(expected)

    def entities(number):
        return [{**one, "score": round(one["score"], 4)} for one in expected[number % 5]]

    rows = tagged(out, "a.jsonl")
    assert [row["id"] for row in rows] == list(range(20))
    assert rows[7]["error"].endswith("field 'text': expected a string, found a number")
    assert all(rows[i]["entities"] == entities(i) and rows[i]["more"] == [1] for i in (0, 4, 19))
    rows = tagged(out, "sub/c.csv")
    assert [row.get("id") for row in rows] == [*map(str, range(21)), None]
    assert rows[3] == {"id": "3", "text": TEXTS[3], "entities": entities(3)}
    assert ("not UTF-8" in rows[20]["error"], "2 of the first" in rows[21]["error"]) == (True, True)
    rows = tagged(out, "d.parquet")
    assert [(row["id"], row["error"]) for row in rows] == [
        (i, "no text" if i % 5 == 4 else None) for i in range(20)
    ]
    assert rows[5]["entities"] == expected[0]
    assert rows[4]["entities"] is None
    assert len(tagged(out, "b.txt.gz")) == 20
    conll = "".join(path.read_text(encoding="utf-8") for path in sorted(out.glob("e.conll.*")))
    assert conll.split().count("Bo") == 10
    assert not (out / "_hidden.jsonl.00000.jsonl").exists()


def test_a_second_run_does_what_is_missing_and_refuses_another_plan(
    cli, checkpoint, inputs, tmp_path
):
    out = tmp_path / "out"
    command = ["tag", inputs, "-m", checkpoint, "--out", out, "--shard-mb", 0.001, "--threads", 1]
    cli(*command)
    whole = tree(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    (out / "a.jsonl.00000.jsonl").unlink()
    shards = json.loads(whole["_done.json"])["shards"]
    assert f"{shards - 1} of them from before" in cli(*command).err
    assert tree(out) == whole
    rewritten = {path.name for path, before in times.items() if path.stat().st_mtime_ns != before}
    assert rewritten == {"a.jsonl.00000.jsonl", "_done.json"}
    done = cli(*command, "--field", "body")
    assert (done.code, "other job" in done.err) == (1, True)
    (inputs / "more.txt").write_text("x", encoding="utf-8")
    done = cli(*command)
    assert (done.code, "other inputs" in done.err) == (1, True)
    assert tree(out) == whole


def test_a_worker_that_dies_is_replaced_and_one_shard_that_kills_all_costs_itself_alone(
    checkpoint, inputs, tmp_path, monkeypatch
):
    plain, out = tmp_path / "plain", tmp_path / "out"
    bulk.run([str(inputs)], str(plain), BulkJob(str(checkpoint)), shard_bytes=1000)
    monkeypatch.setattr(bulk, "_work", dying_worker)
    progress = bulk.run(
        [str(inputs)], str(out), BulkJob(str(checkpoint)), shard_bytes=1000, workers=2
    )
    (failure,) = progress.failures
    assert "a.jsonl: its worker died 3 times (exit code -9)" in failure
    missing = {"a.jsonl.00000.jsonl", "_done.json"}
    assert tree(out) == {name: body for name, body in tree(plain).items() if name not in missing}


def dying_worker(job, pipe):
    """Dies of one shard always, and of its own second one."""
    tagger = ShardTagger(job)
    for _ in range(2):
        shard = pipe.recv()
        if shard.out.endswith("a.jsonl.00000.jsonl"):
            break
        pipe.send(tagger(shard))
    else:
        pipe.recv()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_goes_on_and_ends_with_the_same_files(checkpoint, inputs, tmp_path):
    plain, out = tmp_path / "plain", tmp_path / "out"
    job = BulkJob(str(checkpoint))
    bulk.run([str(inputs)], str(plain), job, shard_bytes=1000)
    command = ["tag", str(inputs), "-m", str(checkpoint), "--out", str(out), "--shard-mb", "0.001"]
    running = subprocess.Popen(
        [sys.executable, "-m", "tagbelt", *command, "--threads", "2"], start_new_session=True
    )
    while running.poll() is None and not any(out.glob("[a-z]*")):
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    for rest in out.rglob(".*"):
        rest.unlink()
    bulk.run([str(inputs)], str(out), job, shard_bytes=1000)
    assert tree(out) == tree(plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no file there"),
        (["."], "the suffix tells no format"),
        ([], "--out: say files"),
        (["x.txt", "sub/x.txt"], "two inputs of one name, x.txt"),
        (["x.txt", "--address", "auto"], "--address: needs --engine ray"),
        (["x.txt", "--to", "conll"], "--to and --whole"),
        (["x.txt", "--columns", "tag"], "name one of them 'token'"),
        (["x.csv", "--field", "body"], "no column 'body'; there are id, text; say --field"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(
    cli, checkpoint, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("x.txt", "sub/x.txt", "y.exe"):
        (tmp_path / name).write_text("Ann", encoding="utf-8")
    (tmp_path / "x.csv").write_text("id,text\n1,Ann\n", encoding="utf-8")
    done = cli("tag", *arguments, "-m", checkpoint, "--out", "out", "--threads", 1)
    assert (done.code, message in done.err) == (1, True), done.err


def test_output_among_input_and_over_other_files_is_refused(cli, checkpoint, tmp_path):
    (tmp_path / "x.txt").write_text("Ann", encoding="utf-8")
    inside = cli("tag", tmp_path, "-m", checkpoint, "--out", tmp_path)
    assert "where the output goes" in inside.err
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "thesis.md").write_text("years", encoding="utf-8")
    over = cli("tag", tmp_path / "x.txt", "-m", checkpoint, "--out", tmp_path / "sub")
    assert "has files already, which are no run's" in over.err
    done = cli("tag", tmp_path / "x.txt", "-m", checkpoint, "--from", "csv")
    assert "need --out" in done.err


def test_a_file_that_cannot_be_written_is_the_failure_of_its_shard(checkpoint, tmp_path):
    (tmp_path / "x.txt").write_text("Ann", encoding="utf-8")
    shard = replace(cuts(tmp_path / "x.txt", 100)[0], out=str(tmp_path / "x.txt" / "out.jsonl"))
    outcome = ShardTagger(BulkJob(str(checkpoint)))(shard)
    assert outcome.failure.startswith(f"{tmp_path / 'x.txt'}, from 0: ")
    assert (outcome.out, outcome.rows) == (shard.out, 0)


def test_options_of_an_address_stay_at_its_end_and_what_is_not_there_has_no_files():
    assert joined("s3://b/x?y=1", "a") == "s3://b/x/a?y=1"
    assert LocalStorage().files("/nowhere/at/all") == []


@pytest.fixture(scope="module")
def bucket():
    """An empty bucket of a local S3."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"s3://data/{{}}?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    try:
        yield address, f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore")
def test_object_storage_in_and_out(checkpoint, inputs, tmp_path, bucket, monkeypatch):
    from boto3 import client

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    address, endpoint = bucket
    s3 = client("s3", endpoint_url=endpoint, region_name="us-east-1")
    s3.create_bucket(Bucket="data")
    for name, body in tree(inputs).items():
        s3.put_object(Bucket="data", Key=f"in/{name}", Body=body)
    plain, job = tmp_path / "plain", BulkJob(str(checkpoint))
    bulk.run([str(inputs)], str(plain), job, shard_bytes=1000)
    for _ in range(2):  # the second finds all there
        progress = bulk.run([address.format("in")], address.format("out"), job, shard_bytes=1000)
    assert (progress.before, progress.failures) == (progress.total, ())
    listed = s3.list_objects_v2(Bucket="data", Prefix="out/")["Contents"]
    assert {one["Key"].removeprefix("out/") for one in listed} == set(tree(plain))
    row = s3.get_object(Bucket="data", Key="out/d.parquet.00001.parquet")["Body"].read()
    assert row == (plain / "d.parquet.00001.parquet").read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_on_ray_the_files_are_the_same_also_after_an_actor_was_killed(
    checkpoint, inputs, tmp_path, monkeypatch
):
    ray = pytest.importorskip("ray")
    from tagbelt.bulk import on_ray

    plain, out, mark = tmp_path / "plain", tmp_path / "out", tmp_path / "killed"
    job = BulkJob(str(checkpoint))
    bulk.run([str(inputs)], str(plain), job, shard_bytes=1000)

    class Dying(on_ray._Actor):
        def __call__(self, row):
            if not mark.exists():
                mark.write_text("", encoding="utf-8")
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(row)

    monkeypatch.setattr(on_ray, "_Actor", Dying)
    try:
        progress = bulk.run([str(inputs)], str(out), job, shard_bytes=1000, engine="ray", workers=1)
    finally:
        ray.shutdown()
    assert mark.exists()
    assert progress.failures == ()
    assert tree(out) == tree(plain)


def test_without_ray_it_is_said_how_to_get_it(cli, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "x.txt").write_text("Ann", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["tag", tmp_path / "x.txt", "-m", checkpoint, "--out", tmp_path / "o"]
    done = cli(*command, "--engine", "ray")
    assert (done.code, "tagbelt[ray]" in done.err) == (1, True), done.err


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused_by_name(content, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: no Parquet file, or damaged: "):
        cuts(tmp_path / "a.parquet", 100)

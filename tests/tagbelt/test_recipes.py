"""The recipes of docs/scale.md, run as they stand there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
TEXTS = ["Ann Lee met Bo in Port Anwick.", None, ""]


@pytest.fixture
def recipes(checkpoint, monkeypatch):
    """The functions of the page, for which "en" is the checkpoint of the tests."""
    from tagbelt import Tagger

    load = Tagger.load
    monkeypatch.setattr(Tagger, "load", lambda _name, **options: load(checkpoint, **options))
    found: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, found)
    return found


def expected(checkpoint):
    from tagbelt import Tagger

    tagged = Tagger.load(checkpoint, threads=1).tag([text or "" for text in TEXTS])
    assert any(tagged)
    return [([one.text for one in found], [one.label for one in found]) for found in tagged]


def test_the_frames_of_spark(recipes, checkpoint):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": [1, 2, 3], "text": TEXTS})
    (tagged,) = recipes["tag_frames"](iter([frame]))
    assert list(zip(tagged["names"], tagged["labels"], strict=True)) == expected(checkpoint)
    assert list(tagged["id"]) == [1, 2, 3]


def test_spark(recipes):
    sql = pytest.importorskip("pyspark.sql")
    spark = sql.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        rows = [(number, text) for number, text in enumerate(["Angela Merkel is here.", None])]
        table = spark.createDataFrame(rows, "id long, text string").coalesce(1)
        first, second = recipes["tag_spark"](table).sort("id").collect()  # by the bundled model
    finally:
        spark.stop()
    assert (first["id"], first["names"], first["labels"]) == (0, ["Angela Merkel"], ["PER"])
    assert (second["text"], second["names"]) == (None, [])


def test_polars(recipes, checkpoint):
    polars = pytest.importorskip("polars")
    tagged = recipes["tag_polars"](polars.DataFrame({"id": [1, 2, 3], "text": TEXTS}))
    found = zip(tagged["names"].to_list(), tagged["labels"].to_list(), strict=True)
    assert list(found) == expected(checkpoint)
    assert tagged["id"].to_list() == [1, 2, 3]


def test_the_job_of_kuberay_is_a_bulk_run_with_an_actor_for_each_core():
    job = yaml.safe_load((ROOT / "deploy/kubernetes/bulk.yaml").read_text(encoding="utf-8"))
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["tagbelt", "tag"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert (options["--engine"], options["--address"]) == ("ray", "auto")
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    cores = workers["replicas"] * int(workers["rayStartParams"]["num-cpus"])
    assert int(options["--threads"]) == cores

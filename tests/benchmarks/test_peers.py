import ast
import importlib.util
import re
import sys

import pytest

from benchmarks.common.environments import names
from benchmarks.common.peer_process import PEERS
from benchmarks.speed.systems import Systems

PROGRAMS = sorted(PEERS.glob("*.py"))
LIBRARY = {"protocol.py", "jobs.py", "crfsuite_features.py"}


def load(name, monkeypatch):
    """A module of the peers, found as a peer's own Python finds it."""
    monkeypatch.syspath_prepend(str(PEERS))
    spec = importlib.util.spec_from_file_location(name, PEERS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "protocol", raising=False)
    return module


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_compiles(path):
    compile(path.read_text(encoding="utf-8"), path.name, "exec")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_only_our_own_children_import_our_packages(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name.split(".")[0] in ("tagbelt", "benchmarks")}
    assert bool(ours) == path.name.startswith("tagbelt_")


def test_every_system_names_a_program_and_an_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(Systems, "gold_iob2", tmp_path)
    monkeypatch.setattr(Systems, "gold_bioes", tmp_path)
    monkeypatch.setattr(Systems, "_vocabulary", tmp_path)
    made = Systems(tmp_path, None)
    systems = [
        made.tagbelt(),
        made.spacy_small(),
        made.spacy_trained(),
        made.crfsuite(),
        made.flair(),
        made.tutorial(),
        made.bilstmcrf(),
    ]
    assert {system.environment for system in systems} == {"tagbelt", *names()}
    others = {"tagbelt_training.py", "chinese_taggers.py"}  # of training, of accuracy
    used = {system.program for system in systems} | others
    assert used == {path.name for path in PROGRAMS} - LIBRARY


@pytest.mark.parametrize("name", names())
def test_requirements_are_exact(name):
    lines = (PEERS / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)


WORDS = ["Rome", "BEAT", "u.s", "12", "x"]


def test_both_forms_of_features_say_the_same(monkeypatch):
    features = load("crfsuite_features", monkeypatch)

    def flat(row):
        """A dict's features as CRFsuite names them; false ones count nothing."""
        found = (
            f"{key}:{value}" if isinstance(value, str) else key
            for key, value in row.items()
            if value
        )
        return sorted(found)

    for words in (WORDS, WORDS[:1], WORDS[:2]):
        dicts = [flat(row) for row in features.sentence_features(words)]
        assert [sorted(row) for row in features.lean_features(words)] == dicts


def test_jobs_keep_the_fastest_batch_and_count_results(tmp_path, monkeypatch):
    jobs = load("jobs", monkeypatch)
    path = tmp_path / "items.json"
    path.write_text('[["a", "b"], ["c"]]', encoding="utf-8")
    clock = iter(range(1000))
    pace = {1: 5, 2: 1}

    def tags(sentences, batch):
        for _ in range(pace[batch] - 1):
            next(clock)
        return [["O"] * len(words) for words in sentences]

    monkeypatch.setattr(jobs.time, "perf_counter", lambda: next(clock))
    made = jobs.Jobs(tags, None, (1, 2))
    assert made.read("tokens", str(path)) == 2
    assert made.warm("tokens") == {"first": 5, "batch": 2, "tried": {1: 5, 2: 1}}
    assert made.run("tokens", least=3, batch=2) == 1
    assert made.latency("tokens", 3, 1) == [1e6] * 3
    assert made.output("tokens") == [["O", "O"], ["O"]]
    assert made.warm("tokens", batch=1)["batch"] == 1


def test_results_that_are_missing_are_an_error(tmp_path, monkeypatch):
    jobs = load("jobs", monkeypatch)
    path = tmp_path / "items.json"
    path.write_text('[["a"], ["c"]]', encoding="utf-8")
    made = jobs.Jobs(lambda sentences, _: sentences[:1], None)
    made.read("tokens", str(path))
    with pytest.raises(ValueError, match="1 results for 2 items"):
        made.warm("tokens")
    made.read("texts", str(path))
    with pytest.raises(ValueError, match="does not do texts"):
        made.warm("texts")

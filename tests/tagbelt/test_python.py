"""The names of `tagbelt`, and the programs of docs/python.md and the example notebook."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tagbelt
from tagbelt.errors import MissingPackageError

ROOT = Path(__file__).parents[2]
DOCS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text("utf-8"), re.DOTALL)
NAMES = {
    "Annotation": type,
    "AsyncClient": type,
    "Client": type,
    "Entity": type,
    "Scheme": type,
    "TagbeltError": type,
    "Tagger": type,
    "__version__": str,
    "evaluate": type(inspect.signature),
    "load_config": type(inspect.signature),
    "read_conll": type(inspect.signature),
    "train": type(inspect.signature),
}


def run(program, cwd=ROOT, **options):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_is_listed_and_can_be_had():
    assert sorted(tagbelt.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(tagbelt))
    for name, kind in NAMES.items():
        assert isinstance(getattr(tagbelt, name), kind), name
    with pytest.raises(AttributeError, match="module 'tagbelt' has no attribute 'trian'"):
        tagbelt.trian  # noqa: B018


def test_the_docs_tell_of_every_name():
    table = (ROOT / "docs/python.md").read_text("utf-8").partition("## Tag")[0]
    assert {name for name in NAMES if f"`{name}`" in table} == set(NAMES)


def test_an_import_loads_nothing_else():
    loaded = run("import sys, tagbelt; print(*sys.modules)").split()
    assert {name for name in loaded if name.startswith("tagbelt")} == {"tagbelt", "tagbelt.errors"}
    assert not {"numpy", "pydantic", "typer", "onnxruntime"} & set(loaded)


BARE = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "torchcrf", "seqeval", "scipy", "httpx"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from tagbelt import *
import tagbelt
from pathlib import Path

for name in tagbelt.__all__:
    getattr(tagbelt, name)
config = load_config("configs/example.toml", ["training.epochs=1"])
for use in (
    lambda: train(config, "runs/none"),
    lambda: evaluate("checkpoints/en", "examples/test.conll"),
    lambda: Client(),
    lambda: AsyncClient(),
):
    try:
        use()
    except ImportError as error:
        print(type(error).__name__, error, sep=": ")
"""


def test_a_serving_install_imports_every_name_and_is_told_what_to_install_to_use_it():
    train = r"MissingPackageError: .*run `make setup`, or pip install 'tagbelt\[train\]'"
    client = r"MissingPackageError: .*pip install 'tagbelt\[client\]'"
    found = run(BARE).splitlines()
    for line, expected in zip(found, [train, train, client, client], strict=True):
        assert re.fullmatch(expected, line)
    assert issubclass(MissingPackageError, ImportError)


@pytest.fixture
def beside(tmp_path):
    """A folder that sees the examples, configs and models, where runs can be written."""
    for name in ("examples", "configs", "checkpoints"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("program", DOCS, ids=[block.split("\n")[0] for block in DOCS])
def test_the_programs_of_the_docs_run(program, beside):
    assert run(program, beside)


def test_the_example_notebook_trains_tags_and_evaluates():
    notebook = json.loads((ROOT / "examples/training.ipynb").read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    sources = ["".join(cell["source"]) for cell in cells]
    shown = "print(found._repr_html_())"
    program = f"cells = {sources!r}\nspace = {{}}\nfor cell in cells:\n    exec(cell, space)\n"
    out = run(f"{program}exec({shown!r}, space)", ROOT / "examples")
    assert "IOB2 40 sentences" in out
    assert re.search(r"epoch 12: loss \d+\.\d\d, F1 on dev 0\.\d\d", out)
    assert out.count("'support'") == 2
    assert out.count("<mark ") > 2


GOLD = ROOT / "examples" / "test.conll"


def test_gold_may_be_a_file_a_corpus_or_any_iterable_of_sentences(checkpoint):
    corpus = tagbelt.read_conll(GOLD)
    by_file = tagbelt.evaluate(checkpoint, GOLD)
    assert by_file["strict"]["micro"]["support"] > 0
    for gold in (corpus, corpus.sentences, iter(corpus.sentences)):
        assert tagbelt.evaluate(checkpoint, gold) == by_file


def test_arguments_of_another_kind_are_named_with_what_to_pass(checkpoint, tmp_path):
    with pytest.raises(TypeError, match=r"gold\[1\] is no Sentence but str: read_conll"):
        tagbelt.evaluate(checkpoint, [*tagbelt.read_conll(GOLD).sentences[:1], "Ana lives"])
    with pytest.raises(TypeError, match=r"config is a str: load_config"):
        tagbelt.train("configs/example.toml", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=r"scheme='iob2': say one of IO, IOB1"):
        tagbelt.read_conll(GOLD, scheme="iob2")

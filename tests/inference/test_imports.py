"""Serving needs no torch: proven in a fresh interpreter in which torch cannot be imported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "torchcrf"}:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("._kernels"):  # a plain library, not for Python to import
            importlib.import_module(module.name)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"torch", "onnx", "torchcrf"}, loaded
print(len(loaded))
"""


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_every_module_that_serves_imports_without_torch():
    done = run(PROGRAM, "tagbelt.data", "tagbelt.inference", "tagbelt.service")
    assert done.returncode == 0, done.stderr


def test_the_tagger_alone_waits_with_onnx_runtime():
    done = run("import tagbelt.inference, sys; print('onnxruntime' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr

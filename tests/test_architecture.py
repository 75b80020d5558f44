"""The import law: who may use whom. Read from the source, lazy imports included."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "data": set(),
    "model": {"data"},
    "inference": {"data"},
    "training": {"data", "model", "inference"},
    "service": {"data", "inference"},
    "tagbelt": {"data", "model", "inference", "training", "service"},
}
TORCH = {"torch", "torchcrf", "onnx"}
WITHOUT_TORCH = ["data", "inference", "service"]


def imports(source):
    """Top-level names that a file imports anywhere, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package.
            if node.level == 0:
                yield node.module.partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value).partition(".")[0], node.lineno


def breaches(package, forbidden):
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, line in imports(path.read_text(encoding="utf-8"))
        if name in forbidden
    ]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package):
    assert list((ROOT / package).glob("*.py")), f"{package} has no modules"
    assert breaches(package, MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}) == []


@pytest.mark.parametrize("package", WITHOUT_TORCH)
def test_what_serves_does_not_name_torch(package):
    assert breaches(package, TORCH) == []


def test_imports_are_seen_wherever_they_stand():
    source = (
        "import a.b, c\n"
        "def f():\n"
        "    from d.e import g\n"
        "    from . import h\n"
        "    importlib.import_module('i.j')\n"
    )
    assert list(imports(source)) == [("a", 1), ("c", 1), ("d", 3), ("i", 5)]

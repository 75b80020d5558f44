"""The import law: who may use whom, and no circles. Read from the source, lazy imports too."""

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
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
# Between the rooms of `service`: what each may use besides the plain modules at its top.
ROOMS = {
    "api": {"engine", "models"},
    "engine": {"models"},
    "models": {"api"},
    "access": {"api"},
    "telemetry": {"engine", "models"},
    "adapters": {"api", "engine", "models"},
    "process": {"access", "api", "engine", "models", "telemetry"},
}
WIRING = {"app", "process"}
TORCH = {"torch", "torchcrf", "onnx"}
WITHOUT_TORCH = ["data", "inference", "service"]


def room_of(name):
    """The room that a dotted name lies in, or the library that it belongs to."""
    if name == "tagbelt.errors":  # all may use it
        return name
    first, _, rest = name.partition(".")
    inner = rest.partition(".")[0]
    return inner if first == "tagbelt" and inner in MAY_IMPORT else first


def imports(source):
    """Rooms and libraries that a file imports anywhere, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield room_of(alias.name), node.lineno
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package.
            if node.level == 0:
                yield room_of(node.module), node.lineno
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant):
                    yield room_of(str(argument.value)), node.lineno


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


def rooms_used(path):
    """The rooms and modules of `service` that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            first, second, *rest = [*node.module.split("."), ""]
            if (first, second) == ("tagbelt", "service"):
                yield from [name for name in rest[:1] if name] or [a.name for a in node.names]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_service_uses_only_the_rooms_it_may(room):
    files = sorted((ROOT / "service" / room).rglob("*.py"))
    assert files
    own_wiring = WIRING if room == "process" else set()
    forbidden = (ROOMS.keys() | WIRING) - ROOMS[room] - {room} - own_wiring
    assert [(str(f), used) for f in files for used in rooms_used(f) if used in forbidden] == []


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


# Circles between files. An edge is an import of a file that runs, at its top or in a function: a
# lazy import makes a file need another no less, it only hides it from Python. What stands under
# `if TYPE_CHECKING` never runs and is no edge: a type may be named both ways. Nor is
# `import_module`, by which the public face loads what is asked for. Of packages, only the
# `__init__.py` from which a name is taken counts, not those that Python runs on the way down.
def modules():
    """The names of all modules of the code base, with their files."""
    found = {}
    for room in MAY_IMPORT:
        for path in (ROOT / room).rglob("*.py"):
            inner = path.relative_to(ROOT / room)
            if room == "tagbelt" and inner.parts[0] in MAY_IMPORT:
                continue  # a link to another room
            parts = [*([] if room == "tagbelt" else [room]), *inner.with_suffix("").parts]
            found[".".join(["tagbelt", *parts]).removesuffix(".__init__")] = path
    return found


def running(tree):
    """All nodes but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from [other, *running(other)]
        else:
            yield node
            yield from running(node)


def modules_imported(source, known):
    """The modules among `known` that a file imports, by absolute names, when it runs."""
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from [name for name in (inner, node.module) if name in known][:1]


def circle(graph):
    """The modules of one circle, in order; None where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_no_file_imports_itself_by_way_of_others():
    known = modules()
    graph = {
        name: set(modules_imported(path.read_text(encoding="utf-8"), known)) - {name}
        for name, path in known.items()
    }
    assert sum(map(len, graph.values())) > len(known)  # it did find the imports
    found = circle(graph)
    assert found is None, " -> ".join(found)


def test_a_circle_is_seen_through_lazy_imports_but_not_through_types():
    known = {"a", "a.b", "a.c"}
    lazy = "def f():\n    from a.c import d\n"
    typed = "if TYPE_CHECKING:\n    from a import b\nelse:\n    import a\n"
    package = "from a import b, name\n"
    assert list(modules_imported(lazy, known)) == ["a.c"]
    assert list(modules_imported(typed, known)) == ["a"]
    assert list(modules_imported(package, known)) == ["a.b", "a"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_no_public_class_has_the_name_of_another():
    places = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def top_level_names(source):
    """The first parts of all absolute imports, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0], node.lineno


def test_rooms_are_imported_by_one_name_only():
    rooms = MAY_IMPORT.keys() - {"tagbelt"}
    folders = [*MAY_IMPORT, "tests", "benchmarks", "examples", "deploy"]
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    files = [path for path in found if ".venvs" not in path.parts]  # the peers' environments
    assert [
        f"{path.relative_to(ROOT)}:{line} imports {name} without tagbelt"
        for path in files
        for name, line in top_level_names(path.read_text(encoding="utf-8"))
        if name in rooms
    ] == []


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
twice = {"data", "model", "inference", "training", "service"}
print(sorted(name for name in sys.modules if name.partition(".")[0] in twice))
"""


def test_no_module_that_serves_is_loaded_by_a_second_name():
    serving = [name for name in modules() if room_of(name) in WITHOUT_TORCH]
    assert len(serving) > 50
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *serving],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr

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
# Between the rooms of `service`: what each may use besides the plain modules at its top.
ROOMS = {
    "engine": {"models"},
    "models": set(),
    "access": set(),
    "telemetry": {"engine", "models"},
    "adapters": {"engine", "models"},
    "process": {"access", "api", "engine", "models", "telemetry"},
}
WIRING = {"app", "process"}
TORCH = {"torch", "torchcrf", "onnx"}
WITHOUT_TORCH = ["data", "inference", "service"]


def room_of(name):
    """The room that a dotted name lies in, or the library that it belongs to."""
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

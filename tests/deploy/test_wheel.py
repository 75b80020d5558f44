"""What is installed: one package, whole, that a user's own files cannot get in the way of."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("data", "model", "inference", "training", "service")
CHECKPOINT = ROOT / "checkpoints" / "en"
CLASHES = (
    *("data.py", "inference.py", "training.py", "conll.py", "errors.py"),
    *("model/__init__.py", "service/__init__.py", "commands/__init__.py"),
)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build an sdist or a wheel of a tree, as pip does: `build("wheel", tree)` returns the file."""
    home = tmp_path_factory.mktemp("build")
    venv.create(home, with_pip=False)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    if pip(home, *needed).returncode:
        pytest.skip("no package index to take setuptools from")

    def run(kind, tree):
        out = tmp_path_factory.mktemp(kind)
        program = f"import sys; from setuptools import build_meta as b; b.build_{kind}(sys.argv[1])"
        command = [home / "bin" / "python", "-c", program, out]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        [built] = out.iterdir()
        return built

    return run


def pip(home, *arguments):
    command = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "-q"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The files of the repository alone, without what was built among them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    copy = tmp_path_factory.mktemp("tree")
    wanted = (*(f"{room}/" for room in ROOMS), "tagbelt", "pyproject", "setup.py", "README", "LIC")
    for name in listed.stdout.splitlines():
        if name.startswith(wanted) and (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    return copy


@pytest.fixture(scope="module")
def wheel(tree, build):
    return build("wheel", tree)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The programs of an environment that holds the wheel and what it depends on, no source."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    [site] = home.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    done = pip(home, "--no-deps", "--no-index", "--ignore-installed", wheel)
    assert done.returncode == 0, done.stderr
    return home / "bin"


@pytest.fixture
def clashing(tmp_path, monkeypatch):
    """A folder of files that are called like ours and end whatever imports them."""
    for name in list(os.environ):
        if name.startswith(("PYTHON", "TAGBELT_")):
            monkeypatch.delenv(name)
    for name in CLASHES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"raise SystemExit('{name} was imported')", encoding="utf-8")
    return tmp_path


def ran(command, cwd):
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_one_package_and_all_of_it(wheel, tree):
    assert "-cp311-abi3-" in wheel.name  # one for every Python from 3.11 on
    names = contents(wheel)
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tagbelt"}
    sources = {
        path.relative_to(tree).as_posix()
        for pattern in (
            "**/*.py",
            "service/page/*",
            "service/inside/*/*",
            "**/catalogue.toml",
            "**/py.typed",
        )
        for path in tree.glob(pattern)
        if path.relative_to(tree).parts[0] != "build"
    } - {"setup.py"}
    expected = {name if name.startswith("tagbelt") else f"tagbelt/{name}" for name in sources}
    assert expected <= names
    if shutil.which("cc"):
        for room in ("inference", "model"):
            assert [name for name in names if name.startswith(f"tagbelt/{room}/native/_kernels.")]


def test_an_sdist_builds_the_same_wheel(wheel, tree, build, tmp_path):
    with tarfile.open(build("sdist", tree)) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    assert contents(build("wheel", unpacked)) == contents(wheel)


TAG = """
import sys
from pathlib import Path
from tagbelt import Tagger

[found] = Tagger.load(sys.argv[1], threads=1).tag(["Angela Merkel visited Nagoya."])
home = Path(sys.prefix).resolve()
ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "tagbelt"]
assert all(home in Path(module.__file__).parents for module in ours), ours
print(*(entity.text for entity in found), sep=", ")
"""


def test_a_script_among_clashing_files_tags(installed, clashing):
    (clashing / "script.py").write_text(TAG, encoding="utf-8")
    command = [installed / "python", clashing / "script.py", CHECKPOINT]
    assert ran(command, clashing) == "Angela Merkel, Nagoya\n"


ALL = """
import importlib, pkgutil, sys
import tagbelt

for module in pkgutil.walk_packages(tagbelt.__path__, "tagbelt."):
    if not module.name.endswith(("__main__", "_kernels")) and ".integrations." not in module.name:
        importlib.import_module(module.name)
print(*sorted(name for name in sys.modules if "." not in name and name != "tagbelt"))
files = [m.__file__ for n, m in sys.modules.items() if n.startswith("tagbelt")]
assert len(files) == len(set(files)) > 150, len(files)
"""


def test_nothing_is_imported_under_two_names(installed, clashing):
    pytest.importorskip("torch", reason="training is not installed")
    loaded = ran([installed / "python", "-c", ALL], clashing).split()
    clashes = {Path(name).parts[0].removesuffix(".py") for name in CLASHES}
    assert clashes.isdisjoint(loaded)


def test_the_command_starts_among_clashing_files(installed, clashing):
    assert "Named-entity recognition" in ran([installed / "tagbelt", "--help"], clashing)


def test_the_server_answers_among_clashing_files(installed, clashing):
    command = [installed / "tagbelt", "serve", CHECKPOINT, "--port", "0", "--threads", "1"]
    with subprocess.Popen(
        [*map(str, command)], cwd=clashing, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = iter(process.stderr.readline, "")
            page = next(line for line in lines if "The page:" in line).split()[2]
            with urllib.request.urlopen(page, timeout=30) as reply:
                assert b"<title " in reply.read()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM)

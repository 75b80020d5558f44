"""Finding the compiled kernels."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagbelt.inference import native

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh(monkeypatch):
    """`library` as if it had not been asked yet."""
    monkeypatch.setattr(native, "library", native.library.__wrapped__)
    return native


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
def test_where_there_is_a_compiler_the_kernels_were_built(fresh, monkeypatch):
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert fresh.library() is not None, "run `make setup` again"


@pytest.mark.parametrize("content", [b"no library", b""])
def test_a_library_that_does_not_load_is_told_of_and_not_used(
    fresh, monkeypatch, tmp_path, content
):
    (tmp_path / "_kernels.abi3.so").write_bytes(content)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.delenv(native.SWITCH, raising=False)
    with pytest.warns(UserWarning, match="does not fit: install Tagbelt again"):
        assert fresh.library() is None


def test_kernels_of_another_interface_are_told_of_and_not_used(fresh, monkeypatch):
    monkeypatch.delenv(native.SWITCH, raising=False)
    if fresh.library() is None:
        pytest.skip("the kernels are not built here")
    monkeypatch.setattr(native, "INTERFACE", -1)
    with pytest.warns(UserWarning, match="does not fit"):
        assert fresh.library() is None


def test_without_a_compiler_tagbelt_installs_all_the_same(tmp_path):
    pytest.importorskip("setuptools")
    copy = tmp_path / "copy"
    for room in ("inference", "model"):
        without = shutil.ignore_patterns("*.so")
        shutil.copytree(ROOT / room / "native", copy / "tagbelt" / room / "native", ignore=without)
    shutil.copy(ROOT / "setup.py", copy)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=copy,
        env={"CC": "/bin/false", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "_kernels" in done.stdout + done.stderr  # it was tried
    assert not list(copy.rglob("*.so"))

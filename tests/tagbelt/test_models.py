"""Models by name, and on their way: wheels, addresses, folders, a hub."""

import base64
import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from zipfile import ZipFile

import pytest

from tagbelt.data.checkpoint.finding import find_checkpoint, models_folder
from tagbelt.errors import ModelNotFoundError
from tagbelt.inference import Tagger

TEXT = "Angela Merkel met Toyota in Nagoya."


@contextmanager
def served(handler):
    ThreadingHTTPServer.daemon_threads = True
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_name_is_looked_for_in_the_folders_of_the_variable_then_in_the_source_tree(
    checkpoint, tmp_path, monkeypatch
):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (first / "own").symlink_to(checkpoint)
    (second / "own").symlink_to(tmp_path)
    (second / "en").symlink_to(checkpoint)
    (first / "no-model").mkdir()
    bundled = find_checkpoint("en").resolve()
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("en").samefile(bundled)
    monkeypatch.setenv("TAGBELT_MODELS", f"{first}:{second}")
    assert find_checkpoint("own") == first / "own"
    assert find_checkpoint("en") == second / "en"
    assert models_folder() == first
    with pytest.raises(ModelNotFoundError, match=r"nix: .* no model of this name: en, own, zh$"):
        find_checkpoint("nix")


def test_a_path_that_exists_comes_before_any_name_and_a_run_means_its_checkpoint(
    checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en").symlink_to(checkpoint.parent)
    assert find_checkpoint("en").resolve() == checkpoint
    assert Tagger.load("en").info.name == Tagger.load(checkpoint).info.name


def test_commands_take_a_name_and_list_the_models_there_are(cli, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "mine").symlink_to(checkpoint)
    monkeypatch.setenv("TAGBELT_MODELS", str(tmp_path))
    assert cli("tag", "-m", "mine", input=b"x\n").code == 0
    done = cli("tag", "-m", "yours", input=b"x\n")
    assert (done.code, "en, mine, zh" in done.err) == (1, True)


def test_a_wheel_installs_and_its_name_loads_the_same_model_without_the_source_tree(cli, tmp_path):
    done = cli("package", "zh", "--out", tmp_path, "--version", "2.1")
    wheel = tmp_path / "tagbelt_model_zh-2.1-py3-none-any.whl"
    assert (done.code, done.out.strip()) == (0, str(wheel))
    assert ZipFile(wheel).testzip() is None
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", site, wheel], check=True)
    code = (
        "from tagbelt.data.checkpoint import finding\n"
        "finding._near_folders = list\n"
        "print(finding.find_checkpoint('zh')); print(finding.models_folder())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = site / "tagbelt_models"
    assert found.stdout.split() == [str(folder / "zh"), str(folder)]
    assert files_of(folder / "zh") == files_of(find_checkpoint("zh"))


def test_a_wheel_of_the_same_checkpoint_has_the_same_bytes(cli, checkpoint, tmp_path):
    for folder in ("a", "b"):
        assert cli("package", checkpoint, "--out", tmp_path / folder).code == 0
    (first,), (second,) = ((tmp_path / folder).iterdir() for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    done = cli("package", checkpoint, "--version", "new one")
    assert (done.code, "say --version" in done.err) == (1, True)


def test_an_address_is_pulled_whole_and_verified(cli, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handler = partial(QuietFiles, directory=str(checkpoint.parent))
    with served(handler) as address:
        done = cli("pull", f"{address}/{checkpoint.name}/", "--out", "here/mine")
        assert (done.code, done.out.strip()) == (0, "here/mine")
        assert files_of(tmp_path / "here/mine") == files_of(checkpoint)
        done = cli("pull", f"{address}/nowhere", "--out", "other")
        assert (done.code, "404" in done.err) == (1, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("line", ["0" * 64 + "  ../outside", "0" * 64 + "  /etc/x", "nonsense"])
def test_sums_that_name_files_elsewhere_are_refused(cli, tmp_path, line):
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "SHA256SUMS").write_text(line + "\n", encoding="utf-8")
    with served(partial(QuietFiles, directory=str(tmp_path))) as address:
        done = cli("pull", f"{address}/evil", "--out", tmp_path / "out")
    assert (done.code, "SHA256SUMS:1" in done.err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_damaged_checkpoint_leaves_the_old_one_and_other_folders_are_left_alone(
    cli, checkpoint, tmp_path
):
    copy, bad = tmp_path / "copy", tmp_path / "bad"
    assert cli("push", checkpoint, copy).code == 0
    assert cli("pull", copy, "--out", bad).code == 0
    (bad / "crf.safetensors").write_bytes(b"x")
    done = cli("pull", bad, "--out", copy)
    assert (done.code, "crf.safetensors: damaged" in done.err) == (1, True)
    assert files_of(copy) == files_of(checkpoint)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years", encoding="utf-8")
    done = cli("pull", copy, "--out", tmp_path / "mine")
    assert (done.code, "is no checkpoint" in done.err) == (1, True)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_a_hub_takes_a_checkpoint_and_gives_it_back(process, checkpoint, tmp_path):
    with served(Hub) as address:
        hub = {"HF_ENDPOINT": address, "HF_TOKEN": "hf_x", "HF_HOME": str(tmp_path / "home")}
        pushed = process("push", checkpoint, "me/own-model", **hub)
        assert (pushed.code, pushed.out.strip()) == (0, f"{address}/me/own-model"), pushed.err
        Hub.files["evil.pkl"] = b"x"
        out = tmp_path / "pulled"
        pulled = process("pull", "me/own-model", "--out", out, **hub)
        assert (pulled.code, pulled.out.strip()) == (0, str(out)), pulled.err
        assert files_of(out) == files_of(checkpoint)
        Hub.files["crf.safetensors"] = b"x"
        pulled = process("pull", "me/own-model", "--out", out, **hub)
        assert (pulled.code, "damaged" in pulled.err) == (1, True)
        pulled = process("pull", "me/other", "--out", tmp_path / "no", **hub)
        assert (pulled.code, pulled.err.startswith("tagbelt pull: me/other: ")) == (1, True)
        assert "Traceback" not in pulled.err
    assert files_of(out) == files_of(checkpoint)


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as one repository, me/own-model, needs."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    SHA = "a" * 40

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self._body()
        if self.path == "/api/repos/create":
            self._json({"url": "me/own-model", "name": "own-model"})
        elif self.path.startswith("/api/models/me/own-model/preupload/"):
            names = [one["path"] for one in json.loads(body)["files"]]
            modes = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
            self._json({"files": modes})
        elif self.path.startswith("/api/models/me/own-model/commit/"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[line["value"]["path"]] = content
            url = f"http://{self.headers['host']}/me/own-model/commit/{self.SHA}"
            self._json({"commitUrl": url, "commitOid": self.SHA, "success": True})
        else:
            self._json({"errors": [], "warnings": []})

    def do_GET(self):
        if re.match("/api/models/me/own-model/(revision|tree)/", self.path):
            rows = [{"rfilename": name} for name in self.files]
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": self.SHA}
                for name, body in self.files.items()
            ]
            whole = {"id": "me/own-model", "sha": self.SHA, "siblings": rows}
            self._json(tree if "/tree/" in self.path else whole)
        elif found := re.match("/me/own-model/resolve/[^/]*/(.*)", self.path):
            self._send(self.files[found[1]], "application/octet-stream")
        else:
            self._json({"error": "Repository not found"}, 404)

    do_HEAD = do_GET

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, value, status=200):
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, body, kind, status=200):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", f'"{hash(body):x}"')
        self.send_header("x-repo-commit", self.SHA)
        if status == 404:
            self.send_header("x-error-code", "RepoNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

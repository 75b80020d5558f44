"""The Dockerfile, the compose file and their helpers say what a careful reader would look for."""

import http.client
import http.server
import os
import re
import runpy
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagbelt.service.process.server import REST_SECONDS
from tagbelt.service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile, its FROM line first."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", read("Dockerfile")))
    found: dict[str, list[str]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("FROM "):
            found[line.split(" AS ")[1]] = []
        found[list(found)[-1]].append(line)
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(read("docker-compose.yml"))


@pytest.mark.parametrize("stage", ["serve", "train"])
def test_an_image_runs_as_a_user_without_rights(stages, stage):
    users = [line for line in stages[stage] if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]  # by number, so that an orchestrator can check it
    after = stages[stage][stages[stage].index(users[0]) :]
    assert not any(line.startswith("RUN ") for line in after)


def test_serve_is_the_default_and_is_made_without_the_training_dependencies(stages):
    assert list(stages)[-1] == "serve"
    sources = set(re.findall(r"--from=(\S+)", "\n".join(stages["serve"])))
    assert sources == {"dependencies", "package"}
    made = "\n".join(stages["dependencies"] + stages["package"])
    assert not re.search(r"\btrain\b|EXTRAS", made)


def test_every_install_is_pinned(stages):
    installs = [line for lines in stages.values() for line in lines if "pip" in line.split()]
    installs = [line for line in installs if " install " in line]
    assert len(installs) == 3
    assert all("-c constraints.txt" in line or "--no-deps" in line for line in installs)


def test_the_serving_image_is_checked(stages):
    (check,) = [line for line in stages["serve"] if line.startswith("HEALTHCHECK ")]
    assert check.endswith('CMD ["python", "-I", "healthcheck.py"]')


def test_every_service_is_hardened_bounded_and_its_log_rotates(compose):
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"] <= 512
        assert service["logging"]["options"]["max-size"]
        assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
        assert "profiles" in service or service["mem_limit"]


def test_images_of_others_have_a_version_and_ours_their_stage(compose):
    images = {name: service["image"] for name, service in compose["services"].items()}
    ours = {
        name: service["build"]["target"]
        for name, service in compose["services"].items()
        if "build" in service
    }
    assert ours == {"tagbelt": "serve", "train": "train", "train-gpu": "train"}
    others = [image for name, image in images.items() if name not in ours]
    assert all(re.fullmatch(r"docker\.io/[\w./-]+:v?\d[\d.]*", image) for image in others)


def test_ports_are_open_to_this_machine_only_unless_the_settings_say_so(compose):
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert published.keys() == {"proxy", "prometheus", "grafana"}
    for (port,) in published.values():
        assert port.startswith(("127.0.0.1:", "${TAGBELT_ADDRESS:-127.0.0.1}:"))


def test_the_example_of_settings_names_each_that_the_compose_file_takes():
    used = dict(
        re.findall(
            r"\$\{(\w+):-([^}]*)\}", read("docker-compose.yml") + read("deploy/compose.keys.yml")
        )
    )
    example = read(".env.example")
    shown = re.findall(r"(?m)^# (\w+)=(.*)$", example)
    assert used.keys() | {"COMPOSE_FILE"} == {name for name, _ in shown}
    for name, value in used.items():
        assert value in {other for found, other in shown if found == name} | {""}


def test_the_service_is_checked_limited_and_restarted(compose):
    service = compose["services"]["tagbelt"]
    assert service["healthcheck"]["test"] == ["CMD", "python", "-I", "healthcheck.py"]
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]


def test_the_service_is_given_the_time_that_an_orderly_end_takes(compose):
    grace = int(compose["services"]["tagbelt"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().drain_seconds + Settings().shutdown_seconds + REST_SECONDS


def test_what_serves_needs_no_profile_and_training_only_writes_runs(compose):
    plain = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert plain == {"proxy", "tagbelt"}
    train = compose["services"]["train"]
    assert "./examples:/app/examples:ro" in train["volumes"]
    writable = [volume for volume in train["volumes"] if not volume.endswith(":ro")]
    assert writable == ["./runs:/app/runs"]


def test_the_build_sees_only_what_it_copies():
    patterns = [line for line in read(".dockerignore").splitlines() if not line.startswith("#")]
    assert patterns[0] == "*"
    seen = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    assert {"data", "model", "training", "inference", "service", "tagbelt", "checkpoints"} <= seen
    assert not seen & {".git", "tests", ".venv", "runs"}


def test_the_requirements_are_those_of_the_project():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    command = [sys.executable, str(DEPLOY / "requirements.py")]

    def printed(*extras: str) -> list[str]:
        done = subprocess.run([*command, *extras], cwd=ROOT, capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    assert printed() == project["dependencies"]
    assert printed("train") == project["dependencies"] + project["optional-dependencies"]["train"]


def test_nothing_that_serves_requires_torch():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert not [line for line in project["dependencies"] if re.match(r"torch|onnx\b(?!r)", line)]


def test_the_images_report_to_nobody(stages):
    assert any("ORT_DISABLE_TELEMETRY=1" in line for line in stages["base"])
    assert stages["serve"][0] == "FROM base AS serve"
    assert stages["train"][0] == "FROM base AS train"


class UnixServer(http.server.HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


def check(server: http.server.HTTPServer, **environment: str) -> int:
    """The health check's exit code while the server answers one request."""
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    done = subprocess.run(
        [sys.executable, "-I", str(DEPLOY / "healthcheck.py")],
        env=os.environ | environment,
        check=False,
    )
    thread.join()
    return done.returncode


def handler(status: int, asked: list[str]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_reports_what_readyz_says(status, code):
    asked: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), handler(status, asked)) as server:
        assert check(server, TAGBELT_PORT=str(server.server_port)) == code
    assert asked == ["/readyz"]


def test_the_health_check_knows_unix_sockets(tmp_path):
    asked: list[str] = []
    path = str(tmp_path / "socket")
    with UnixServer(path, handler(200, asked)) as server:
        assert check(server, TAGBELT_UDS=path) == 0
    assert asked == ["/readyz"]


def test_the_health_check_knows_tls(monkeypatch):
    monkeypatch.setenv("TAGBELT_TLS_CERTIFICATE", "certificate.pem")
    monkeypatch.setenv("TAGBELT_PORT", "8443")
    made = runpy.run_path(str(DEPLOY / "healthcheck.py"))["connection"]()
    assert isinstance(made, http.client.HTTPSConnection)
    assert made.port == 8443


def test_the_health_check_fails_when_nobody_listens(monkeypatch):
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        monkeypatch.setenv("TAGBELT_PORT", str(server.server_port))
    program = runpy.run_path(str(DEPLOY / "healthcheck.py"))
    assert program["is_ready"](program["connection"]()) is False

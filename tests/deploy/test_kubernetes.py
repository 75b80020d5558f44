"""The manifests are valid, fit the image and the settings, and the overlays build."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tagbelt.service.process.server import REST_SECONDS
from tagbelt.service.settings import Settings
from tagbelt.service.telemetry.families import Families

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
DOCKERFILE = (FOLDER.parents[1] / "Dockerfile").read_text(encoding="utf-8")
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
VERSION = "1.31"
OWN_KINDS = {"ServiceMonitor", "InferenceService", "RayJob"}  # of operators: no schema is at hand


def manifests(folder: Path) -> list[dict[str, Any]]:
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [one for path in files for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def base() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in manifests(FOLDER / "base")}


def built(overlay: str) -> list[dict[str, Any]]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)],
        capture_output=True,
        check=True,
    )
    return list(yaml.safe_load_all(done.stdout))


def check(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, VERSION, strict=True)


def test_every_manifest_fits_its_schema_and_is_listed():
    found = manifests(FOLDER / "base")
    for one in found + manifests(FOLDER / "overlays" / "pull"):
        check(one)
    listed = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in (FOLDER / "base").iterdir()} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files
    assert {one["kind"] for one in manifests(FOLDER)} == OWN_KINDS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_builds_and_fits_the_schema(overlay):
    found = built(overlay)
    assert {"Deployment", "Service", "HorizontalPodAutoscaler"} <= {one["kind"] for one in found}
    for one in found:
        check(one)
    (pod,) = (one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment")
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = [*pod["containers"], *pod.get("initContainers", [])]
    used = {mount["name"] for one in containers for mount in one["volumeMounts"]}
    assert used == volumes
    open_to_all = {"name": "TAGBELT_ALLOW_ANONYMOUS", "value": "true"}
    assert (open_to_all in pod["containers"][0]["env"]) == (overlay == "open")
    assert ("keys" in volumes) == (overlay != "open")


def test_the_deployment_fits_the_image_and_the_settings():
    found = base()
    deployment, service = found["Deployment"], found["Service"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    known = {f"TAGBELT_{name.upper()}" for name in Settings.model_fields}
    assert environment.keys() <= known
    assert pod["enableServiceLinks"] is False
    context = pod["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\nEXPOSE" in DOCKERFILE
    (wait,) = re.findall(r"sleep\((\d+)\)", container["lifecycle"]["preStop"]["exec"]["command"][2])
    drain = float(environment["TAGBELT_DRAIN_SECONDS"])
    needed = int(wait) + drain + Settings().shutdown_seconds + REST_SECONDS
    assert pod["terminationGracePeriodSeconds"] > needed
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in DOCKERFILE
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_the_autoscaler_asks_for_a_metric_that_there_is_and_owns_the_number_of_pods():
    found = base()
    metrics = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    (name,) = [one["pods"]["metric"]["name"] for one in metrics if one["type"] == "Pods"]
    assert name in {family.describe()[0].name for family in vars(Families(None)).values()}
    assert "replicas" not in found["Deployment"]["spec"]

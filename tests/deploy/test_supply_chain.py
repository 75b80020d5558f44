"""What Tagbelt consists of is listed, with a reason and a licence that may be shipped."""

import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PERMISSIVE = re.compile(
    r"(3-Clause )?BSD( License|-[23]-Clause)?|0BSD|MIT( License)?|ISC License.*|PSF-2\.0|Zlib"
    r"|CC0-1\.0|Apache([ -]2\.0| Software License)"
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = (ROOT / "constraints.txt").read_text(encoding="utf-8")

document = runpy.run_path(str(ROOT / "deploy" / "sbom.py"))["document"]


def direct() -> set[str]:
    extras = PROJECT["optional-dependencies"].values()
    lines = chain(PROJECT["dependencies"], *extras)
    return {Requirement(line).name for line in lines} - {"tagbelt"}


def test_each_dependency_has_its_reason_and_no_other_is_named():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("## Dependencies")[2]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")][1:]
    named = {name.strip() for row in rows for name in row.rpartition(":")[2].split(",")}
    assert named == direct()


def test_what_serves_is_listed_pinned_and_permissive():
    made = document()
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    names = {part["name"] for part in made["components"]}
    assert {"numpy", "starlette", "uvicorn"} <= names
    assert "torch" not in names
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in PINNED.splitlines()}
    assert names <= pinned
    for part in made["components"]:
        told = part["licenses"][0]["license"]["name"]
        kinds = re.split(r" (?:AND|OR) ", told)
        assert all(PERMISSIVE.fullmatch(kind) for kind in kinds), f"{part['name']}: {told}"


def test_a_list_with_extras_has_each_package_once_and_what_it_rests_on():
    made = document(["client", "spacy"])
    names = [part["name"] for part in made["components"]]
    assert {"httpx", "httpcore", "spacy"} <= set(names)
    assert len(set(names)) == len(names)
    known = {*names, "tagbelt"}
    assert all({one["ref"], *one["dependsOn"]} <= known for one in made["dependencies"])

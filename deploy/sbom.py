"""Writes a CycloneDX 1.6 document of what an installed Tagbelt consists of, as JSON.

    python deploy/sbom.py [EXTRA ...] > sbom.json

It holds the packages of this environment that Tagbelt needs, directly or by way of others,
with their versions and licences; without an extra, what serving needs.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT = "tagbelt"
# A licence text instead of a name is longer.
_NAME_LENGTH = 60


def needed(package: Distribution, extras: Sequence[str]) -> Iterator[Requirement]:
    """What it requires on this platform, with those extras."""
    for line in package.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def closure(name: str, extras: Sequence[str]) -> Mapping[str, list[str]]:
    """The names of all packages below `name`, it included, each with those it requires.

    Raises PackageNotFoundError for one that is not installed.
    """
    found: dict[str, list[str]] = {}
    todo = [(canonicalize_name(name), tuple(extras))]
    seen = set(todo)
    while todo:
        at, with_extras = todo.pop()
        requirements = list(needed(distribution(at), with_extras))
        names = [str(canonicalize_name(requirement.name)) for requirement in requirements]
        found[at] = sorted({*found.get(at, ()), *names} - {at})
        for below, requirement in zip(names, requirements, strict=True):
            one = (canonicalize_name(below), tuple(sorted(requirement.extras)))
            if one not in seen:
                seen.add(one)
                todo.append(one)
    return found


def licence(package: Distribution) -> str:
    """Its licence: an SPDX expression where it gives one, else what it calls it, else ""."""
    told = package.metadata
    if told["License-Expression"]:
        return str(told["License-Expression"])
    named = (told["License"] or "").strip()
    if named and len(named) <= _NAME_LENGTH and "\n" not in named:
        return named
    classifiers = told.get_all("Classifier") or []
    kinds = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License")]
    return " OR ".join(kinds)


def component(name: str) -> dict[str, Any]:
    """One package, as CycloneDX has it."""
    package = distribution(name)
    version = package.version.partition("+")[0]
    made = {
        "type": "application" if name == PRODUCT else "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
    }
    named = licence(package)
    return made | ({"licenses": [{"license": {"name": named}}]} if named else {})


def document(extras: Sequence[str] = ()) -> dict[str, Any]:
    """The whole document. Raises PackageNotFoundError."""
    found = closure(PRODUCT, extras)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(PRODUCT)},
        "components": [component(name) for name in sorted(found) if name != PRODUCT],
        "dependencies": [{"ref": name, "dependsOn": found[name]} for name in sorted(found)],
    }


if __name__ == "__main__":
    try:
        made = document(sys.argv[1:])
    except PackageNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed here: name the extras that are")
    sys.stdout.write(json.dumps(made, indent=1) + "\n")

"""The models as GET /v1/models describes them: what is loaded, and what lies on the disk."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from tagbelt.data.checkpoint.artifact import Header
from tagbelt.errors import CheckpointError
from tagbelt.inference import ModelInfo
from tagbelt.service.api.problems import UNKNOWN_MODEL, ProblemError
from tagbelt.service.models.changes import Changes
from tagbelt.service.models.registry import LoadedModel, Snapshot
from tagbelt.service.models.schemas import ModelState
from tagbelt.service.models.store import Place, version_key

_NOTHING_KNOWN: dict[str, Any] = {
    "digest": "",
    "labels": [],
    "scheme": "",
    "unit": "",
    "language": "",
    "description": "",
    "licence": "",
    "metrics": {},
    "examples": [],
}


def cards(changes: Changes) -> list[ModelState]:
    """All models, by name and version. Reads headers from the disk."""
    snapshot, failures = changes.registry.snapshot, dict(changes.failures)
    scan = changes.scan()
    found = [_loaded(one, snapshot, failures) for one in snapshot.models.values()]
    found += [
        _on_disk(place, failures) for place in scan.places if place.full_name not in snapshot.models
    ]
    served_paths = {one.path for one in snapshot.models.values()}
    found += [
        _card(refusal.label, "", _NOTHING_KNOWN, state="failed", reason=refusal.reason)
        for refusal in scan.refusals
        if refusal.path not in served_paths
    ]
    return sorted(found, key=lambda card: (card.name, version_key(card.version)))


def card(changes: Changes, name: str) -> ModelState:
    """The model of a name or name@version; without a version the one meant, or else the newest.

    Raises ProblemError, 404.
    """
    snapshot = changes.registry.snapshot
    one = snapshot.models.get(snapshot.current.get(name, name))
    if one is not None:
        return _loaded(one, snapshot, dict(changes.failures))
    matching = [one for one in cards(changes) if name in (one.name, f"{one.name}@{one.version}")]
    if not matching:
        served = ", ".join(snapshot.models if "@" in name else snapshot.current)
        raise ProblemError(UNKNOWN_MODEL, f"no model is named {name!r}; served: {served}")
    return matching[-1]


def _loaded(one: LoadedModel, snapshot: Snapshot, failures: Mapping[str, str]) -> ModelState:
    served = one.served
    return _card(
        served.name,
        served.version,
        _known(served.info),
        state="loaded",
        default=one is snapshot.meaning(snapshot.default),
        current=one is snapshot.meaning(served.name),
        loaded_at=one.since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        canary=_share(served.full_name, snapshot),
        reason=failures.get(served.full_name) or failures.get(str(one.path)),
    )


def _share(full_name: str, snapshot: Snapshot) -> float:
    return sum(one.share for one in snapshot.canaries.values() if one.full_name == full_name)


def _on_disk(place: Place, failures: Mapping[str, str]) -> ModelState:
    reason = failures.get(place.full_name)
    known = _NOTHING_KNOWN
    try:
        known = {**_known(Header.read(place.path)), "digest": place.digest()}
    except CheckpointError as error:
        reason = reason or str(error)
    state = "available" if reason is None else "failed"
    return _card(place.name, place.version, known, state=state, reason=reason)


def _known(source: ModelInfo | Header) -> dict[str, Any]:
    return {
        "digest": source.digest if isinstance(source, ModelInfo) else "",
        "labels": list(source.labels),
        "scheme": str(source.scheme),
        "unit": source.unit,
        "language": source.language,
        "description": source.description,
        "licence": source.licence,
        "metrics": dict(source.metrics),
        "examples": list(source.examples),
    }


def _card(name: str, version: str, known: Mapping[str, Any], **more: Any) -> ModelState:
    members = {"default": False, "current": False, **known, **more}
    return ModelState(name=name, version=version, **members)

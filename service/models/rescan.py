"""The end of a rescan: which version each name means, and which models go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagbelt.service.models.registry import Snapshot
from tagbelt.service.models.store import Scan, Versions, being_replaced


@dataclass(frozen=True, slots=True)
class RescanPlan:
    """`current` and `gone` are full names; `held` are those that would go, and why they stay."""

    current: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)


def settle(before: Snapshot, now: Snapshot, scan: Scan, versions: Versions) -> RescanPlan:
    """Plan the end of a rescan: `before` is the snapshot before it, `now` that after all loads.

    A name that meant its newest version goes on meaning the newest; one that was set to an older
    version keeps it. Of "latest" versions, a newer one takes the place of the one before it.
    """
    plan = RescanPlan()
    _vanished(now, scan, plan)
    for name in now.current:
        left = [one.served.full_name for one in now.versions(name)]
        left = [full for full in left if full not in plan.gone]
        if not left:
            continue
        old = before.current.get(name)
        if old in left and old != _newest(before, name):
            plan.current[name] = now.current[name]
            continue
        plan.current[name] = left[-1]
        if versions == "latest" and old in left and old is not None and old != left[-1]:
            plan.gone.add(old)
    return plan


def _vanished(now: Snapshot, scan: Scan, plan: RescanPlan) -> None:
    """Fills in what is no longer on the disk; what cannot be read now has not vanished."""
    there: Mapping[str, object] = {place.full_name: place for place in scan.places}
    unreadable = {refusal.path for refusal in scan.refusals}
    for full, one in now.models.items():
        if one.path is None or full in there or unreadable & {one.path, one.path.parent}:
            continue
        if being_replaced(one.path):
            plan.held[full] = f"{one.path}: is being replaced just now; scan again"
        else:
            plan.gone.add(full)
    if all(one.served.full_name in plan.gone for one in now.versions(now.default)):
        default = now.current[now.default]
        plan.gone.remove(default)
        plan.held[default] = (
            "its files are gone; it is the default model and goes on serving until another one is"
        )


def _newest(snapshot: Snapshot, name: str) -> str:
    return snapshot.versions(name)[-1].served.full_name

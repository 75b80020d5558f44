"""The shapes of requests about models and of their replies."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tagbelt.service.api.schemas import ModelCard, Problem

Action = Literal["load", "reload", "unload", "default", "canary"]

DIGEST = "5f2b" + "0" * 60
CHANGE_EXAMPLES: dict[str, dict[str, Any]] = {
    "The version meant": {},
    "A certain version": {"version": "2"},
}
REPORT_EXAMPLE: dict[str, Any] = {
    "ok": True,
    "default": "en@2",
    "seconds": 0.31,
    "changes": [
        {
            "action": "reload",
            "model": "en@2",
            "digest": DIGEST,
            "previous_digest": "77aa" + "0" * 60,
            "seconds": 0.3,
            "problem": None,
        }
    ],
    "workers": [],
    "warning": None,
}


class ChangeRequest(BaseModel):
    """Which version of a model is to change. The body may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A version; the route says what none means.",
    )


class CanaryRequest(ChangeRequest):
    """Which version is tried beside the one that its name means, and on how many requests."""

    share: float = Field(
        ge=0, lt=1, description="Of the requests for the name without a version; 0 ends it."
    )


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Change(_Reply):
    """What was done to one model, or why it could not be done."""

    action: Action = Field(description="What was to be done.")
    model: str = Field(description="name@version, or the path of a folder without a usable name.")
    digest: str | None = Field(
        default=None, description="SHA-256 of the checkpoint that serves now; null when none does."
    )
    previous_digest: str | None = Field(
        default=None, description="SHA-256 of the checkpoint that served before, if one did."
    )
    seconds: float = Field(description="How long it took.")
    problem: Problem | None = Field(
        default=None, description="Why it was not done; what served before goes on serving."
    )


class WorkerTrouble(_Reply):
    """A worker process that could not follow. It serves what it served before."""

    process: int = Field(description="Its process id.")
    problem: Problem = Field(description="Why.")


class Report(_Reply):
    """What a change came to, in every worker process."""

    ok: bool = Field(description="Whether everything was done, in every worker process.")
    default: str = Field(description="name@version that answers when a request names no model.")
    seconds: float = Field(description="How long it all took.")
    changes: list[Change] = Field(description="One for each model; none when nothing was to do.")
    workers: list[WorkerTrouble] = Field(
        default=[], description="The worker processes that could not follow."
    )
    warning: str | None = Field(
        default=None, description="Why a choice that was made will not survive a restart."
    )


class ModelState(ModelCard):
    """A model: loaded, on the disk, or of no use. What is not known of it is empty."""

    state: Literal["loaded", "available", "failed"] = Field(
        description="`loaded` answers requests, `available` can be loaded, `failed` could not be."
    )
    default: bool = Field(description="Whether it answers when a request names no model.")
    current: bool = Field(description="Whether it answers to its name without a version.")
    canary: float = Field(
        default=0.0,
        description="The share of the requests for its name that it answers as the canary.",
    )
    loaded_at: str | None = Field(default=None, description="Since when it serves, in RFC 3339.")
    reason: str | None = Field(
        default=None, description="Why what is on the disk could not be loaded when last tried."
    )


class ModelStates(_Reply):
    """The models that are served, and those that could be."""

    default: str = Field(description="The model that answers when a request names none.")
    models: list[ModelState] = Field(description="All of them, by name and version.")

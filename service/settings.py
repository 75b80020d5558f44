"""The settings of a server: by argument, by a TAGBELT_* environment variable or in a file."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tagbelt.errors import SettingsError

ENV_PREFIX = "TAGBELT_"
CONFIG_VARIABLE = ENV_PREFIX + "CONFIG"
"""Names a TOML file with settings."""
SECRETS = frozenset({"api_keys", "tls_key_password"})
"""Settings whose values are never shown."""

# The shortest token of a JSON list, `"a",`, takes this many bytes of a request's body.
_BYTES_PER_TOKEN = 4


def _split(value: object) -> object:
    return (
        tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
    )


Many = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values; in the environment they are separated by commas."""


class Settings(BaseSettings):
    """Settings of a server. An argument wins over the environment, and that over the file."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    # Where to listen.
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    uds: Path | None = None
    """A unix socket to listen on instead of host and port."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_key_password: SecretStr | None = None

    root_path: str = Field(default="", pattern=r"^(/[\w.~-]+)*$")
    """The path that a proxy takes off before it asks, such as /ner; clients are told of it."""

    # Processes and models.
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that answer requests; they share the machine's cores and the page cache."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads that one process may use for inference; None takes its share of the cores."""
    default_model: str | None = None
    """The model that answers when a request names none; None takes en, else the first by name."""
    state_dir: Path | None = None
    """Where an admin's choice of the default model is kept; None keeps it beside the models."""
    versions: Literal["latest", "all"] = "latest"
    """Which versions of each model are loaded at the start."""
    encode_forms: bool = False
    """Read new words by the transformer of a model that was trained with one."""

    # Who may ask, and how often.
    api_keys: SecretStr | None = None
    """Keys as name:scopes:sha256, separated by commas; scopes are joined by +."""
    api_keys_file: Path | None = None
    allow_anonymous: bool = False
    """Serve without keys on an address that others can reach."""
    rate_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Requests a second of one key, or without keys of one address; None sets no limit."""
    rate_burst: int | None = Field(default=None, ge=1)
    cors_origins: Many = ()
    allowed_hosts: Many = ()
    trusted_proxies: Many = ()
    """Addresses whose X-Forwarded-For and X-Forwarded-Proto are believed; * is anybody's."""

    # What a request may hold.
    max_body_bytes: int = Field(default=1 << 20, ge=1)
    max_items: int = Field(default=256, ge=1)
    """Texts, or token lists, in one request."""
    max_characters: int = Field(default=100_000, ge=1)
    """Code points in one text, or in all the tokens of one token list."""
    max_tokens: int = Field(default=20_000, ge=1)
    """Tokens in one token list."""

    unknown_labels: Literal["refuse", "warn"] = "refuse"
    """What becomes of a request for entity types of which the model has none."""

    inspect_tokens: int = Field(default=64, ge=0, le=128)
    """Tokens of a text that POST /v1/inspect looks inside; 0 turns it off."""

    # How much may wait, and for how long.
    max_waiting: int = Field(default=512, ge=1)
    """Requests that may wait for inference; one more is answered with 429."""
    max_waiting_characters: int = Field(default=16_000_000, ge=1)
    """Characters in all that waits, which bounds the memory of the queue."""
    max_waiting_seconds: float = Field(default=1.0, gt=0)
    """Seconds of work that may wait, at the speed of the last batches; more is answered by 429."""
    max_batch_tokens: int = Field(default=32_768, ge=1)
    """Tokens that are tagged together."""
    max_streams: int = Field(default=8, ge=1)
    """Streams that are open at one time; one more is answered with 429."""
    timeout_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """A request that is not answered by then is dropped; X-Request-Timeout may only shorten it."""
    drain_seconds: float = Field(default=0.5, ge=0, le=3600)
    """How long new requests are still answered, and readiness is off, before an orderly end."""
    shutdown_seconds: float = Field(default=15.0, ge=0, le=3600)
    """How long requests may take to finish at the end."""

    # What is told.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """auto is text on a terminal and JSON elsewhere."""
    access_log: bool = True
    log_texts: bool = False
    """Write the texts of requests to the log. They may be confidential."""
    otlp_endpoint: str | None = None
    """Where OpenTelemetry traces go, such as http://localhost:4318; None sends none."""

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        for name, bytes_each in (("max_characters", 1), ("max_tokens", _BYTES_PER_TOKEN)):
            limit = getattr(self, name)
            _require(name, limit, "max_body_bytes", self.max_body_bytes, limit * bytes_each)
        # A single item must fit, or it would wait for ever.
        _require("max_tokens", self.max_tokens, "max_batch_tokens", self.max_batch_tokens)
        # A request must fit into an empty queue.
        whole = self.max_body_bytes
        _require("max_body_bytes", whole, "max_waiting_characters", self.max_waiting_characters)
        return self

    @model_validator(mode="after")
    def _choices_agree(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(
                f"TLS needs both files: set {ENV_PREFIX}TLS_CERTIFICATE and {ENV_PREFIX}TLS_KEY, "
                "or neither"
            )
        if self.uds is not None and self.tls_certificate is not None:
            raise ValueError(
                f"a unix socket has no TLS: unset {ENV_PREFIX}UDS, or {ENV_PREFIX}TLS_CERTIFICATE "
                f"and {ENV_PREFIX}TLS_KEY"
            )
        if self.rate_burst is not None and self.rate_per_second is None:
            raise ValueError(
                f"rate_burst={self.rate_burst} limits nothing: set {ENV_PREFIX}RATE_PER_SECOND "
                f"too, or unset {ENV_PREFIX}RATE_BURST"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file that TAGBELT_CONFIG names."""
        file = os.environ.get(CONFIG_VARIABLE)
        if not file:
            return init_settings, env_settings
        return init_settings, env_settings, TomlFile(settings_cls, Path(file))


class TomlFile(InitSettingsSource):
    """The settings of a TOML file, its keys named as the fields are."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        super().__init__(settings_cls, read_toml(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the settings of a file. Raises SettingsError when it cannot be read."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{CONFIG_VARIABLE}={path}: cannot be read: {error}") from error
    return found


def _require(name: str, limit: int, bound: str, allowed: int, needed: int | None = None) -> None:
    """Refuse a limit that can never be reached below another, and say both ways out."""
    least = limit if needed is None else needed
    if least > allowed:
        raise ValueError(
            f"{name}={limit} can never be reached: that needs {bound} to be at least {least} and "
            f"{bound}={allowed}; raise {ENV_PREFIX}{bound.upper()} to {least} or more, or lower "
            f"{ENV_PREFIX}{name.upper()} to {allowed * limit // least} or less"
        )


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, with every argument that is not None on top.

    Raises SettingsError with one line for each setting that cannot be used.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        lines = [
            _line(str(e["loc"][0]) if e["loc"] else "", e["msg"], e["input"])
            for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def _line(field: str, message: str, value: object) -> str:
    if not field:
        return message.removeprefix("Value error, ")
    if field in SECRETS:
        return f"{field} ({ENV_PREFIX}{field.upper()}): {message}"
    return f"{field} ({ENV_PREFIX}{field.upper()}): {message}, not {value!r}"

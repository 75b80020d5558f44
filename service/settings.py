"""What the service can be told, by argument or by a TAGBELT_* environment variable."""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "TAGBELT_"
# The shortest token of a JSON list, `"a",`, takes this many bytes of a request's body.
_BYTES_PER_TOKEN = 4


class SettingsError(ValueError):
    """The settings cannot be used; the message names each one, its value and a remedy."""


class Settings(BaseSettings):
    """Settings of one server process. An argument wins over the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads that one inference may use; None lets the runtime choose."""
    default_model: str | None = None
    """The model that answers when a request names none; None takes the first by name."""
    max_waiting: int = Field(default=64, ge=0)
    """Requests that may wait for the inference thread; one more is answered with 429."""
    max_body_bytes: int = Field(default=1 << 20, ge=1)
    max_items: int = Field(default=256, ge=1)
    """Texts, or token lists, in one request."""
    max_characters: int = Field(default=100_000, ge=1)
    """Code points in one text, or in all the tokens of one token list."""
    max_tokens: int = Field(default=20_000, ge=1)
    """Tokens in one token list."""

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        for name, bytes_each in (("max_characters", 1), ("max_tokens", _BYTES_PER_TOKEN)):
            limit = getattr(self, name)
            needed = limit * bytes_each
            if needed > self.max_body_bytes:
                raise ValueError(
                    f"{name}={limit} can never be reached: that needs a body of at least "
                    f"{needed} bytes and max_body_bytes={self.max_body_bytes}; raise "
                    f"{ENV_PREFIX}MAX_BODY_BYTES to {needed} or more, or lower "
                    f"{ENV_PREFIX}{name.upper()} to {self.max_body_bytes // bytes_each} or less"
                )
        return self


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
    return f"{field} ({ENV_PREFIX}{field.upper()}): {message}, not {value!r}"

"""The guard in front of every request: checks its path, host, key, scope and rate."""

import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from tagbelt.service.access.hosts import HostRule, host_name, is_local_name
from tagbelt.service.access.keyfile import Need
from tagbelt.service.access.keys import KeyRing
from tagbelt.service.access.rates import Limiter, Rate, client_of
from tagbelt.service.api import problems
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.settings import ENV_PREFIX, Settings

AUTHORIZATION = b"authorization"
API_KEY = b"x-api-key"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# What RFC 6750 allows in a bearer token, and no longer than anybody's keys.
_KEY = re.compile(rb"[A-Za-z0-9._~+/-]{1,512}=*")
_AWS_KEY = re.compile(rb"(?:^|[\s,])Credential=([^/,\s]+)/")


OPEN = frozenset({Need.PROBE, Need.PUBLIC})
"""Needs that ask for no key."""
ANY = "*"


class ScopeRow(NamedTuple):
    """A method, or ANY, and the path of a route; one that ends in /* stands for all below it."""

    method: str
    path: str
    need: Need


TABLE = (
    ScopeRow("GET", "/livez", Need.PROBE),
    ScopeRow("GET", "/readyz", Need.PROBE),
    ScopeRow("GET", "/health", Need.PROBE),
    ScopeRow("GET", "/v2/health/*", Need.PROBE),
    ScopeRow("GET", "/", Need.PUBLIC),
    ScopeRow("GET", "/page/*", Need.PUBLIC),
    ScopeRow("GET", "/docs", Need.PUBLIC),
    ScopeRow("GET", "/openapi.json", Need.PUBLIC),
    ScopeRow("GET", "/metrics", Need.PUBLIC),
    ScopeRow(ANY, "/v1/reload", Need.ADMIN),
    ScopeRow("GET", "/v1/models/*", Need.TAG),
    ScopeRow(ANY, "/v1/models/*", Need.ADMIN),
    ScopeRow("GET", "/v1/models", Need.TAG),
    ScopeRow("POST", "/v1/tag", Need.TAG),
    ScopeRow("POST", "/v1/tag/stream", Need.TAG),
    ScopeRow("GET", "/v1/inspect", Need.TAG),
    ScopeRow("POST", "/v1/inspect", Need.TAG),
    ScopeRow("GET", "/v2", Need.TAG),
    ScopeRow(ANY, "/v2/*", Need.TAG),
    ScopeRow("POST", "/analyze", Need.TAG),
    ScopeRow("GET", "/supportedentities", Need.TAG),
    ScopeRow("GET", "/recognizers", Need.TAG),
    ScopeRow("POST", "/aws", Need.TAG),
    ScopeRow("POST", "/aws/", Need.TAG),
    ScopeRow("POST", "/service/*", Need.TAG),
    ScopeRow("POST", "/", Need.TAG),
    ScopeRow("POST", "/models/*", Need.TAG),
)
"""A whole path wins over /*, and of those the first. HEAD needs what GET does.

A route that no row lists needs an admin, so that one that is forgotten here lets nobody in.
"""

_WHOLE = {(row.method, row.path): row.need for row in TABLE if not row.path.endswith("/*")}
_BELOW = tuple(
    (row.method, row.path.removesuffix("*"), row.need) for row in TABLE if row.path.endswith("/*")
)


def need_of(method: str, path: str) -> Need:
    """Return what calling a route needs; `path` is the route's, such as /v1/models/{name}."""
    return _listed(method, path) or Need.ADMIN


def _listed(method: str, path: str) -> Need | None:
    if method == "HEAD":
        method = "GET"
    found = _WHOLE.get((method, path)) or _WHOLE.get((ANY, path))
    if found is not None:
        return found
    for row_method, prefix, need in _BELOW:
        if row_method in (method, ANY) and path.startswith(prefix):
            return need
    return None


def need_of_request(scope: Scope, routes: Sequence[BaseRoute]) -> Need:
    """Return what a request needs: decided by the route that will answer it, never by its text.

    What no route answers needs a key for tagging, so that 404 and 405 tell strangers nothing.
    """
    asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
    nearest: Need | None = None
    for route in routes:
        match, _ = route.matches(asked)
        path = getattr(route, "path", "")
        if match is Match.FULL:
            return need_of(asked["method"], path)
        if match is Match.PARTIAL and nearest is None:
            nearest = _listed(asked["method"], path)
    return nearest or Need.TAG


class CredentialError(ValueError):
    """A credential that is no key. The message never quotes it."""


def pick(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> dict[bytes, bytes]:
    """The headers of these names, in lower case. Repeated ones are joined, as HTTP reads them."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in names:
            found[name] = value if name not in found else found[name] + b", " + value
    return found


def presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key among these headers, None when there is none.

    Raises CredentialError for one that is malformed, and for two that differ.
    """
    found = set()
    if API_KEY in headers:
        found.add(headers[API_KEY].strip())
    scheme, _, rest = headers.get(AUTHORIZATION, b"").strip().partition(b" ")
    if scheme.lower() == b"bearer":
        found.add(rest.strip())
    elif scheme.upper() == b"AWS4-HMAC-SHA256":
        match = _AWS_KEY.search(rest)
        found.add(match[1] if match else b"")
    if not found:
        return None  # also when a proxy's own scheme, such as Basic, was passed on
    if len(found) > 1:
        raise CredentialError("the request presents two different API keys: send one")
    key = found.pop()
    if not _KEY.fullmatch(key):
        raise CredentialError("the API key is malformed: keys are letters, digits and -._~+/=")
    return key


CLIENT_NAME = "client_name"
"""The place in scope["state"] of the name of the request's key."""
REALM = 'Bearer realm="tagbelt"'

REASONS = {
    problems.UNAUTHORIZED: "unauthorized",
    problems.FORBIDDEN: "forbidden",
    problems.WRONG_HOST: "wrong_host",
    problems.RATE_LIMITED: "rate",
}
"""The reason that `rejected` is called with, for each kind of refusal."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXIED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
_HEADERS = _PROXIED | {AUTHORIZATION, API_KEY, b"host", b"origin", b"sec-fetch-site"}
_HOW = "send one as Authorization: Bearer KEY or as X-API-Key: KEY"

logger = logging.getLogger("service.access")


class Guard:
    """Answers what must not get through; keys that were presented are never logged or echoed."""

    def __init__(
        self,
        app: ASGIApp,
        ring: KeyRing,
        settings: Settings,
        *,
        routes: Sequence[BaseRoute],
        rejected: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`routes` are those of the app that the requests go to.

        `rejected` is told of every refusal, by one of REASONS; `clock` is in seconds.
        """
        self._app = app
        self._routes = routes
        self._ring = ring
        self._rejected = rejected
        self._limiter = Limiter(clock=clock)
        per_second = settings.rate_per_second
        self._rate = None if per_second is None else Rate.of(per_second, settings.rate_burst)
        self._origins = frozenset(settings.cors_origins)
        # Nobody is asked for a key, and only this machine is meant to be served.
        self._local = not ring.required and not settings.allow_anonymous
        # A unix socket has no name that a web page could take for its own.
        checked = (self._local and settings.uds is None) or settings.allowed_hosts
        self._hosts = HostRule(settings.allowed_hosts) if checked else None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a connection on, or answer it with a problem."""
        if scope["type"] == "http":
            if _CONTROL.search(scope["path"]):
                detail = "the path holds a control character"
                return problems.response(problems.BAD_REQUEST, detail, scope["path"])(
                    scope, receive, send
                )
            try:
                self._check(scope)
            except ProblemError as error:
                reply = problems.response(
                    error.kind, error.detail, scope["path"], headers=error.headers
                )
                self._tell(error)
                return reply(scope, receive, send)
        return self._app(scope, receive, send)

    def _tell(self, error: ProblemError) -> None:
        reason = REASONS[error.kind]
        self._rejected(reason)
        if error.kind is not problems.RATE_LIMITED:  # which is everyday traffic
            logger.info("a request was refused, %s: %s", reason, error.detail)

    def _check(self, scope: Scope) -> None:
        need = need_of_request(scope, self._routes)
        if need is Need.PROBE:
            return
        headers = pick(scope["headers"], _HEADERS)
        if self._hosts is not None and not self._hosts.allows(headers.get(b"host", b"")):
            raise _wrong_host()
        if need in OPEN:
            return
        if self._ring.required:
            self._check_key(scope, headers, need)
        else:
            self._check_anonymous(scope, headers, need)

    def _check_key(self, scope: Scope, headers: Mapping[bytes, bytes], need: Need) -> None:
        try:
            credential = presented(headers)
        except CredentialError as error:
            raise _unauthorized(str(error), "invalid_request") from None
        if credential is None:
            raise _unauthorized(f"this needs an API key: {_HOW}")
        key = self._ring.find(credential)
        if key is None:
            raise _unauthorized("the API key is not known here, or has expired", "invalid_token")
        scope.setdefault("state", {})[CLIENT_NAME] = key.name
        if need not in key.scopes:
            raise _forbidden(f"this needs a key with the scope {need}", need)
        self._spend(key.name, key.rate or self._rate)

    def _check_anonymous(self, scope: Scope, headers: Mapping[bytes, bytes], need: Need) -> None:
        if need is Need.ADMIN and not (self._local and _straight_from_here(headers)):
            raise _forbidden(
                "without API keys this is answered on the machine itself only: configure a key "
                f"with the scope {need} by {ENV_PREFIX}API_KEYS_FILE"
            )
        if self._local and scope["method"] not in _SAFE and _cross_site(headers):
            origin = headers.get(b"origin", b"").decode("latin-1")
            if need is Need.ADMIN or self._origins.isdisjoint({origin, "*"}):
                raise _forbidden(
                    "a page of another site may not ask this without an API key; for tagging, "
                    f"{ENV_PREFIX}CORS_ORIGINS lists sites that may"
                )
        if self._rate is not None:
            self._spend(client_of((scope.get("client") or ("",))[0]), self._rate)

    def _spend(self, client: str, rate: Rate | None) -> None:
        wait = 0.0 if rate is None else self._limiter.wait(client, rate)
        if rate is not None and wait > 0:
            raise ProblemError(
                problems.RATE_LIMITED,
                f"more than {rate.per_second:g} requests a second; try again in {wait:.1f} s",
                headers={"retry-after": str(max(1, math.ceil(wait)))},
            )


def _straight_from_here(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request calls us by a local name and no proxy says that it passed it on."""
    return is_local_name(host_name(headers.get(b"host", b""))) and _PROXIED.isdisjoint(headers)


def _cross_site(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser sent this for a page that is not ours.

    Any page can make a browser post to this machine; it cannot forge these two headers.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = headers.get(b"origin")
    if origin is None:
        return False
    return _authority(origin) != headers.get(b"host", b"").lower()


def _authority(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return b""


def _unauthorized(detail: str, error: str = "") -> ProblemError:
    challenge = f'{REALM}, error="{error}"' if error else REALM
    return ProblemError(problems.UNAUTHORIZED, detail, headers={"www-authenticate": challenge})


def _forbidden(detail: str, scope: Need | None = None) -> ProblemError:
    challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
    headers = {"www-authenticate": challenge} if scope else None
    return ProblemError(problems.FORBIDDEN, detail, headers=headers)


def _wrong_host() -> ProblemError:
    return ProblemError(
        problems.WRONG_HOST,
        "the service is not called by this host name; its operator lists those it may be called "
        f"by in {ENV_PREFIX}ALLOWED_HOSTS",
    )

"""Which key a request presents, if any: a bearer token, X-API-Key, or an AWS signature's."""

import re
from collections.abc import Iterable, Mapping

AUTHORIZATION = b"authorization"
API_KEY = b"x-api-key"

# What RFC 6750 allows in a bearer token, and no longer than anybody's keys.
_KEY = re.compile(rb"[A-Za-z0-9._~+/-]{1,512}=*")
_AWS_KEY = re.compile(rb"(?:^|[\s,])Credential=([^/,\s]+)/")


class CredentialError(ValueError):
    """What was presented is no key. The message never quotes it."""


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

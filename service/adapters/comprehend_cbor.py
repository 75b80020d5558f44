"""AWS Comprehend's calls in AWS's binary protocol, RPC v2 CBOR, which newer clients speak."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from tagbelt.service.adapters import cbor
from tagbelt.service.adapters.comprehend import (
    TARGET_PREFIX,
    ComprehendRoute,
    Operation,
    answered,
    error_of,
    operation,
    request_ids,
)
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import invalid
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.tagging import rendered

MEDIA_TYPE = "application/cbor"
PROTOCOL = {"smithy-protocol": "rpc-v2-cbor"}
LARGE_BYTES = 2048
"""Reading more than this may take milliseconds, and other requests must not wait for it."""
NAMESPACE = "com.amazonaws.comprehend#"
"""Stands before the names of exceptions."""


class CborRoute(ComprehendRoute):
    """A route that reads and writes CBOR."""

    @staticmethod
    def refusal(request: Request, error: ProblemError) -> Response:
        """The error as an exception that AWS's SDKs know."""
        name, status = error_of(error.kind)
        headers = {**(error.headers or {}), **request_ids(request), **PROTOCOL}
        body = cbor.dumps({"__type": NAMESPACE + name, "Message": error.detail})
        return Response(body, status, media_type=MEDIA_TYPE, headers=headers)

    @staticmethod
    async def read(request: Request, _: Any) -> Any:
        """The body, as the operation in the path has it. Raises ProblemError."""
        schema = operation(TARGET_PREFIX + request.path_params["name"])
        try:
            return schema.model_validate(await _loads(await request.body()))
        except ValidationError as error:
            raise invalid(error, schema) from None
        except ValueError as error:
            raise ProblemError(problems.MALFORMED, f"the body is not CBOR: {error}") from None


async def _loads(raw: bytes) -> Any:
    """Return the value that a body holds; a large one is read in a thread. Raises ValueError."""
    return await asyncio.to_thread(cbor.loads, raw) if len(raw) > LARGE_BYTES else cbor.loads(raw)


router = APIRouter(route_class=CborRoute, include_in_schema=False)


@router.post("/service/Comprehend_20171127/operation/{name}")
async def call(body: Operation, request: Request, name: str) -> Response:  # noqa: ARG001
    """The same operations as at /aws/."""
    answer, members = await answered(body, request)
    content = await rendered(answer, lambda: cbor.dumps(members()))
    headers = {**answer.headers, **request_ids(request), **PROTOCOL}
    return Response(content, media_type=MEDIA_TYPE, headers=headers)

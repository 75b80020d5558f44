"""The adapters' routes, in the order in which they must be tried."""

from fastapi import APIRouter

from tagbelt.service.adapters import (
    comprehend,
    comprehend_cbor,
    huggingface,
    open_inference,
    presidio,
)

ROUTERS: tuple[APIRouter, ...] = (
    open_inference.router,
    presidio.router,
    comprehend.router,
    # POST / with the header X-Amz-Target is AWS's, and without it Hugging Face's.
    comprehend.root_router,
    comprehend_cbor.router,
    huggingface.router,
)

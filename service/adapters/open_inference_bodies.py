"""Bodies of the Open Inference Protocol: from a request to texts, from outcomes to a reply."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request

from tagbelt.inference import Annotation
from tagbelt.service.adapters.answering import rounded
from tagbelt.service.adapters.open_inference_shapes import (
    BINARY_OUTPUT,
    BINARY_OUTPUTS,
    BINARY_SIZE,
    INPUT,
    OUTPUTS,
    InferRequest,
    RequestInput,
)
from tagbelt.service.adapters.tensors import BYTES, Tensor, flat, pack, unpack_strings
from tagbelt.service.api import problems
from tagbelt.service.api.bodies import parse_aside
from tagbelt.service.api.problems import ProblemError
from tagbelt.service.api.tagging import ItemFault, check_count
from tagbelt.service.settings import Settings

# More digits than any body's length has.
_DIGITS = 20


def _invalid(detail: str) -> ProblemError:
    return ProblemError(problems.INVALID, detail)


async def read_request(request: Request, stated: str | None) -> InferRequest:
    """A request, with the binary data that follows its JSON. Raises ProblemError.

    `stated` is the header that says how long the JSON is; None when all of it is.
    """
    raw = await request.body()
    length = len(raw) if stated is None else _length(stated)
    if length > len(raw):
        detail = f"Inference-Header-Content-Length is {length}; the body has {len(raw)} bytes"
        raise _invalid(detail)
    read = await parse_aside(request, raw[:length], InferRequest)
    return read.followed_by(raw[length:])


def _length(stated: str) -> int:
    if stated.isascii() and stated.isdigit() and len(stated) < _DIGITS:
        return int(stated)
    raise _invalid("Inference-Header-Content-Length must be a number of bytes")


def texts_of(body: InferRequest, settings: Settings) -> tuple[list[Any], dict[int, ItemFault]]:
    """The items of the tensor `text`, and what is wrong with those that are no text.

    Raises ProblemError for a tensor that is not as the model's metadata says, and for one of more
    items than a request may have.
    """
    names = [one.name for one in body.inputs]
    if names != [INPUT]:
        raise _invalid(f"inputs must be one tensor, {INPUT!r}, not: {', '.join(names) or 'none'}")
    tensor = body.inputs[0]
    if tensor.datatype != BYTES:
        raise _invalid(f"the datatype of {INPUT!r} must be {BYTES}, not {tensor.datatype!r}")
    items, faults = _elements(tensor, body.blob, settings)
    if tensor.shape not in ([len(items)], [len(items), 1]):
        raise _invalid(f"{INPUT!r} has {len(items)} elements and the shape {tensor.shape}")
    return items, faults


def _elements(
    tensor: RequestInput, blob: bytes, settings: Settings
) -> tuple[list[Any], dict[int, ItemFault]]:
    size = tensor.parameter(BINARY_SIZE)
    if size is None:
        if tensor.data is None or blob:
            raise _invalid(f"{INPUT!r} must have either data or {BINARY_SIZE}, and bytes to it")
        check_count(len(tensor.data), INPUT, settings)
        return flat(tensor.data), {}
    if tensor.data is not None or size != len(blob):
        raise _invalid(f"{INPUT!r} has {BINARY_SIZE} {size!r}; {len(blob)} bytes follow the JSON")
    try:
        strings = unpack_strings(blob, settings.max_items)
    except ValueError as error:
        raise _invalid(f"{INPUT!r}: {error}") from None
    items, faults = [], {}
    for place, string in enumerate(strings):
        try:
            items.append(string.decode("utf-8"))
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} of this item does not continue a text in UTF-8"
            faults[place] = ItemFault(problems.NOT_UNICODE, detail)
            items.append("")
    return items, faults


def wanted_outputs(body: InferRequest) -> dict[str, bool]:
    """The names of the tensors to answer with, in order, and whether in binary form.

    Raises ProblemError for one that the model does not have.
    """
    binary = body.parameter(BINARY_OUTPUTS) is True
    if not body.outputs:
        return dict.fromkeys(OUTPUTS, binary)
    for output in body.outputs:
        if output.name not in OUTPUTS:
            raise _invalid(f"there is no output {output.name!r}, only: {', '.join(OUTPUTS)}")
        if output.parameter("classification") is not None:
            raise _invalid("outputs have no classification")
    asked = {output.name: output.parameter(BINARY_OUTPUT) for output in body.outputs}
    return {name: binary if value is None else value is True for name, value in asked.items()}


def columns(outcomes: Sequence[Annotation | ItemFault]) -> dict[str, Sequence[Any]]:
    """The data of every output tensor."""
    found = [() if isinstance(one, ItemFault) else one.entities for one in outcomes]
    rows = [(row, entity) for row, entities in enumerate(found) for entity in entities]
    return {
        "entities": [_listed(entities) for entities in found],
        "error": [one.detail if isinstance(one, ItemFault) else "" for one in outcomes],
        "row": [row for row, _ in rows],
        "label": [entity.label for _, entity in rows],
        "start": [entity.start for _, entity in rows],
        "end": [entity.end for _, entity in rows],
        "score": [rounded(entity.score) for _, entity in rows],
        "entity_text": [entity.text for _, entity in rows],
    }


def _listed(entities: Iterable[Any]) -> str:
    members = [
        {
            "label": e.label,
            "start": e.start,
            "end": e.end,
            "text": e.text,
            "score": rounded(e.score),
        }
        for e in entities
    ]
    return to_json(members).decode()


def joined(
    head: dict[str, Any], data: dict[str, Sequence[Any]], wanted: dict[str, bool]
) -> tuple[bytes, int]:
    """The body of a reply, and how much of it is JSON; the rest is binary tensors."""
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in wanted.items():
        tensor = Tensor(name, OUTPUTS[name], data[name])
        if binary:
            blobs.append(pack(tensor))
            outputs.append({**tensor.described(), "parameters": {BINARY_SIZE: len(blobs[-1])}})
        else:
            outputs.append({**tensor.described(), "data": list(tensor.data)})
    content = to_json({**head, "outputs": outputs})
    return b"".join([content, *blobs]), len(content)

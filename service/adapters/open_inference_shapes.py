"""The JSON of the Open Inference Protocol (KServe's V2), and which tensors we take and give."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from tagbelt.service.adapters.answering import Name
from tagbelt.service.adapters.tensors import BYTES, FP32, INT32

PLATFORM = "onnx_onnxv1"
INPUT = "text"
OUTPUTS = {
    "entities": BYTES,
    "error": BYTES,
    "row": INT32,
    "label": BYTES,
    "start": INT32,
    "end": INT32,
    "score": FP32,
    "entity_text": BYTES,
}
"""The tensors of a reply, in order, with their datatypes."""

BINARY_EXTENSION = "binary_tensor_data"
BINARY_SIZE = "binary_data_size"
BINARY_OUTPUT = "binary_data"
BINARY_OUTPUTS = "binary_data_output"

EXAMPLE = {
    "id": "42",
    "inputs": [
        {
            "name": INPUT,
            "shape": [2],
            "datatype": BYTES,
            "data": ["Angela Merkel visited Toyota.", ""],
        }
    ],
    "outputs": [{"name": "entities"}, {"name": "error"}],
}


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    parameters: dict[str, Any] | None = Field(
        default=None,
        description="Those of the binary tensor extension are honoured; others have no effect.",
    )

    def parameter(self, name: str) -> Any:
        """The value of a parameter; None when it is not given."""
        return (self.parameters or {}).get(name)


class RequestInput(_Part):
    """The texts."""

    name: Name = Field(description="`text`.")
    shape: list[int] = Field(description="[N], or [N, 1].", max_length=10)
    datatype: Name = Field(description="`BYTES`.")
    data: list[Any] | None = Field(
        default=None, description="N strings, unless they follow as binary data."
    )


class RequestOutput(_Part):
    """A tensor that is wanted."""

    name: Name = Field(description="One of those that the model's metadata lists.")


class InferRequest(_Part):
    """Texts to tag."""

    id: Name | None = Field(default=None, description="Comes back in the reply.")
    inputs: list[RequestInput] = Field(description="One: the texts.", max_length=10)
    outputs: list[RequestOutput] | None = Field(
        default=None, description="The tensors to answer with; all unless given.", max_length=100
    )

    _blob: bytes = PrivateAttr(default=b"")

    @property
    def blob(self) -> bytes:
        """The binary data that followed the JSON."""
        return self._blob

    def followed_by(self, blob: bytes) -> Self:
        """This with its binary data."""
        self._blob = blob
        return self


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResponseOutput(_Reply):
    """A tensor."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class InferResponse(_Reply):
    """What was found."""

    model_name: str
    model_version: str | None = None
    id: str | None = None
    outputs: list[ResponseOutput] = Field(
        description="`entities` [N]: for each text a JSON list of objects with label, start, end, "
        "text and score. `error` [N]: why a text could not be tagged, else empty. The others are "
        "the same entities as columns [E]; `row` is the number of an entity's text, from 0."
    )


class TensorMetadata(_Reply):
    """What a tensor looks like; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Reply):
    """A model, and the tensors it takes and gives."""

    name: str
    versions: list[str]
    platform: Literal["onnx_onnxv1"]
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(_Reply):
    """Whether a model answers."""

    name: str
    ready: bool


class ServerMetadata(_Reply):
    """The server, and which extensions of the protocol it speaks."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(_Reply):
    """The process answers."""

    live: bool


class ServerReady(_Reply):
    """Whether the models answer."""

    ready: bool


class OpenInferenceError(_Reply):
    """An error as the protocol tells it."""

    error: str

"""The JSON of AWS Comprehend's entity calls. Its members are named as AWS names them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tagbelt.service.adapters.answering import Name


class DetectEntitiesRequest(BaseModel):
    """A text."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"required": ["Text"]})

    Text: Any = Field(
        default=None, description="At most 100 KB.", json_schema_extra={"type": "string"}
    )
    LanguageCode: Name | None = Field(
        default=None,
        description="Its language, such as `en` or `zh-TW`. Chooses the model, unless EndpointArn "
        "is given.",
    )
    EndpointArn: Name | None = Field(
        default=None,
        description="arn:aws:comprehend:REGION:ACCOUNT:entity-recognizer-endpoint/NAME chooses the "
        "model NAME, and entities have its own labels.",
    )
    Bytes: Any = Field(default=None, description="Refused: only texts are read.")
    DocumentReaderConfig: Any = Field(default=None, description="Refused, as Bytes.")


class BatchDetectEntitiesRequest(BaseModel):
    """Texts in one language."""

    model_config = ConfigDict(strict=True, extra="forbid")

    TextList: list[Any] = Field(
        min_length=1,
        description="At most 25 texts.",
        json_schema_extra={"items": {"type": "string"}},
    )
    LanguageCode: Name = Field(description="Their language. Chooses the model.")


class ComprehendEntity(BaseModel):
    """An entity."""

    Score: float = Field(ge=0, le=1, description="Probability of exactly this span and type.")
    Type: str = Field(description="The type.")
    Text: str = Field(description="The text from BeginOffset to EndOffset.")
    BeginOffset: int = Field(description="Where it begins, in code points.")
    EndOffset: int = Field(description="Where it ends, exclusive.")


class DetectEntitiesReply(BaseModel):
    """The reply to DetectEntities."""

    Entities: list[ComprehendEntity]


class BatchItemResult(BaseModel):
    """The entities of one text."""

    Index: int
    Entities: list[ComprehendEntity]


class BatchItemError(BaseModel):
    """A text that could not be tagged."""

    Index: int
    ErrorCode: str
    ErrorMessage: str


class BatchDetectEntitiesReply(BaseModel):
    """The reply to BatchDetectEntities."""

    ResultList: list[BatchItemResult]
    ErrorList: list[BatchItemError]


class ComprehendError(BaseModel):
    """An error as AWS's JSON protocol tells it."""

    type: str = Field(alias="__type", description="The name of the exception.")
    Message: str

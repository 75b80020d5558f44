"""AWS's own client of Comprehend, which is only told another URL."""

import pytest

from tests.clients.apis.conftest import KEY
from tests.service.fake import SCORE, FakeTagger
from tests.service.live import serving

boto3 = pytest.importorskip("boto3", reason="the client of AWS is not installed")
exceptions = pytest.importorskip("botocore.exceptions")
configuration = pytest.importorskip("botocore.config")

TEXT = "李明 met 👩‍🚀Ana in Nagoya."
ARN = "arn:aws:comprehend:us-east-1:123456789012:entity-recognizer-endpoint/"


def connect(url, key="any"):
    return boto3.client(
        "comprehend",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="unused",
        config=configuration.Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(params=["json", "json at /aws/", "json at /aws", "smithy-rpc-v2-cbor"])
def client(url, request, monkeypatch):
    protocol, _, path = request.param.partition(" at ")
    # A service may speak several; clients in other languages choose otherwise than this one.
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,))
    made = connect(url + path)
    assert made.meta.service_model.resolved_protocol == protocol
    return made


def test_detect_entities(client):
    reply = client.detect_entities(Text=TEXT, LanguageCode="en")
    assert [(one["Type"], one["Text"]) for one in reply["Entities"]] == [
        ("PERSON", "李明"), ("PERSON", "👩‍🚀Ana"), ("LOCATION", "Nagoya"),
    ]  # fmt: skip
    for one in reply["Entities"]:
        assert TEXT[one["BeginOffset"] : one["EndOffset"]] == one["Text"]
        assert one["Score"] == round(SCORE, 6)
    assert reply["ResponseMetadata"]["RequestId"]


def test_an_endpoint_of_ones_own(client):
    reply = client.detect_entities(Text="上海", EndpointArn=f"{ARN}zh")
    assert [one["Type"] for one in reply["Entities"]] == ["LOC"]


def test_batch_detect_entities(client):
    texts = ["Toyota", "a" * 100_001, "上海"]
    reply = client.batch_detect_entities(TextList=texts, LanguageCode="zh-TW")
    found = [(r["Index"], [e["Type"] for e in r["Entities"]]) for r in reply["ResultList"]]
    assert found == [(0, ["ORGANIZATION"]), (2, ["LOCATION"])]
    assert [one["Index"] for one in reply["ErrorList"]] == [1]


def test_errors_are_exceptions_of_the_clients_own(client):
    known = client.exceptions
    with pytest.raises(known.UnsupportedLanguageException, match="no model is for"):
        client.detect_entities(Text="a", LanguageCode="fr")
    with pytest.raises(known.TextSizeLimitExceededException, match="100001 bytes"):
        client.detect_entities(Text="a" * 100_001, LanguageCode="en")
    with pytest.raises(known.BatchSizeLimitExceededException, match="the limit is 25"):
        client.batch_detect_entities(TextList=["a"] * 26, LanguageCode="en")
    with pytest.raises(known.ResourceUnavailableException, match="no model is named"):
        client.detect_entities(Text="a", EndpointArn=f"{ARN}none")
    with pytest.raises(known.InvalidRequestException, match="LanguageCode is missing"):
        client.detect_entities(Text="a")


def test_another_operation_is_unknown(client):
    with pytest.raises(exceptions.ClientError, match="DetectSentiment' is no operation") as raised:
        client.detect_sentiment(Text="a", LanguageCode="en")
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


def test_a_fault_of_the_server():
    with serving(FakeTagger(poison="bad")) as url:
        client = connect(url)
        with pytest.raises(client.exceptions.InternalServerException):
            client.detect_entities(Text="bad", LanguageCode="en")


def test_the_access_key_id_is_the_key(guarded):
    reply = connect(guarded, KEY).detect_entities(Text="Toyota", LanguageCode="en")
    assert [one["Text"] for one in reply["Entities"]] == ["Toyota"]
    with pytest.raises(exceptions.ClientError) as raised:
        connect(guarded, "tb_other").detect_entities(Text="Toyota", LanguageCode="en")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401

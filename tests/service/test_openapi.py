"""The OpenAPI document: complete, valid, and what clients were promised."""

import copy
import json
import re
from collections import Counter

import jsonschema_rs
import pytest
import schemathesis

from tests.golden.openapi import GOLDEN, published
from tests.service.contract import METHODS, differences
from tests.service.fake import fake_app

REMAKE = "If that is meant: python -m tests.golden.openapi"
MEDIA_TYPE = "application/problem+json"


@pytest.fixture(scope="module")
def document():
    return published()


@pytest.fixture
def changed(document):
    return copy.deepcopy(document)


def operations(document):
    for path, item in document["paths"].items():
        for method in item.keys() & METHODS:
            yield f"{method.upper()} {path}", item[method]


def media_types(document):
    """All bodies of the document by place: media types with a schema and perhaps examples."""
    for place, operation in operations(document):
        for media, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{place} {media}", body
        for status, response in operation["responses"].items():
            for media, body in response.get("content", {}).items():
                yield f"{place} {status} {media}", body


def examples(place, body):
    found = [one["value"] for one in body.get("examples", {}).values()]
    found += [body["example"]] if "example" in body else []
    for example in found:
        if place.endswith("application/x-ndjson"):
            yield from map(json.loads, example.splitlines())
        else:
            yield example


def validator(schema, document):
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_the_document_is_what_clients_were_promised(document):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = differences(golden, document)
    if found:
        pytest.fail("\n".join(["The OpenAPI document has changed.", *map(str, found), REMAKE]))


def test_a_server_without_keys_asks_for_none(document):
    plain = fake_app().openapi()
    assert "securitySchemes" not in plain["components"]
    assert all("security" not in operation for _, operation in operations(plain))
    assert [place for place, _ in operations(plain)] == [place for place, _ in operations(document)]


def test_a_path_that_a_proxy_takes_off_is_told():
    assert fake_app(root_path="/ner").openapi()["servers"] == [{"url": "/ner"}]
    assert "servers" not in fake_app().openapi()


def test_it_is_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_every_schema_is_a_json_schema(document):
    schemas = dict(document["components"]["schemas"])
    schemas |= {place: body["schema"] for place, body in media_types(document) if "schema" in body}
    for place, operation in operations(document):
        for parameter in operation.get("parameters", []):
            schemas[f"{place} {parameter['name']}"] = parameter["schema"]
    for place, schema in schemas.items():
        assert jsonschema_rs.meta.is_valid(schema), place
        # Fails for a reference that leads nowhere.
        validator(schema, document)


def test_no_reference_leads_nowhere(document):
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document))) <= there


def test_the_examples_are_valid(document):
    count = 0
    for place, body in media_types(document):
        for example in examples(place, body):
            count += 1
            errors = validator(body["schema"], document).iter_errors(example)
            assert [error.message for error in errors] == [], place
    assert count > 20


def test_every_operation_is_described(document):
    names = Counter(operation["operationId"] for _, operation in operations(document))
    assert [name for name, count in names.items() if count > 1] == []
    for place, operation in operations(document):
        assert operation["summary"], place
        assert not operation["summary"].endswith("."), place
        assert len(operation["tags"]) == 1, place
        assert operation["description"].rstrip().endswith("."), place


def test_every_body_has_an_example(document):
    for place, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for media, body in content.items():
            if body["schema"].get("format") != "binary":
                assert list(examples(f"{place} {media}", body)), f"{place} {media}"


def test_every_operation_says_how_it_fails(document):
    for place, operation in operations(document):
        bad = {s: r for s, r in operation["responses"].items() if s == "default" or s >= "4"}
        assert bad, place
        for status, response in bad.items():
            assert response["description"], f"{place} {status}"
            assert response["content"], f"{place} {status}"
        if operation["security"]:
            assert {"401", "403", "429"} <= bad.keys(), place
            assert all(MEDIA_TYPE in bad[status]["content"] for status in ("401", "403", "429"))


def test_every_parameter_of_a_path_is_described(document):
    for place, operation in operations(document):
        found = [p for p in operation.get("parameters", []) if p["in"] == "path"]
        assert {p["name"] for p in found} == set(re.findall(r"{(\w+)}", place)), place
        assert all(p["required"] for p in found)


def lines(old, new):
    return [str(one) for one in differences(old, new)]


def test_no_difference(document, changed):
    assert lines(document, changed) == []


def test_the_order_of_a_list_is_no_difference(document, changed):
    schemas = changed["components"]["schemas"]
    schemas["TagReply"]["required"].reverse()
    changed["paths"]["/v1/tag/stream"]["post"]["parameters"].reverse()
    assert lines(document, changed) == []


TAG = "paths > /v1/tag > post"
SCHEMA = "components > schemas"


# A change of the document, and how it is told.
def _remove_path(document):
    del document["paths"]["/v1/tag"]


def _remove_method(document):
    del document["paths"]["/v1/tag"]["post"]


def _remove_reply_field(document):
    schema = document["components"]["schemas"]["TaggedEntity"]
    del schema["properties"]["score"]
    schema["required"].remove("score")


def _require_field(document):
    document["components"]["schemas"]["TagRequest"]["required"] = ["text"]


def _require_parameter(document):
    parameters = document["paths"]["/v1/tag/stream"]["post"]["parameters"]
    parameters.append({"in": "query", "name": "n", "required": True, "schema": {}})


def _remove_enum_value(document):
    document["components"]["schemas"]["TagRequest"]["properties"]["offset_unit"]["enum"].pop()


def _lower_limit(document):
    document["components"]["schemas"]["TagRequest"]["properties"]["include"]["maxItems"] = 2


def _change_type(document):
    properties = document["components"]["schemas"]["TaggedEntity"]["properties"]
    properties["start"]["type"] = "number"


def _ask_for_a_key(document):
    document["paths"]["/livez"]["get"]["security"] = [{"bearer": ["tag"]}]


def _remove_media_type(document):
    content = document["paths"]["/v1/tag"]["post"]["responses"]["200"]["content"]
    content["text/csv"] = content.pop("application/json")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_remove_path, ["removed: paths > /v1/tag"]),
        (_remove_method, [f"removed: {TAG}"]),
        (
            _remove_reply_field,
            [
                f"removed: {SCHEMA} > TaggedEntity > properties > score",
                f"removed: {SCHEMA} > TaggedEntity > required > score",
            ],
        ),
        (_require_field, [f"added: {SCHEMA} > TagRequest > required > text"]),
        (_require_parameter, ["added: paths > /v1/tag/stream > post > parameters > query n"]),
        (
            _remove_enum_value,
            [f"removed: {SCHEMA} > TagRequest > properties > offset_unit > enum > utf8"],
        ),
        (
            _lower_limit,
            [f"changed: {SCHEMA} > TagRequest > properties > include > maxItems: 100 -> 2"],
        ),
        (
            _change_type,
            [
                f"changed: {SCHEMA} > TaggedEntity > properties > start > type: "
                '"integer" -> "number"'
            ],
        ),
        (_ask_for_a_key, ["added: paths > /livez > get > security > " + '{"bearer": ["tag"]}']),
    ],
)
def test_what_breaks_clients_is_marked(document, changed, edit, told):
    edit(changed)
    assert lines(document, changed) == [f"BREAKING {line}" for line in told]


def test_another_media_type_breaks_clients(document, changed):
    _remove_media_type(changed)
    place = f"{TAG} > responses > 200 > content"
    assert lines(document, changed) == [
        f"BREAKING removed: {place} > application/json",
        f"added: {place} > text/csv",
    ]


def _more(document):
    document["paths"]["/v1/other"] = {"get": {}}
    schemas = document["components"]["schemas"]
    schemas["TagRequest"]["properties"]["more"] = {"type": "integer", "maximum": 5}
    schemas["TaggedEntity"]["properties"]["more"] = {"type": "string"}
    schemas["TaggedEntity"]["required"].append("more")
    schemas["TagRequest"]["properties"]["include"]["maxItems"] = 200
    schemas["TagRequest"]["properties"]["text"]["description"] = "A text!"


def test_what_adds_does_not_break_them(document, changed):
    _more(changed)
    request = f"{SCHEMA} > TagRequest > properties"
    assert lines(document, changed) == [
        f"changed: {request} > include > maxItems: 100 -> 200",
        f"added: {request} > more",
        f'changed: {request} > text > description: "One text." -> "A text!"',
        f"added: {SCHEMA} > TaggedEntity > properties > more",
        f"added: {SCHEMA} > TaggedEntity > required > more",
        "added: paths > /v1/other",
    ]

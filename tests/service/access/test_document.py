from tagbelt.service.access.guard import OPEN, need_of
from tagbelt.service.access.install import SCHEMES, secure


def document():
    return {
        "openapi": "3.1.0",
        "components": {"schemas": {"Problem": {}}},
        "paths": {
            "/": {"post": {"responses": {}}},
            "/livez": {"get": {"responses": {"200": {"description": "ok"}}}},
            "/metrics": {"get": {}},
            "/v1/tag": {
                "summary": "not an operation",
                "post": {
                    "responses": {
                        "200": {"description": "ok"},
                        "429": {"description": "mine", "content": {"text/plain": {}}},
                        "default": {"description": "other"},
                    }
                },
            },
            "/v1/models/{name}/load": {"post": {"responses": {}}},
        },
    }


def operations(secured):
    for path, item in secured["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post"):
                yield need_of(method.upper(), path), operation


def test_each_operation_says_what_the_guard_asks_for():
    secured = secure(document())
    assert secured["components"]["securitySchemes"] == SCHEMES
    assert secured["components"]["schemas"] == {"Problem": {}}
    for need, operation in operations(secured):
        if need in OPEN:
            assert operation["security"] == []
            assert "401" not in operation.get("responses", {})
        else:
            assert operation["security"] == [{"bearer": [need]}, {"header": [need]}]
            assert {"401", "403", "429"} <= operation["responses"].keys()


def test_responses_that_are_there_are_added_to():
    responses = secure(document())["paths"]["/v1/tag"]["post"]["responses"]
    assert list(responses) == ["200", "401", "403", "429", "default"]
    assert responses["429"]["description"] == "mine"
    assert set(responses["429"]["content"]) == {"text/plain", "application/problem+json"}
    assert responses["401"] == {
        "description": "Unauthorized",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }


def test_twice_is_once():
    once = secure(document())
    assert secure(secure(document())) == once


def test_plain_strings_only():
    for _, operation in operations(secure(document())):
        for scheme in operation["security"]:
            assert all(type(scope) is str for scopes in scheme.values() for scope in scopes)

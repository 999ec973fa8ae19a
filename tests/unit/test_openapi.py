"""The OpenAPI document says what there is: every route, nothing else, and examples that are true to their types."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

import function_app
from core.base.api import ANY
from core.base.errors import AppError, BadRequest
from core.openapi.document import address, build
from core.openapi.page import html_page
from tests.documented import closed_document, document, validator

OPERATIONS = [operation for routes in function_app.ROUTES for operation in routes.operations if operation.method != ANY]


def media(kinds: tuple[str, ...] = ("requestBody", "responses")) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body of the (closed) document with a name for it."""
    whole = closed_document()
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            if "requestBody" in operation and "requestBody" in kinds:
                for kind, body in operation["requestBody"]["content"].items():
                    yield f"{method} {path} {kind}", body
            for status, answer in operation["responses"].items():
                for kind, body in answer.get("content", {}).items():
                    yield f"{method} {path} {status} {kind}", body
    for name, answer in whole["components"]["responses"].items():
        for kind, body in answer["content"].items():
            yield f"{name} {kind}", body


def tree(root: type[AppError]) -> list[type[AppError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in tree(child))]


def test_the_document_has_every_route_and_no_other() -> None:
    routes = {(address(operation.path), operation.method.lower()) for operation in OPERATIONS}
    documented = {(path, method) for path, item in document()["paths"].items() for method in item}
    assert documented == routes
    assert len(routes) == len(OPERATIONS)


def test_the_document_is_valid_openapi_and_its_schemas_are_valid_json_schema() -> None:
    schemathesis.openapi.from_dict(document()).validate()
    for name, schema in document()["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name
    broken = copy.deepcopy(document())
    del broken["info"]["version"]
    with pytest.raises(jsonschema_rs.ValidationError, match="version"):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_reference_leads_somewhere_and_everything_shared_is_referred_to() -> None:
    text = json.dumps(document())
    components = document()["components"]
    there = {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named}
    referred = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert referred <= there
    unused = there - referred - {"#/components/securitySchemes/bearer"}
    assert {name for name in unused if "/schemas/" in name} == set()


@pytest.mark.parametrize(("name", "body"), [*media()], ids=lambda value: value if isinstance(value, str) else "")
def test_examples_are_what_their_schemas_say(name: str, body: dict[str, Any]) -> None:
    examples = [body["example"]] if "example" in body else []
    examples += [example["value"] for example in body.get("examples", {}).values()]
    for example in examples:
        problems = [problem.message for problem in validator(body["schema"]).iter_errors(example)]
        assert not problems, problems
    wants_one = "application/json" in name and "openapi.json" not in name
    assert examples or not wants_one


def test_every_operation_says_who_may_call_it_and_how_it_refuses() -> None:
    for operation in OPERATIONS:
        told = document()["paths"][address(operation.path)][operation.method.lower()]
        responses = told["responses"]
        assert (told.get("security") == []) == operation.anonymous
        assert ("401" in responses) == (not operation.anonymous)
        assert ("403" in responses) == operation.admin
        assert {"500", "503"} <= responses.keys()
        assert any(status.startswith("2") for status in responses)
        assert ("415" in responses) == ("requestBody" in told)
        names = {parameter["name"] for parameter in told.get("parameters", []) if parameter["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", operation.path))
        assert told["summary"] and not told["summary"].endswith(".")
        assert told["tags"][0] in {tag["name"] for tag in document()["tags"]}


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for item in document()["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)


def test_a_code_that_is_new_in_the_error_tree_is_in_the_document() -> None:
    class Invented(BadRequest):
        code = "invented"

    codes = build(function_app.CAPABILITIES)["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert {Invented.code, "not_found", "internal", "wrong_state"} <= {*codes}


def test_the_guide_for_clients_explains_every_code_with_its_status() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", guide, re.MULTILINE))
    kinds = [kind for kind in tree(AppError) if kind.__module__.startswith("core.")]
    assert rows == {kind.code: str(kind.status) for kind in kinds}


def test_the_page_loads_nothing_but_the_document() -> None:
    page = html_page()
    html = page.body.decode()
    style, script = (re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL) for tag in ("style", "script"))
    assert style and script
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    for content, allowed in ((style[1], policy["style-src"]), (script[1], policy["script-src"])):
        assert allowed == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert not re.search(r"https?://|//cdn|url\(|@import|innerHTML|\beval\b|<link|<img| style=| on\w+=\"", html)

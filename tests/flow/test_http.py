"""What every answer has in common, asked for as browsers ask."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from tests.conftest import ORIGIN
from tests.harness import Backend, classifier, wait_until

DETAIL = {"detail", "code", "trace_id"}


def test_health_is_open_and_says_that_all_is_well(shared_backend: Backend) -> None:
    answer = shared_backend.client(token="").get("/health/")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, "db": True, "tasks": True, "children": True, "reasons": []},
    )


def test_without_a_signing_key_every_token_is_refused_and_health_says_why(
    backend: Callable[..., Backend],
) -> None:
    running = backend(ASPNET_JWT_KEY="")
    health = running.client(token="").get("/health/")
    assert health.status_code == 503
    assert "ASPNET_JWT_KEY" in health.json()["reasons"][0]
    assert running.client().get("/api/network/graphs/").status_code == 401


def test_a_page_of_the_canvas_may_call_with_credentials(shared_backend: Backend) -> None:
    client = shared_backend.client()
    preflight = shared_backend.client(token="").options(
        "/api/network/graphs/",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    for answer in (
        client.get("/api/network/graphs/", headers={"Origin": ORIGIN}),
        client.get("/api/network/nothing/", headers={"Origin": ORIGIN}),
    ):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
    assert "location" in answer.headers["access-control-expose-headers"].lower()
    other = client.get("/api/network/graphs/", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/", "/api/", "/api/network/nothing/", "/api/network/graphs/x/y/z/"])
def test_an_unknown_address_is_a_404_in_json(shared_backend: Backend, path: str) -> None:
    answer = shared_backend.client().get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json().keys() == DETAIL


@pytest.mark.parametrize("graph_id", ["7", "x" * 600, "%23", "a%2Fb", "fe5dfb6d-3226-8b58-b006-ca125d1dd453"])
def test_an_id_that_nothing_has_is_a_404_whatever_it_looks_like(shared_backend: Backend, graph_id: str) -> None:
    assert shared_backend.client().get(f"/api/network/graphs/{graph_id}/").status_code == 404


def test_a_wrong_method_is_a_405_that_names_the_right_ones(shared_backend: Backend) -> None:
    answer = shared_backend.client().delete("/api/network/training-jobs/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert answer.json().keys() == DETAIL


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND"])
def test_a_method_of_no_path_is_answered_in_json_too(shared_backend: Backend, method: str) -> None:
    client = shared_backend.client()
    for path, status in (("/api/network/graphs/", 405), ("/api/network/nothing/", 404)):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json().keys()) == (status, DETAIL)


def test_an_error_has_the_callers_trace_id_and_stands_under_it_in_the_log(shared_backend: Backend) -> None:
    trace = f"{uuid.uuid4().hex}"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = shared_backend.client().get(f"/api/network/graphs/{uuid.uuid4()}/", headers=headers)
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"] == trace
    line = wait_until(lambda: [row for row in shared_backend.log.splitlines() if trace in row], "the line in the log")
    assert "404 not_found" in line[0] and "graphs/{graph_id}" in line[0]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_json_under_another_name_is_a_415(shared_backend: Backend, content_type: str) -> None:
    client = shared_backend.client()
    graph_id = client.post("/api/network/graphs/", json=classifier()).json()["id"]
    for method, path in (
        ("POST", "graphs/"),
        ("PUT", f"graphs/{graph_id}/"),
        ("POST", "graphs/compile/"),
        ("POST", f"graphs/{graph_id}/presign-upload/"),
        ("POST", f"graphs/{graph_id}/train/"),
        ("POST", "graphs/import-model/"),
        ("POST", "import-jobs/"),
        ("POST", "import-jobs/presign-upload/"),
        ("POST", "snapshots/"),
    ):
        answer = client.request(method, f"/api/network/{path}", content=b"{}", headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), path


@pytest.mark.parametrize("body", [b"{", b"[1", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"[]", b"null", b'"x"', b""])
def test_a_body_that_is_no_json_object_is_a_400(shared_backend: Backend, body: bytes) -> None:
    answer = shared_backend.client().post(
        "/api/network/graphs/", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"] and answer.json()["code"] == "malformed_body"


def test_a_body_over_the_limit_is_a_413_that_names_it(backend: Callable[..., Backend]) -> None:
    client = backend(MAX_UPLOAD_SIZE="1000").client()
    answer = client.post("/api/network/graphs/", json={"name": "x" * 2000})
    assert answer.status_code == 413
    assert "MAX_UPLOAD_SIZE" in answer.json()["detail"] and answer.json()["code"] == "too_large"


def test_paths_are_served_with_and_without_the_last_slash(shared_backend: Backend) -> None:
    client = shared_backend.client()
    made = client.post("/api/network/graphs", json=classifier(), follow_redirects=True)
    assert made.status_code == 201
    for path in (f"/api/network/graphs/{made.json()['id']}", f"/api/network/graphs/{made.json()['id']}/"):
        assert client.get(path, follow_redirects=True).json()["id"] == made.json()["id"]


def test_the_document_and_its_page_are_open_to_all_and_cached_by_etag(shared_backend: Backend) -> None:
    client = shared_backend.client(token="")
    answer = client.get("/api/openapi.json")
    assert answer.status_code == 200 and answer.json()["openapi"].startswith("3.1")
    assert answer.headers["content-encoding"] == "gzip"
    again = client.get("/api/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    page = client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" in page.text

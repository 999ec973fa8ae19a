"""HTTP triggers as documented: routes, methods, bodies, answers, CORS, keys, limits, logs."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import ROOT, RunningHost, wait_until

LIMIT = 104_857_600


@pytest.fixture(scope="module")
def host(start_shared_host: StartHost) -> RunningHost:
    return start_shared_host("http", env={"FROM_BOTH": "environment"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("items/5", {"function": "by_number", "id": "5"}),
        ("items/abc", {"function": "by_name", "name": "abc"}),
        ("items/special", {"function": "special"}),
        ("ITEMS/Special/", {"function": "special"}),
        ("items/a b/parts", {"function": "parts", "other": "a b"}),
        ("items/x/parts/y%2Fz", {"function": "parts", "other": "x", "part": "y%2Fz"}),
        ("files/a/b/c", {"function": "files", "path": "a/b/c"}),
        ("files/a%0Ab", {"function": "files", "path": "a\nb"}),
        ("files/report.csv", {"function": "file_name", "name": "report", "extension": "csv"}),
        ("files", {"function": "files"}),
        ("only", {"function": "only_get"}),
    ],
)
def test_most_specific_route_is_called(host: RunningHost, path: str, expected: dict[str, str]):
    """Route constraints, optional and catch-all segments, precedence, case, trailing slash."""
    assert host.http.get(f"/api/{path}").json() == expected


@pytest.mark.parametrize("path", ["items/ab", "items/5/6", "nothing", "items"])
def test_path_without_a_route_is_not_found(host: RunningHost, path: str):
    assert host.http.get(f"/api/{path}").status_code == 404


def test_methods_choose_between_functions_of_one_route(host: RunningHost):
    """methods: one route may be served by several functions; another method is not found."""
    assert host.http.post("/api/only").json() == {"function": "only_post"}
    assert host.http.delete("/api/only").status_code == 404


def test_request_arrives_as_it_was_sent(host: RunningHost):
    """HttpRequest: method, url, params, route_params, headers, body."""
    response = host.http.patch("/api/request/7?a=1&b=x%20y&a=2", content=b"12345", headers={"X-Thing": "T"})
    seen = response.json()
    assert seen["method"] == "PATCH"
    assert seen["url"] == f"{host.url}/api/request/7?a=1&b=x%20y&a=2"
    assert seen["params"] == {"a": "1,2", "b": "x y"}
    assert seen["route"] == {"id": "7"}
    assert seen["headers"]["x-thing"] == "T"
    assert seen["body"] == 5


def test_status_headers_and_cookies_come_back(host: RunningHost):
    """HttpResponse: status code, headers, several cookies."""
    response = host.http.get("/api/status/418")
    assert response.status_code == 418
    assert response.text == "body"
    assert response.headers["X-Custom"] == "yes"
    cookies = response.headers.get_list("set-cookie")
    assert cookies[0].startswith("a=1")
    assert cookies[1] == "b=2"


@pytest.mark.parametrize(
    ("kind", "status", "text"), [("text", 200, "plain text"), ("none", 204, ""), ("number", 500, "")]
)
def test_result_that_is_no_response(host: RunningHost, kind: str, status: int, text: str):
    """A string is a body, nothing is 204, anything else is an error."""
    response = host.http.get(f"/api/kinds/{kind}")
    assert (response.status_code, response.text) == (status, text)


def test_exception_of_a_function_is_a_500_that_tells_nothing(host: RunningHost):
    response = host.http.get("/api/kinds/error")
    assert (response.status_code, response.text) == (500, "")


@pytest.mark.devhost_only
def test_exception_of_a_function_is_in_the_log(host: RunningHost):
    host.http.get("/api/kinds/error")
    host.wait_for_log("RuntimeError: the function failed")
    assert "devhost/worker" not in host.stderr


def test_head_gives_the_headers_without_the_body(host: RunningHost):
    for path, length in (("/api/request", None), ("/api/bytes/1000000", "1000000")):
        response = host.http.head(path)
        assert response.status_code == 200
        assert response.content == b""
        if length:
            assert response.headers["content-length"] == length


def test_options_without_an_origin_reaches_the_function(host: RunningHost):
    assert host.http.options("/api/request").json()["method"] == "OPTIONS"


def test_large_answer_arrives_whole(host: RunningHost):
    assert len(host.http.get("/api/bytes/30000000").content) == 30_000_000


def test_body_at_the_limit_is_accepted_and_above_it_refused(host: RunningHost):
    """The host's limit for a request body is 100 MB."""
    assert host.http.post("/api/request", content=b"x" * LIMIT).json()["body"] == LIMIT
    try:
        status = host.http.post("/api/request", content=b"x" * (LIMIT + 1)).status_code
    except httpx.TransportError:
        status = 413  # the connection was closed while the body was being sent
    assert status == 413


def test_body_without_a_length_is_accepted_up_to_the_limit(host: RunningHost):
    """Transfer-Encoding: chunked."""

    def pieces(count: int) -> Iterator[bytes]:
        yield from (b"x" * 1_000_000 for _ in range(count))

    assert host.http.post("/api/request", content=pieces(3)).json()["body"] == 3_000_000
    try:
        status = host.http.post("/api/request", content=pieces(110)).status_code
    except httpx.TransportError:
        status = 413  # the connection was closed while the body was being sent
    assert status == 413


def test_large_body_does_not_hold_up_others(host: RunningHost):
    """No head-of-line blocking: small requests are answered while a large one is transferred."""
    done = threading.Event()

    def upload() -> None:
        for _ in range(3):
            httpx.post(f"{host.url}/api/request", content=b"x" * 50_000_000, timeout=60)
        done.set()

    answered = 0
    with ThreadPoolExecutor(1) as pool:
        pool.submit(upload)
        while not done.is_set():
            assert host.http.get("/api/quick").text == "quick"
            answered += 1
    assert answered > 20


def test_sync_functions_run_in_a_pool_of_the_configured_size(host: RunningHost):
    """PYTHON_THREADPOOL_THREAD_COUNT; an async function is not held up by a full pool."""
    with ThreadPoolExecutor(6) as pool:
        blocked = [pool.submit(host.http.get, "/api/block") for _ in range(6)]
        assert host.http.get("/api/quick").text == "quick"
        assert max(future.result().json()["most"] for future in blocked) == 2


def test_function_that_runs_too_long_is_ended(host: RunningHost):
    """functionTimeout: the invocation fails, and its process is replaced."""
    before = host.http.get("/api/environment").json()["pid"]
    assert host.http.get("/api/forever").status_code == 500
    after = wait_until(lambda: host.http.get("/api/environment").json()["pid"])
    assert after != before


def test_context_names_invocation_function_and_trace(host: RunningHost):
    """Context: invocation_id, function_name, function_directory, trace_context."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = host.http.get("/api/context", headers={"traceparent": parent}).json()
    assert len(context["invocation_id"]) == 36
    assert context["function_name"] == "with_context"
    assert context["trace_parent"].split("-")[1] == parent.split("-")[1]


def test_settings_are_environment_variables_and_existing_ones_win(host: RunningHost):
    """local.settings.json Values, as Core Tools reads them."""
    environment = host.http.get("/api/environment").json()
    assert environment["FROM_FILE"] == "file"
    assert environment["FROM_BOTH"] == "environment"
    assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert environment["directory"] == str(host.app)


@pytest.mark.devhost_only
def test_app_cannot_import_the_host(host: RunningHost):
    assert str(ROOT) not in host.http.get("/api/environment").json()["path"]


def test_disabled_function_is_not_served(host: RunningHost):
    """AzureWebJobs.<name>.Disabled."""
    assert host.http.get("/api/switched_off").status_code == 404


@pytest.mark.devhost_only
def test_log_levels_hold_for_each_function(host: RunningHost):
    """logging.logLevel: the most specific category wins."""
    host.http.get("/api/logs")
    host.http.get("/api/logs_quietly")
    host.wait_for_log("error of logs_quietly")
    assert "warning of logs" in host.stderr
    assert "information of logs" not in host.stderr
    assert "warning of logs_quietly" not in host.stderr


def test_preflight_of_an_allowed_origin_is_answered(host: RunningHost):
    """Host.CORS and Host.CORSCredentials."""
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }
    response = host.http.options("/api/request", headers=headers)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Access-Control-Allow-Methods"] == "PUT"
    assert response.headers["Access-Control-Allow-Headers"] == "authorization"


@pytest.mark.parametrize("path", ["request", "kinds/error", "bytes/200000", "nothing"])
def test_every_answer_to_an_allowed_origin_carries_the_headers(host: RunningHost, path: str):
    response = host.http.get(f"/api/{path}", headers={"Origin": "http://127.0.0.1:3000"})
    assert response.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:3000"


def test_other_origin_gets_no_permission(host: RunningHost):
    response = host.http.get("/api/request", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.devhost_only
def test_cors_option_wins_over_the_settings(start_host: StartHost):
    host = start_host("http", "--cors", "*")
    response = host.http.get("/api/request", headers={"Origin": "http://anywhere.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.devhost_only
def test_keys_are_wanted_only_when_auth_is_enabled(start_host: StartHost, host: RunningHost):
    """Access keys: function key, master key, by header or query; none is needed locally by default."""
    assert host.http.get("/api/secured").text == "in"
    guarded = start_host("http", "--enable-auth")
    keys = json.loads((guarded.data / "keys.json").read_text())
    default, master = {"x-functions-key": keys["default"]}, {"x-functions-key": keys["master"]}
    assert guarded.http.get("/api/quick").status_code == 200
    assert guarded.http.get("/api/secured").status_code == 401
    assert guarded.http.get("/api/secured", params={"code": "wrong"}).status_code == 401
    assert guarded.http.get("/api/secured", params={"code": keys["default"]}).text == "in"
    assert guarded.http.get("/api/secured", headers=master).text == "in"
    assert guarded.http.get("/api/administered", headers=default).status_code == 401
    assert guarded.http.get("/api/administered", headers=master).text == "in"
    assert guarded.http.get("/runtime/webhooks/durabletask/instances").status_code == 401

"""Durable entities and call_http, as documented."""

import uuid

from tests.devhost.running_host import Durable, wait_until


def test_orchestrator_calls_and_signals_an_entity(durable: Durable):
    """call_entity returns the result, signal_entity does not wait; operations keep their order."""
    assert durable.output("uses_entity", uuid.uuid4().hex) == [6, 6]


def test_client_signals_and_reads_an_entity(durable: Durable):
    """signal_entity and read_entity_state of the client."""
    entity = ["counter", uuid.uuid4().hex]
    assert durable.client("read_entity_state", entityId=entity) == {"exists": False, "state": None}
    for _ in range(3):
        durable.client("signal_entity", entityId=entity, operation_name="add", operation_input=2)
    wait_until(lambda: durable.client("read_entity_state", entityId=entity)["state"] == 6)
    durable.client("signal_entity", entityId=entity, operation_name="reset")
    wait_until(lambda: not durable.client("read_entity_state", entityId=entity)["exists"])


def test_failed_operation_is_an_exception_in_the_orchestrator(durable: Durable):
    assert "no operation multiply" in durable.output("misuses_entity")


def test_call_http_returns_status_headers_and_body(durable: Durable):
    """Built-in HTTP action: statusCode, headers, content."""
    request = {
        "method": "POST",
        "uri": f"{durable.host.url}/api/echo",
        "content": {"a": 1},
        "headers": {"x-test": "T"},
    }
    answer = durable.output("calls_http", request)
    assert answer["statusCode"] == 201
    assert answer["headers"]["X-Answer"] == "yes"
    assert '"header": "T"' in answer["content"]
    assert '{\\"a\\": 1}' in answer["content"]


def test_call_http_polls_an_asynchronous_api(durable: Durable):
    """Built-in HTTP action: 202 with a Location is polled until the end."""
    answer = durable.output("calls_http", {"method": "GET", "uri": f"{durable.host.url}/api/slow/2"})
    assert (answer["statusCode"], answer["content"]) == (200, "finished")


def test_call_http_to_nobody_fails_the_orchestration(durable: Durable):
    status = durable.wait(durable.start("calls_http", {"method": "GET", "uri": "http://127.0.0.1:1/"}))
    assert status["runtimeStatus"] == "Failed"

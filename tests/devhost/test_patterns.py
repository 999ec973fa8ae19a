"""The application patterns of Microsoft's Durable Functions documentation, each an app of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import APPS, Durable, wait_until

StartPattern = Callable[[str], Durable]


@pytest.fixture
def pattern(start_host: StartHost) -> StartPattern:
    return lambda name: Durable(start_host(APPS / "patterns" / name))


def run(durable: Durable, path: str, body: Any) -> Any:
    response = durable.http.post(path, json=body)
    assert response.status_code == 202, response.text
    return durable.wait(response.json())["output"]


def test_chaining_passes_results_on_and_compensates(pattern: StartPattern):
    durable = pattern("chaining")
    assert run(durable, "/api/orders", {"count": 2}) == "2 for 6"
    assert run(durable, "/api/orders", {"count": 50}) == "apologized"


def test_fan_out_fan_in_sums_up(pattern: StartPattern):
    text = ".".join(["one two three"] * 30)
    assert run(pattern("fan_out_fan_in"), "/api/texts", text) == 90


def test_async_http_api_can_be_followed_by_its_location(pattern: StartPattern):
    durable = pattern("async_http_api")
    accepted = durable.http.post("/api/reports/1")
    assert accepted.status_code == 202
    location = accepted.headers["Location"]
    assert durable.http.get(location).status_code == 202
    wait_until(lambda: durable.http.get(location).status_code == 200)
    assert durable.http.get(location).json()["output"] == {"report": "ready"}


def test_async_http_api_answers_at_once_when_the_result_comes_soon(pattern: StartPattern):
    durable = pattern("async_http_api")
    soon = durable.http.post("/api/reports/0", params={"wait": "yes"})
    assert (soon.status_code, soon.json()) == (200, {"report": "ready"})
    late = durable.http.post("/api/reports/60", params={"wait": "yes"})
    assert late.status_code == 202
    assert "statusQueryGetUri" in late.json()


def test_monitor_looks_until_it_is_done(pattern: StartPattern, tmp_path: Path):
    durable, path = pattern("monitor"), tmp_path / "done"
    links = durable.http.post("/api/monitors", json={"path": str(path), "seconds": 60}).json()
    wait_until(lambda: (durable.status(links)["customStatus"] or {}).get("looks", 0) >= 2)
    path.touch()
    output = durable.wait(links)["output"]
    assert output["done"] is True
    assert output["looks"] >= 3
    assert run(durable, "/api/monitors", {"path": str(tmp_path / "never"), "seconds": 0.3})["done"] is False


def test_human_interaction_takes_a_decision_or_escalates(pattern: StartPattern):
    durable = pattern("human_interaction")
    links = durable.http.post("/api/approvals", json=3600).json()
    durable.wait(links, "Running")
    assert durable.http.post(f"/api/approvals/{links['id']}/decision", json="yes").status_code == 202
    assert durable.wait(links)["output"] == 'processed "yes"'
    assert run(durable, "/api/approvals", 0.2) == "escalated"


def test_aggregator_counts_every_event(pattern: StartPattern):
    durable = pattern("aggregator")
    with ThreadPoolExecutor(5) as pool:
        added = list(pool.map(lambda n: durable.http.post("/api/meters/m1", json=n), range(1, 21)))
    assert {response.status_code for response in added} == {202}
    wait_until(lambda: durable.http.get("/api/meters/m1").json() == {"count": 20, "sum": 210})

"""The HTTP management API and the SDK's client: statuses, queries, and changes to running instances."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.devhost.running_host import Durable, wait_until

HOOK = "/runtime/webhooks/durabletask"


def test_start_answers_202_with_the_management_links(durable: Durable):
    """create_check_status_response: 202, Location, Retry-After, nine entries."""
    response = durable.http.post("/api/start/echo", content="1")
    links = response.json()
    assert response.headers["Location"] == links["statusQueryGetUri"]
    assert response.headers["Retry-After"] == "10"
    assert len(links) == 9
    assert links["statusQueryGetUri"].startswith(durable.host.url)


def test_public_api_starts_an_instance(durable: Durable):
    """POST orchestrators/{name}/{id}: 202 with the same links."""
    instance_id = uuid.uuid4().hex
    response = durable.http.post(f"{HOOK}/orchestrators/echo/{instance_id}", json={"a": 1})
    assert response.status_code == 202
    assert response.json()["id"] == instance_id
    assert durable.wait(response.json())["output"] == {"a": 1}


def test_start_that_waits_answers_with_the_output(durable: Durable):
    """POST orchestrators/{name}?timeout=…: the output when it comes in time."""
    response = durable.http.post(f"{HOOK}/orchestrators/echo?timeout=20&pollingInterval=1", json={"a": 1})
    assert (response.status_code, response.json()) == (200, {"a": 1})


def test_unknown_orchestrator_is_a_bad_request(durable: Durable):
    """Start: 400, and the SDK raises the extension's sentence."""
    response = durable.http.post(f"{HOOK}/orchestrators/nobody")
    assert response.status_code == 400
    assert "The function 'nobody' doesn't exist" in response.json()["ExceptionMessage"]


def test_instance_id_must_be_valid(durable: Durable):
    """Instance ids: at most 256 characters, no slash, hash, question mark; none that begins with @."""
    for bad in ("@x", "a%23b", "x" * 257):
        assert durable.http.post(f"{HOOK}/orchestrators/echo/{bad}").status_code == 400


def test_id_of_a_live_instance_is_refused_and_of_an_ended_one_replaced(durable: Durable):
    """Start with an id in use: an error while it runs, a new execution when it has ended."""
    instance_id = uuid.uuid4().hex
    links = durable.start("waits", ["a"], id=instance_id)
    again = durable.http.post(f"{HOOK}/orchestrators/waits/{instance_id}")
    assert again.status_code == 500
    assert "already exists" in again.json()["ExceptionMessage"]
    durable.raise_event(links, "a", 1)
    durable.wait(links)
    durable.start("waits", ["b"], id=instance_id)
    durable.raise_event(links, "b", 2)
    assert durable.wait(links)["output"] == [2]


def test_status_is_202_while_running_and_200_at_the_end(durable: Durable):
    """GET instances/{id}: 202 with Location and Retry-After 5, 200, 404."""
    links = durable.start("waits", ["a"])
    running = durable.http.get(links["statusQueryGetUri"])
    assert running.status_code == 202
    assert running.headers["Retry-After"] == "5"
    assert "Location" in running.headers
    durable.raise_event(links, "a", 1)
    durable.wait(links)
    assert durable.http.get(links["statusQueryGetUri"]).status_code == 200
    missing = durable.http.get(links["statusQueryGetUri"].replace(links["id"], "nobody"))
    assert (missing.status_code, missing.content) == (404, b"")


def test_failed_instance_is_200_unless_a_500_is_asked_for(durable: Durable):
    """returnInternalServerErrorOnFailure."""
    links = durable.start("raises", "x")
    durable.wait(links)
    url = links["statusQueryGetUri"]
    assert durable.http.get(url).status_code == 200
    asked = httpx.URL(url).copy_merge_params({"returnInternalServerErrorOnFailure": "true"})
    assert durable.http.get(asked).status_code == 500


def test_status_holds_input_output_and_times(durable: Durable):
    """Status object; showInput=false leaves the input out."""
    links = durable.start("echo", {"a": 1})
    status = durable.wait(links)
    assert status["name"] == "echo"
    assert status["instanceId"] == links["id"]
    assert status["input"] == '{"a": 1}'
    assert status["output"] == {"a": 1}
    assert abs(datetime.fromisoformat(status["createdTime"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert durable.status(links, showInput="false")["input"] is None


def test_history_is_folded_and_shows_results_only_when_asked(durable: Durable):
    """showHistory, showHistoryOutput."""
    links = durable.start("chain", 2)
    durable.wait(links)
    events = durable.status(links, showHistory="true")["historyEvents"]
    kinds = ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"]
    assert [event["EventType"] for event in events] == kinds
    assert events[1]["FunctionName"] == "add_one"
    assert "ScheduledTime" in events[1]
    assert "Result" not in events[1]
    events = durable.status(links, showHistory="true", showHistoryOutput="true")["historyEvents"]
    assert [event["Result"] for event in events[1:]] == [1, 2, 2]


def test_client_reads_the_status(durable: Durable):
    """DurableOrchestrationClient.get_status."""
    links = durable.start("echo", 5)
    durable.wait(links)
    status = durable.client("get_status", instance_id=links["id"], show_history=True)
    assert (status["runtimeStatus"], status["output"], status["exists"]) == ("Completed", 5, True)
    assert status["historyEvents"]
    assert not durable.client("get_status", instance_id="nobody")["exists"]


def test_queries_filter_by_status_time_and_prefix(durable: Durable):
    """GET instances: runtimeStatus, createdTimeFrom, createdTimeTo, instanceIdPrefix."""
    prefix = uuid.uuid4().hex
    for number in range(3):
        durable.wait(durable.start("echo", number, id=f"{prefix}-{number}"))
    durable.wait(durable.start("raises", "x", id=f"{prefix}-failed"))

    def found(**query: str) -> list[str]:
        response = durable.http.get(f"{HOOK}/instances", params={"instanceIdPrefix": prefix} | query)
        return sorted(status["instanceId"].removeprefix(prefix) for status in response.json())

    assert found() == ["-0", "-1", "-2", "-failed"]
    assert found(runtimeStatus="Failed,Terminated") == ["-failed"]
    assert found(createdTimeFrom="2999-01-01T00:00:00Z") == []
    assert found(createdTimeTo="2999-01-01T00:00:00Z", runtimeStatus="Completed") == ["-0", "-1", "-2"]
    by_client = durable.client("get_status_by", instance_id_prefix=prefix, runtime_status=["Failed"])
    assert [status["instanceId"] for status in by_client] == [f"{prefix}-failed"]


def test_long_query_comes_in_pages(durable: Durable):
    """top and x-ms-continuation-token."""
    prefix = uuid.uuid4().hex
    ids = {f"{prefix}-{number}" for number in range(5)}
    for instance_id in ids:
        durable.start("echo", 1, id=instance_id)
    seen, token, pages = set[str](), "", 0
    while True:
        headers = {"x-ms-continuation-token": token} if token else {}
        params = {"instanceIdPrefix": prefix, "top": "2"}
        response = durable.http.get(f"{HOOK}/instances", params=params, headers=headers)
        seen |= {status["instanceId"] for status in response.json()}
        pages += 1
        token = response.headers.get("x-ms-continuation-token", "")
        if not token:
            break
    assert (seen, pages) == (ids, 3)


def test_terminate_ends_an_instance_with_the_reason(durable: Durable):
    """terminate: 202; 410 once it has ended; 404 when it never was."""
    links = durable.start("waits", ["never"])
    durable.wait(links, "Running")
    durable.client("terminate", instance_id=links["id"], reason="no more")
    status = durable.wait(links)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "no more")
    again = links["terminatePostUri"].replace("{text}", "x")
    assert durable.http.post(again).status_code == 410
    assert durable.http.post(again.replace(links["id"], "nobody")).status_code == 404


def test_terminated_instance_ignores_its_running_activity(durable: Durable, tmp_path: Path):
    """terminate: activities are not cancelled, their result is ignored."""
    path = tmp_path / "go"
    links = durable.start("waits_for_file", str(path))
    wait_until(Path(f"{path}.started").exists)
    durable.client("terminate", instance_id=links["id"], reason="stop")
    durable.wait(links)
    path.touch()
    assert durable.wait(links)["output"] == "stop"


def test_suspended_instance_keeps_events_until_it_is_resumed(durable: Durable):
    """suspend and resume: status Suspended, events are buffered."""
    links = durable.start("waits", ["a"])
    durable.wait(links, "Running")
    durable.client("suspend", instance_id=links["id"], reason="pause")
    durable.wait(links, "Suspended")
    durable.raise_event(links, "a", 1)
    assert durable.status(links)["runtimeStatus"] == "Suspended"
    durable.client("resume", instance_id=links["id"], reason="go on")
    assert durable.wait(links)["output"] == [1]
    assert durable.http.post(links["suspendPostUri"].replace("{text}", "x")).status_code == 410


def test_rewind_repeats_only_what_failed(durable: Durable, tmp_path: Path):
    """rewind: a failed instance goes on with what had succeeded."""
    path = tmp_path / "needed"
    links = durable.start("fails_once", str(path))
    assert durable.wait(links)["runtimeStatus"] == "Failed"
    path.touch()
    durable.client("rewind", instance_id=links["id"], reason="fixed")
    wait_until(lambda: durable.status(links)["runtimeStatus"] == "Completed")
    assert durable.status(links)["output"] == [1, "found"]


def test_rewind_reaches_failed_children(durable: Durable, tmp_path: Path):
    """rewind: failed sub-orchestrations are rewound too."""
    path = tmp_path / "needed"
    links = durable.start("parent_of_fails_once", str(path))
    assert durable.wait(links)["runtimeStatus"] == "Failed"
    path.touch()
    durable.client("rewind", instance_id=links["id"], reason="fixed")
    wait_until(lambda: durable.status(links)["runtimeStatus"] == "Completed")
    assert durable.status(links)["output"] == [1, "found"]


def test_rewind_repeats_what_ran_beside_the_failure(durable: Durable, tmp_path: Path):
    """rewind: of a fan-out, also the tasks whose end came too late to be heard."""
    path = tmp_path / "needed"
    links = durable.start("fans_out_once", str(path))
    assert durable.wait(links)["runtimeStatus"] == "Failed"
    path.touch()
    durable.client("rewind", instance_id=links["id"], reason="fixed")
    wait_until(lambda: durable.status(links)["runtimeStatus"] == "Completed")
    assert durable.status(links)["output"] == ["found", "found", "found"]


@pytest.mark.devhost_only
def test_rewind_after_retries_is_refused(durable: Durable):
    """rewind: the extension accepts it and the replay then fails; here that is said at once."""
    links = durable.start("retries_in_vain")
    assert durable.wait(links)["runtimeStatus"] == "Failed"
    response = durable.http.post(links["rewindPostUri"].replace("{text}", "x"))
    assert response.status_code == 500
    assert "used a retry policy" in response.json()["ExceptionMessage"]


def test_rewind_of_a_completed_instance_is_gone(durable: Durable):
    """rewind: only failed instances, else 410."""
    links = durable.start("echo", 1)
    durable.wait(links)
    assert durable.http.post(links["rewindPostUri"].replace("{text}", "x")).status_code == 410


def test_restart_runs_again_with_the_same_input(durable: Durable):
    """restart: a new id by default, the same one when asked for."""
    links = durable.start("echo", {"a": 1})
    durable.wait(links)
    other = durable.http.post(links["restartPostUri"]).json()
    assert other["id"] != links["id"]
    assert durable.wait(other)["output"] == {"a": 1}
    url = httpx.URL(links["restartPostUri"]).copy_merge_params({"restartWithNewInstanceId": "false"})
    same = durable.http.post(url).json()
    assert same["id"] == links["id"]
    assert durable.wait(same)["output"] == {"a": 1}


def test_purge_forgets_an_ended_instance(durable: Durable):
    """purge: DELETE instances/{id}."""
    links = durable.start("chain", 2)
    durable.wait(links)
    assert durable.client("purge_instance_history", instance_id=links["id"]) == 1
    assert durable.http.get(links["statusQueryGetUri"]).status_code == 404
    assert durable.client("purge_instance_history", instance_id=links["id"]) == 0


def test_purge_by_filter_forgets_what_matches(durable: Durable):
    """purge by creation time and status."""
    before = datetime.now(UTC)
    failed, good = durable.start("raises", "x"), durable.start("echo", 1)
    durable.wait(failed)
    durable.wait(good)
    purged = durable.client(
        "purge_instance_history_by", created_time_from=before.isoformat(), runtime_status=["Failed"]
    )
    assert purged == 1
    assert durable.http.get(failed["statusQueryGetUri"]).status_code == 404
    assert durable.http.get(good["statusQueryGetUri"]).status_code == 200
    assert durable.http.delete(f"{HOOK}/instances").status_code == 400


def test_client_makes_the_management_payload_itself(durable: Durable):
    """create_http_management_payload: the links without a request."""
    links = durable.start("echo", 3)
    durable.wait(links)
    payload = durable.client("create_http_management_payload", instance_id=links["id"])
    assert payload["id"] == links["id"]


def test_hub_name_comes_from_a_setting(durable: Durable):
    """hubName "%HUB_NAME%" is substituted."""
    assert "taskHub=ConformanceHub" in durable.start("echo", 1)["statusQueryGetUri"]

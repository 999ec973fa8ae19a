"""Orchestrations as Microsoft's Durable Functions documentation describes them, seen through SDK and HTTP."""

import json
import shutil
from pathlib import Path

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import APPS, Durable, wait_until


def test_chained_activities_pass_their_results_on(durable: Durable):
    """Function chaining: the output of one function is the input of the next."""
    assert durable.output("chain", 5) == 5


def test_fan_out_collects_every_result(durable: Durable):
    """Fan-out/fan-in: task_all waits for all activities and keeps their order."""
    assert durable.output("fan_out", 20) == sum(range(1, 21))


def test_input_reaches_the_orchestrator_unchanged(durable: Durable):
    """start_new: the input is any JSON-serializable value."""
    for value in ({"a": [1, None, "ü"]}, "text", 3.5, [1, 2]):
        assert durable.output("echo", value) == value


def test_values_of_several_megabytes_arrive_whole(durable: Durable):
    """Inputs, outputs and failures have no limit of their own: large ones are stored beside the messages."""
    large = "ü" * 2_000_000
    assert durable.output("echo", large) == large
    assert durable.wait(durable.start("raises", large))["output"].endswith(large)


def test_context_is_the_same_on_every_replay(durable: Durable):
    """Code constraints: ids, GUIDs and the clock of the context are deterministic."""
    links = durable.start("facts", version="7")
    output = durable.wait(links)["output"]
    assert output["instance_id"] == links["id"]
    assert len(set(output["guids"])) == 2
    assert output["version"] == "7"
    assert output["parent"] is None


def test_durable_timer_fires_at_or_after_its_time(durable: Durable):
    """Timers: the orchestrator sleeps until the given UTC time."""
    assert durable.output("sleeper", 0.3) is True


def test_cancelled_timer_does_not_keep_the_instance_alive(durable: Durable):
    """Timers: a timer that lost to an activity must be cancelled, then the instance completes."""
    assert durable.output("activity_or_timer", 3600) == 42


def test_timer_longer_than_the_limit_of_the_storage_is_split(durable: Durable):
    """Long timers: beyond six days the SDK creates shorter timers one after another."""
    links = durable.start("sleeper", 9 * 24 * 3600)
    durable.wait(links, "Running")
    assert durable.http.post(links["terminatePostUri"].replace("{text}", "enough")).status_code == 202
    assert durable.wait(links)["runtimeStatus"] == "Terminated"


def test_failed_activity_fails_the_orchestration_with_its_message(durable: Durable):
    """Error handling: an unhandled failure of an activity fails the instance."""
    status = durable.wait(durable.start("fails"))
    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith(
        "Orchestrator function 'fails' failed: Activity function 'fail' failed: ValueError: no luck"
    )


def test_failed_activity_can_be_caught(durable: Durable):
    """Error handling: try/except in the orchestrator sees the failure."""
    assert durable.output("catches").startswith("Activity function 'fail' failed: ValueError: no luck")


def test_exception_in_the_orchestrator_fails_the_instance(durable: Durable):
    """Error handling: an unhandled exception marks the instance as failed."""
    status = durable.wait(durable.start("raises", "the reason"))
    assert status["runtimeStatus"] == "Failed"
    assert status["output"] == "Orchestrator function 'raises' failed: the reason"


def test_activity_is_retried_until_it_succeeds(durable: Durable, tmp_path: Path):
    """Automatic retry: the activity runs again after each failure."""
    request = {"path": str(tmp_path / "tries"), "succeed_at": 3, "attempts": 4}
    assert durable.output("retries", request) == "try 3"
    assert len((tmp_path / "tries").read_text().splitlines()) == 3


def test_retries_end_with_the_last_failure(durable: Durable, tmp_path: Path):
    """Automatic retry: max_number_of_attempts counts the first attempt too."""
    request = {"path": str(tmp_path / "tries"), "succeed_at": 9, "attempts": 2}
    output = durable.output("retries", request)
    assert output.startswith("gave up: Activity function 'fail_until' failed: RuntimeError: try 2")


def test_parallel_retries_do_not_mix_up_their_tasks(durable: Durable, tmp_path: Path):
    """Automatic retry inside fan-out: every task keeps its own attempts."""
    requests = [{"path": str(tmp_path / str(i)), "succeed_at": 1 + i % 3} for i in range(6)]
    results, after = durable.output("parallel_retries", requests)
    assert results == [f"try {1 + i % 3}" for i in range(6)]
    assert after == 7


def test_sub_orchestrations_return_their_outputs(durable: Durable):
    """Sub-orchestrations: called like activities."""
    assert durable.output("parent", {"name": "chain", "inputs": [1, 2, 3]}) == [1, 2, 3]


def test_sub_orchestration_can_have_an_id_of_its_own(durable: Durable):
    """Sub-orchestrations: instance_id names the child instance."""
    links = durable.start("parent", {"name": "facts", "inputs": [None], "child_id": "the-child"})
    child = durable.wait(links)["output"][0]
    assert child["instance_id"] == "the-child"
    assert child["parent"] == links["id"]


def test_failed_sub_orchestration_fails_its_parent(durable: Durable):
    """Sub-orchestrations: a failure is an exception in the parent."""
    status = durable.wait(durable.start("parent", {"name": "raises", "inputs": ["bad"]}))
    assert status["runtimeStatus"] == "Failed"
    assert "Orchestrator function 'raises' failed: bad" in status["output"]


def test_sub_orchestration_is_retried(durable: Durable):
    """Automatic retry of sub-orchestrations ends with the child's failure."""
    assert "Orchestrator function 'fails' failed" in durable.output("retrying_parent")


def test_continue_as_new_restarts_with_new_input(durable: Durable):
    """Eternal orchestrations: the instance keeps its id and gets a fresh history."""
    links = durable.start("continues", 4)
    assert durable.wait(links)["output"] == 1
    history = durable.status(links, showHistory="true")["historyEvents"]
    assert [event["EventType"] for event in history].count("ExecutionStarted") == 1


def test_custom_status_is_seen_while_running_and_after(durable: Durable):
    """Custom status: set_custom_status shows in the status object."""
    links = durable.start("custom_status")
    wait_until(lambda: durable.status(links)["customStatus"] == {"step": 1})
    durable.raise_event(links, "go", None)
    assert durable.wait(links)["customStatus"] == {"step": 2}


def test_unknown_activity_fails_the_orchestration_and_lists_the_known_ones(durable: Durable):
    """The extension says which functions there are."""
    output = durable.wait(durable.start("calls_unknown"))["output"]
    assert "The function 'nobody' doesn't exist, is disabled, or is not an activity function." in output
    assert "'add_one'" in output


def test_activity_that_runs_too_long_fails(start_host: StartHost, tmp_path: Path):
    """functionTimeout: the host gives the activity up, the orchestration hears of it, and others go on."""
    app = shutil.copytree(APPS / "durable", tmp_path / "app")
    host_json = json.loads((app / "host.json").read_text())
    (app / "host.json").write_text(json.dumps(host_json | {"functionTimeout": "00:00:01"}))
    durable = Durable(start_host(app))
    output = durable.wait(durable.start("waits_for_file", str(tmp_path / "never")))["output"]
    assert "Activity function 'sleep_until_exists' failed: Timeout value of 00:00:01 exceeded" in output
    assert durable.output("chain", 2) == 2


def test_code_that_changes_its_actions_is_reported_as_non_deterministic(durable: Durable, tmp_path: Path):
    """Code constraints: a replay that asks for something else fails in the framework's words."""
    path = tmp_path / "mind"
    links = durable.start("changes_its_mind", str(path))
    wait_until(lambda: len(durable.status(links, showHistory="true")["historyEvents"]) >= 2)
    path.touch()
    durable.raise_event(links, "go", None)
    output = durable.wait(links)["output"]
    assert output == (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled an activity task "
        "with sequence number 0 named 'add_one', but the current orchestration replay instead scheduled an activity "
        "task named 'fail' with this sequence number.  Was a change made to the orchestrator code after this instance "
        "had already started running?"
    )

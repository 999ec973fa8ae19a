"""External events: delivered in order, also before anybody waits, as Azure does it."""

from pathlib import Path

from tests.devhost.running_host import Durable, wait_until


def test_event_completes_the_wait(durable: Durable):
    """raise_event over HTTP: the JSON body is the value."""
    links = durable.start("waits", ["a", "b"])
    assert durable.raise_event(links, "a", {"n": 1}).status_code == 202
    assert durable.raise_event(links, "b", [2]).status_code == 202
    assert durable.wait(links)["output"] == [{"n": 1}, [2]]


def test_event_of_the_sdk_client_arrives_as_json_text(durable: Durable):
    """SDK 1.x serializes the data twice; the orchestrator gets the inner text."""
    links = durable.start("waits", ["a"])
    durable.client("raise_event", instance_id=links["id"], event_name="a", event_data={"n": 1})
    assert durable.wait(links)["output"] == ['{"n": 1}']


def test_waits_of_one_name_take_events_in_order(durable: Durable):
    """Events are delivered in the order in which they were raised."""
    links = durable.start("waits", ["a", "a", "a"])
    for number in range(3):
        wait_until(lambda number=number: len(_raised(durable, links)) == number)
        durable.raise_event(links, "a", number)
    assert durable.wait(links)["output"] == [0, 1, 2]


def test_event_raised_before_the_wait_is_kept(durable: Durable, tmp_path: Path):
    """An instance that is not waiting yet gets the event when it waits."""
    path = tmp_path / "go"
    links = durable.start("activity_then_waits", {"path": str(path), "names": ["early"]})
    durable.raise_event(links, "early", 1)
    path.touch()
    assert durable.wait(links)["output"] == [1]


def test_of_early_events_of_one_name_the_latest_answers_every_wait(durable: Durable, tmp_path: Path):
    """What SDK 1.x makes of repeats on Azure; unique names avoid it."""
    path = tmp_path / "go"
    links = durable.start("activity_then_waits", {"path": str(path), "names": ["e", "e"]})
    durable.raise_event(links, "e", 1)
    durable.raise_event(links, "e", 2)
    wait_until(lambda: len(_raised(durable, links)) == 2)
    path.touch()
    assert durable.wait(links)["output"] == [2, 2]


def test_unread_events_survive_continue_as_new(durable: Durable):
    """continue_as_new carries events that nobody has waited for."""
    links = durable.start("collects")
    for item in ("x", "y", "z"):
        durable.raise_event(links, "item", item)
    assert durable.wait(links)["output"] == ["x", "y", "z"]


def test_event_for_an_instance_that_ended_is_gone(durable: Durable):
    """raiseEvent: 410 for an instance that has completed, 404 for one that never was."""
    links = durable.start("echo", 1)
    durable.wait(links)
    assert durable.raise_event(links, "a", 1).status_code == 410
    other = {"sendEventPostUri": links["sendEventPostUri"].replace(links["id"], "nobody")}
    assert durable.raise_event(other, "a", 1).status_code == 404


def test_event_that_is_not_json_is_refused(durable: Durable):
    """raiseEvent: only application/json."""
    links = durable.start("waits", ["a"])
    url = links["sendEventPostUri"].replace("{eventName}", "a")
    response = durable.http.post(url, content="text", headers={"Content-Type": "text/plain"})
    assert response.status_code == 400


def _raised(durable: Durable, links: dict[str, str]) -> list[dict[str, str]]:
    history = durable.status(links, showHistory="true")["historyEvents"]
    return [event for event in history if event["EventType"] == "EventRaised"]

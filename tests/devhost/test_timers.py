"""Timer triggers as documented: NCRONTAB with settings, run on startup, missed occurrences, no overlap."""

import json
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import wait_until


def calls(file: Path, kind: str) -> list[dict[str, Any]]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [call for call in map(json.loads, lines) if call["kind"] == kind]


@pytest.fixture
def environment(azurite: str, tmp_path: Path) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": azurite,
        "RECORD": str(tmp_path / "calls"),
        "EVENTS": "events",
        "EVERY_SECOND": "*/1 * * * * *",
    }


def test_timer_runs_on_its_schedule(start_host: StartHost, environment: dict[str, str]):
    """Six fields beginning with seconds; the schedule comes from a setting."""
    start_host("storage", env=environment)
    record = Path(environment["RECORD"])
    wait_until(lambda: len(calls(record, "tick")) >= 3)
    tick = calls(record, "tick")[1]
    assert tick["past_due"] is False
    assert set(tick["status"]) == {"Last", "Next", "LastUpdated"}
    assert not calls(record, "nightly")


def test_timer_does_not_overlap_itself(start_host: StartHost, environment: dict[str, str]):
    """A timer function that takes longer than its interval is not called again before it ends."""
    start_host("storage", env=environment | {"TICK_SECONDS": "1.3"})
    record = Path(environment["RECORD"])
    wait_until(lambda: len(calls(record, "tock")) >= 2)
    kinds = [json.loads(line)["kind"] for line in record.read_text().splitlines() if '"t' in line[:12]]
    assert kinds[:4] == ["tick", "tock", "tick", "tock"]


def test_run_on_startup_runs_at_once(start_host: StartHost, environment: dict[str, str]):
    """run_on_startup: one call when the host starts."""
    start_host("storage", env=environment)
    wait_until(lambda: calls(Path(environment["RECORD"]), "start"))


@pytest.mark.devhost_only
def test_missed_occurrence_is_made_up_for_once(start_host: StartHost, environment: dict[str, str], tmp_path: Path):
    """use_monitor: an occurrence missed while the host was down gives one call that is past due."""
    record = Path(environment["RECORD"])
    start_host("storage", env=environment).stop()
    assert not calls(record, "nightly")
    with sqlite3.connect(tmp_path / "data" / "devhost.db") as database:
        database.execute(
            "UPDATE rows SET value = json_set(value, '$[2]', ?) WHERE kind = 'timer' AND key = 'nightly'",
            (time.time() - 100_000,),
        )
    database.close()
    start_host("storage", env=environment)
    call = wait_until(lambda: calls(record, "nightly"))
    assert [one["past_due"] for one in call] == [True]


def test_timer_can_be_run_by_hand(start_host: StartHost, environment: dict[str, str]):
    """POST /admin/functions/{name} runs a function that has no HTTP trigger."""
    host = start_host("storage", env=environment)
    assert host.http.post("/admin/functions/nightly", json={"input": ""}).status_code == 202
    wait_until(lambda: calls(Path(environment["RECORD"]), "nightly"))


def test_schedule_holds_in_the_zone_of_the_setting(start_host: StartHost, environment: dict[str, str]):
    """WEBSITE_TIME_ZONE: three o'clock is three o'clock there, whatever the zone of the machine."""
    for zone in ("Pacific/Kiritimati", "America/St_Johns"):
        host = start_host("storage", env=environment | {"WEBSITE_TIME_ZONE": zone})
        host.http.post("/admin/functions/nightly", json={"input": ""})
        host.stop()
        following = datetime.fromisoformat(calls(Path(environment["RECORD"]), "nightly")[-1]["next"])
        assert following.astimezone(ZoneInfo(zone)).strftime("%H:%M:%S") == "03:00:00"


@pytest.mark.devhost_only
def test_unreadable_schedule_ends_the_host(start_host: StartHost, environment: dict[str, str]):
    with pytest.raises(AssertionError, match="the schedule 'now and then' cannot be read"):
        start_host("storage", env=environment | {"EVERY_SECOND": "now and then"})

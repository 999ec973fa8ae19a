"""Hosts killed at seeded random moments under a mixed load: all instances finish, with the right output."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import ENDED, RunningHost, free_port

pytestmark = pytest.mark.devhost_only


@dataclass
class Case:
    """One instance: what to start, what to send to it, and what its output must be."""

    id: str
    name: str
    value: Any
    is_right: Callable[[Any], bool]
    events: tuple[str, ...] = ()


def make_cases(count: int, folder: Path) -> list[Case]:
    """A mix of all kinds, in a fixed order."""
    kinds: list[Callable[[str, int], Case]] = [
        lambda i, n: Case(i, "chain", n % 7, lambda out: out == n % 7),
        lambda i, n: Case(i, "fan_out", n % 9, lambda out: out == sum(range(1, n % 9 + 1))),
        lambda i, n: Case(
            i,
            "retries",
            {"path": str(folder / i), "succeed_at": 2, "attempts": 9},
            # At least once: an attempt may have run again after a kill.
            lambda out: out.startswith("try ") and int(out[4:]) >= 2,
        ),
        lambda i, n: Case(i, "sleeper", (n % 20) / 10, lambda out: out is True),
        lambda i, n: Case(i, "parent", {"name": "chain", "inputs": [1, n % 4]}, lambda out: out == [1, n % 4]),
        lambda i, n: Case(i, "continues", n % 5, lambda out: out == 1),
        lambda i, n: Case(i, "waits", ["a", "b"], lambda out: out == ["a", "b"], ("a", "b")),
        lambda i, n: Case(i, "uses_entity", i, lambda out: out == [6, 6]),
        lambda i, n: Case(i, "activity_or_timer", 3600, lambda out: out == 42),
    ]
    return [kinds[n % len(kinds)](f"case-{n}", n) for n in range(count)]


class Victim:
    """A host on a fixed port that is killed and started again while others use it."""

    def __init__(self, start_host: StartHost, data: Path) -> None:
        self._start = start_host
        self._data = data
        self._port = free_port()
        self.host: RunningHost = self._launch()

    def _launch(self) -> RunningHost:
        return self._start("durable", data=self._data, port=self._port)

    def harass(self, chance: random.Random, kills: int) -> None:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 1.5))
            self.host.kill()
            self.host = self._launch()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Repeats the request until a host answers it."""
        while True:
            try:
                return httpx.request(method, f"http://127.0.0.1:{self._port}{path}", timeout=20, **arguments)
            except httpx.TransportError:
                time.sleep(0.05)


HOOK = "/runtime/webhooks/durabletask/instances"


def run(start_host: StartHost, folder: Path, count: int, kills: int, seed: int) -> None:
    victim = Victim(start_host, folder / "data")
    cases = make_cases(count, folder)
    killer = threading.Thread(target=victim.harass, args=(random.Random(seed), kills))
    killer.start()
    try:
        for case in cases:
            _start(victim, case)
        for case in cases:
            for event in case.events:
                _raise(victim, case, event)
    finally:
        killer.join()
    assert [problem for case in cases if (problem := _outcome(victim, case))] == []


def _start(victim: Victim, case: Case) -> None:
    """The answer to a start may be lost with the host; then the second start finds the instance."""
    while True:
        response = victim.request("POST", f"/api/start/{case.name}", json=case.value, params={"id": case.id})
        if response.status_code == 202:
            return
        if victim.request("GET", f"{HOOK}/{case.id}").status_code in (200, 202):
            return


def _raise(victim: Victim, case: Case, event: str) -> None:
    response = victim.request("POST", f"{HOOK}/{case.id}/raiseEvent/{event}", json=event)
    assert response.status_code in (202, 410)


def _outcome(victim: Victim, case: Case) -> str | None:
    """What is wrong with an instance in the end, None when nothing is."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        status = victim.request("GET", f"{HOOK}/{case.id}").json()
        if status["runtimeStatus"] in ENDED:
            right = status["runtimeStatus"] == "Completed" and case.is_right(status["output"])
            return None if right else f"{case.id} {case.name}: {status}"
        time.sleep(0.1)
    return f"{case.id} {case.name}: not finished"


def test_no_instance_is_lost_or_wrong_when_the_host_is_killed(start_host: StartHost, tmp_path: Path):
    run(start_host, tmp_path, count=90, kills=4, seed=20240607)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_instance_of_many_is_lost_or_wrong(start_host: StartHost, tmp_path: Path, seed: int):
    run(start_host, tmp_path, count=540, kills=20, seed=seed)

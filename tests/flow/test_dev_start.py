"""`python dev.py start` and `demo` as a person runs them: real set-up, real Azurite, real host."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from devtools.ports import free_ports, is_free
from tests.harness import (
    SIGNING_KEY,
    bearer,
    classifier,
    started_within,
    two_class_training,
    two_classes,
    wait_for_end,
    wait_until,
)

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://127.0.0.1:4321"


class Start:
    """A running `dev.py start`, whose processes are known by the temporary folder they were given."""

    def __init__(self, folder: Path, *, port: int | None = None, data: Path | None = None):
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self.data = data or folder / "data"
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["start", "--port", str(self.port), "--data", str(self.data), "--cors", ORIGIN]
        self.process = subprocess.Popen(
            dev(*command, "--host", "devhost"),
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == f"ready {self.url}\n":
                return
        raise AssertionError("dev.py ended before it was ready")

    def send(self, number: int) -> tuple[str, str]:
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)

    def listening_ports(self) -> set[int]:
        """The ports that anything started by this dev.py listens on."""
        ports: set[int] = set()
        for process in started_within(self.folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                ports |= {each.laddr.port for each in process.net_connections() if each.status == "LISTEN"}
        return ports

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)


def dev(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "dev.py"), *arguments]


def environment(folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "ASPNET_JWT_KEY": SIGNING_KEY}


@pytest.fixture(scope="module")
def running(session_folder: Path) -> Iterator[Start]:
    """One start for all tests that leave it running."""
    with contextlib.closing(Start(session_folder / "start")) as start:
        start.wait_until_ready()
        yield start


@pytest.fixture
def own_start(session_folder: Path) -> Iterator[Start]:
    """A start for this test alone, ready."""
    folder = session_folder / f"start-{free_ports(1)[0]}"
    with contextlib.closing(Start(folder)) as start:
        start.wait_until_ready()
        yield start


def test_ready_line_means_that_requests_are_served(running: Start) -> None:
    health = httpx.get(f"{running.url}/health/", trust_env=False)
    assert health.status_code == 200
    assert health.json()["ok"] is True


def test_token_of_dev_py_is_accepted_by_its_start(running: Start) -> None:
    printed = subprocess.run(
        dev("token", "--user", "grace"), env=environment(running.folder), capture_output=True, text=True
    )
    headers = {"Authorization": f"Bearer {printed.stdout.strip()}"}
    answer = httpx.get(f"{running.url}/api/network/training-jobs/", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, [])


def test_pages_of_the_cors_origin_may_call_and_upload(running: Start) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    functions = httpx.options(f"{running.url}/api/network/graphs/", headers=preflight, trust_env=False)
    assert functions.headers["access-control-allow-origin"] == ORIGIN
    blobs = [blob_preflight(port, preflight) for port in running.listening_ports() - {running.port}]
    assert ORIGIN in blobs


def test_pages_of_other_origins_may_not(running: Start) -> None:
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    functions = httpx.options(f"{running.url}/api/network/graphs/", headers=preflight, trust_env=False)
    assert "access-control-allow-origin" not in functions.headers
    blobs = [blob_preflight(port, preflight) for port in running.listening_ports() - {running.port}]
    assert not any(blobs)


def test_taken_port_is_one_sentence_that_names_the_option(running: Start) -> None:
    second = subprocess.run(
        dev("start", "--port", str(running.port)),
        env=environment(running.folder),
        capture_output=True,
        text=True,
    )
    assert second.returncode == 1
    assert second.stderr == (f"Port {running.port} is taken; stop what listens there, or choose another by --port.\n")


def test_second_start_on_the_same_data_is_refused(running: Start, session_folder: Path) -> None:
    second = Start(session_folder / "second", data=running.data)
    _, problem = second.process.communicate(timeout=60)
    assert second.process.returncode == 1
    assert problem.endswith("is in use by another backend; choose another with --data.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_ending_leaves_no_process_and_no_port(own_start: Start, number: int) -> None:
    ports = own_start.listening_ports()
    assert len(ports) >= 4
    own_start.send(number)
    assert own_start.process.returncode == 0
    assert started_within(own_start.folder) == []
    assert all(map(is_free, ports))


def test_killed_dev_py_leaves_no_process_and_no_port(own_start: Start) -> None:
    ports = own_start.listening_ports()
    own_start.process.kill()
    own_start.process.wait()
    wait_until(lambda: not started_within(own_start.folder), "everything ends with dev.py", seconds=30)
    assert all(map(is_free, ports))


def test_azurite_takes_other_ports_when_its_own_are_taken(running: Start, own_start: Start) -> None:
    assert len(own_start.listening_ports()) == len(running.listening_ports())
    assert own_start.listening_ports().isdisjoint(running.listening_ports())


def test_restart_on_the_same_data_finishes_what_was_running(own_start: Start) -> None:
    with httpx.Client(
        base_url=own_start.url, headers={"Authorization": f"Bearer {bearer()}"}, trust_env=False
    ) as client:
        graph = client.post("/api/network/graphs/", json=classifier()).json()
        ticket = client.post(
            f"/api/network/graphs/{graph['id']}/presign-upload/", json=two_class_training(epochs=600)
        ).json()
        httpx.put(ticket["upload_url"], content=two_classes(), headers=ticket["headers"], trust_env=False)
        path = f"/api/network/training-jobs/{ticket['job_id']}/"
        wait_until(lambda: client.get(path).json()["result"].get("live"), "the first epoch")
        assert client.get(path).json()["status"] == "running"
        own_start.process.kill()
        wait_until(lambda: not started_within(own_start.folder), "everything ends with dev.py")
        with contextlib.closing(Start(own_start.folder, port=own_start.port)) as again:
            again.wait_until_ready()
            assert client.get(f"/api/network/graphs/{graph['id']}/").json() == graph
            job = wait_for_end(client, ticket["job_id"])
    assert job["status"] == "succeeded"
    assert len(job["result"]["history"]["loss"]) == 600


def test_host_that_dies_ends_start_with_a_sentence(own_start: Start) -> None:
    [host] = [each for each in started_within(own_start.folder) if is_host(each)]
    host.kill()
    _, problem = own_start.process.communicate(timeout=60)
    assert own_start.process.returncode == 1
    assert problem.splitlines()[-1].startswith("The Functions host ended by itself: ")
    assert started_within(own_start.folder) == []


def test_demo_trains_predicts_and_leaves_nothing(session_folder: Path) -> None:
    folder = session_folder / "demo"
    demo = subprocess.run(
        dev("demo", "--host", "devhost"), env=environment(folder), capture_output=True, text=True, timeout=170
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Evaluation on the test split: loss " in demo.stdout
    assert "The downloaded model, loaded by plain Keras, predicts the same" in demo.stdout
    assert started_within(folder) == []
    assert not list(folder.glob("demo-*"))


def is_host(process: psutil.Process) -> bool:
    """The host itself, which dev.py started, and not a worker of it."""
    command = process.cmdline()
    return command[1:3] == ["-m", "devhost"] and "--data" in command


def blob_preflight(port: int, headers: dict[str, str]) -> str | None:
    """Who may PUT, by the answer of whatever service listens there."""
    try:
        answer = httpx.options(
            f"http://127.0.0.1:{port}/devstoreaccount1/uploads/a/b.csv", headers=headers, trust_env=False
        )
    except httpx.HTTPError:
        return None
    return answer.headers.get("access-control-allow-origin")

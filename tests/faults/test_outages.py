"""What a training stands: storage that is killed and comes back later, a disk that is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import Backend, Storage, presign, two_classes, upload, wait_for_end, wait_until

# What Azurite was told in the last five seconds before a SIGKILL may be lost.
SAVED_SECONDS = 6
LONG: dict[str, Any] = {"epochs": 1200, "batch_size": 1}


def undisturbed_history(backend: Backend) -> dict[str, list[float]]:
    client = backend.client()
    signed = presign(client, **LONG)
    upload(signed, two_classes())
    return wait_for_end(client, signed["job_id"])["result"]["history"]


def storage_killed_for(seconds: float, running: Backend, undisturbed: dict[str, list[float]]) -> None:
    client = running.client()
    signed = presign(client, **LONG)
    upload(signed, two_classes())
    path = f"/api/network/training-jobs/{signed['job_id']}/"
    wait_until(lambda: client.get(path).json()["result"].get("live"), "the first epoch")
    time.sleep(SAVED_SECONDS)
    before = client.get(path).json()
    running.storage.emulator.kill()
    assert client.get(path).status_code == 503
    ill = wait_until(
        lambda: health if not (health := client.get("/health/").json())["ok"] else None, "health to say so"
    )
    assert (ill["db"], ill["tasks"], len(ill["reasons"])) == (False, True, 1)
    assert "Storage cannot be reached" in ill["reasons"][0]
    time.sleep(seconds)
    running.storage.emulator.start()
    wait_until(lambda: client.get(path).status_code == 200, "an answer of the storage", seconds=30)
    job = wait_for_end(client, signed["job_id"])
    assert before["status"] == "running", "the training was over before storage was killed"
    assert job["status"] == "succeeded", job["error"]
    assert job["result"]["history"] == undisturbed


def test_a_training_outlives_the_storage_it_writes_to(
    backend: Callable[..., Backend], shared_backend: Backend, own_azurite: Storage
) -> None:
    storage_killed_for(2, backend(storage=own_azurite), undisturbed_history(shared_backend))


@pytest.mark.soak
def test_a_training_outlives_half_a_minute_without_storage(
    backend: Callable[..., Backend], shared_backend: Backend, own_azurite: Storage
) -> None:
    storage_killed_for(30, backend(storage=own_azurite), undisturbed_history(shared_backend))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 MiB, as much as a small training takes with the reserve it is to leave free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or not mount or subprocess.run(command).returncode:
        pytest.skip("only root may mount a file system, and only Linux has tmpfs")
    yield folder
    # The host's folders in it are open until the host has ended.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all there is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    assert shutil.disk_usage(folder).free == 0
    return filler


def test_a_full_disk_fails_the_training_with_a_sentence_and_the_next_one_succeeds(
    backend: Callable[..., Backend], small_disk: Path
) -> None:
    running = backend(WORK_DIR=str(small_disk / "work"))
    client, filler = running.client(), fill(small_disk)
    signed = presign(client)
    upload(signed, two_classes())
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed"
    assert "disk" in job["error"]
    assert str(small_disk) not in job["error"]

    filler.unlink()
    signed = presign(client)
    upload(signed, two_classes())
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "succeeded", job["error"]


def test_a_disk_that_fills_up_while_it_trains_fails_the_training_with_a_sentence(
    backend: Callable[..., Backend], small_disk: Path
) -> None:
    running = backend(WORK_DIR=str(small_disk / "work"))
    client = running.client()
    signed = presign(client, epochs=5000, batch_size=1)
    upload(signed, two_classes())
    path = f"/api/network/training-jobs/{signed['job_id']}/"
    wait_until(lambda: client.get(path).json()["result"].get("live"), "the first epoch")
    fill(small_disk)
    job = wait_for_end(client, signed["job_id"])
    assert job["status"] == "failed"
    assert "disk" in job["error"]
    assert str(small_disk) not in job["error"]
    assert httpx.get(f"{running.url}/health/", trust_env=False).status_code == 200

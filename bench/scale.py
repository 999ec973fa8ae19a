"""Ten thousand trainings at once, simulated against the limits of a plan and a storage account: what breaks first?

`python dev.py bench scale`. Two halves. What one training asks of storage is counted here, on real trainings. What
Azure allows, and what a task hub asks of its queues and tables, comes from its documentation (`Limits`, `TASK_HUB`);
each number is an option. The simulation is event by event: activities wait in one queue for a free place on an
instance, run for a slice, and queue again, as on the real service. Prints the peak use of each limit.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, fields, replace

import httpx
import numpy as np

from bench.served import served


@dataclass(frozen=True)
class Limits:
    """What the plan and the storage account allow, per region and account, as documented in 2026."""

    account_requests: int = 20_000
    """Requests a second of a standard general-purpose v2 account."""
    queue_messages: int = 2_000
    """Messages a second of one queue: the work-item queue has every activity's."""
    partition_entities: int = 2_000
    """Entities a second of one table partition: an owner's jobs are one."""
    instances: int = 125
    """Instances of 4,096 MB (2 cores) within the default quota of 250 cores for a region."""
    activities: int = 2
    """Activities at once on an instance: maxConcurrentActivityFunctions of host.json."""


@dataclass(frozen=True)
class Scene:
    """What people do. Trainings are log-normal around `minutes`; `watched` is the share with an open canvas."""

    jobs: int = 10_000
    arrive_seconds: int = 600
    minutes: float = 5.0
    watched: float = 0.2
    polls: float = 5.0
    """Calls of `GET training-jobs/{id}/` a second by one canvas."""
    owners: int = 1_000
    slice_seconds: int = 300
    seed: int = 1


@dataclass(frozen=True)
class Calls:
    """Storage calls of the app: for each job, activity, second of an activity at work, and poll."""

    job: float
    activity: float
    second: float
    poll: float


# Storage calls and queue messages of Durable Functions' Azure Storage provider for one activity: the work item is put,
# taken and deleted, so is its answer in a control queue; the history is read and appended to, the instance updated.
TASK_HUB_CALLS, WORK_ITEM_MESSAGES = 9, 3


@dataclass(frozen=True)
class Outcome:
    """Peaks over the whole run, as shares of the limit where there is one."""

    places: float
    account: float
    work_items: float
    partition: float
    longest_wait: float
    median_wait: float
    hours: float


def simulate(scene: Scene, limits: Limits, calls: Calls) -> Outcome:
    """Runs all jobs to their end."""
    chance = random.Random(scene.seed)
    arrivals = sorted(chance.uniform(0, scene.arrive_seconds) for _ in range(scene.jobs))
    left = [chance.lognormvariate(math.log(scene.minutes * 60), 0.8) for _ in arrivals]
    places = limits.instances * limits.activities
    waiting: deque[tuple[int, float]] = deque()
    running: list[tuple[float, int]] = []
    waits: list[float] = []
    ends = [0.0] * scene.jobs
    # (second, change): how many activities run; how many activities begin; how many canvases watch.
    work, begins, watching = Counter[int](), Counter[int](), Counter[int]()
    arrived, now, most = 0, 0.0, 0

    def begin() -> None:
        while waiting and len(running) < places:
            job, since = waiting.popleft()
            if since == arrivals[job]:
                waits.append(now - since)
            length = min(scene.slice_seconds, left[job])
            left[job] -= length
            heapq.heappush(running, (now + length, job))
            begins[int(now)] += 1
            work[int(now)] += 1
            work[int(now + length) + 1] -= 1

    while arrived < scene.jobs or running:
        if arrived < scene.jobs and (not running or arrivals[arrived] <= running[0][0]):
            now = arrivals[arrived]
            waiting.append((arrived, now))
            arrived += 1
        else:
            now, job = heapq.heappop(running)
            if left[job] > 0:
                waiting.append((job, now))
            else:
                ends[job] = now
        begin()
        most = max(most, len(running) + len(waiting))

    seconds = int(now) + 2
    for job, at in enumerate(arrivals):
        if chance.random() < scene.watched:
            watching[int(at)] += 1
            watching[int(ends[job]) + 1] -= 1
    at_work = np.cumsum([work[second] for second in range(seconds)])
    polls = np.cumsum([watching[second] for second in range(seconds)]) * scene.polls
    starts = np.array([begins[second] for second in range(seconds)], dtype=float)
    created = np.bincount([int(at) for at in arrivals], minlength=seconds)[:seconds]
    app = created * calls.job + starts * calls.activity + at_work * calls.second + polls * calls.poll
    # An owner's share of the calls, if the busiest has three times the average.
    partition = app * 3 / scene.owners
    return Outcome(
        places=most / places,
        account=float((app + starts * TASK_HUB_CALLS).max()) / limits.account_requests,
        work_items=float((starts * WORK_ITEM_MESSAGES).max()) / limits.queue_messages,
        partition=float(partition.max()) / limits.partition_entities,
        longest_wait=max(waits),
        median_wait=sorted(waits)[len(waits) // 2],
        hours=now / 3600,
    )


def measure() -> Calls:
    """Counts the calls of real trainings: a short one, a long one, and the long one cut into slices."""
    calls: Counter[str] = Counter()
    with served(calls) as (client, _):
        short = _training(client, calls, epochs=1)
        long = _training(client, calls, epochs=4000)
        # The short one: a history of thousands of epochs is kept in a blob, and takes another call.
        job = client.get("/api/network/training-jobs/").json()[-1]
        before = sum(calls.values())
        for _ in range(50):
            client.get(f"/api/network/training-jobs/{job['id']}/")
        poll = (sum(calls.values()) - before) / 50
    activity = 4.0  # the job's row is read and written when it is taken over and when it is let go
    second = (long[0] - short[0]) / max(long[1] - short[1], 1.0)
    return Calls(job=short[0] - 3 * activity, activity=activity, second=second, poll=poll)


def _training(client: httpx.Client, calls: Counter[str], *, epochs: int) -> tuple[int, float]:
    """Calls and seconds from the first request to the end."""
    graph = {
        "name": "small",
        "nodes": [
            {"id": "a", "type": "Input", "params": {"shape": "(2,)"}},
            {"id": "b", "type": "Dense", "params": {"units": 1}},
        ],
        "edges": [{"id": "e", "source": "a", "target": "b"}],
    }
    graph_id = client.post("/api/network/graphs/", json=graph).json()["id"]
    parameters = {"x_columns": ["a", "b"], "y_column": "y", "epochs": epochs, "batch_size": 8}
    before, began = sum(calls.values()), time.monotonic()
    signed = client.post(f"/api/network/graphs/{graph_id}/presign-upload/", json=parameters).json()
    table = "a,b,y\n" + "".join(f"{row},{-row},{row % 7}\n" for row in range(200))
    httpx.put(signed["upload_url"], content=table, headers=signed["headers"], trust_env=False).raise_for_status()
    client.post(f"/api/network/training-jobs/{signed['job_id']}/start/")
    while True:
        time.sleep(1)
        looking = sum(calls.values())
        job = client.get(f"/api/network/training-jobs/{signed['job_id']}/").json()
        before += sum(calls.values()) - looking
        if job["status"] not in ("queued", "running"):
            assert job["status"] == "succeeded", job["error"]
            return sum(calls.values()) - before, time.monotonic() - began


LIMIT_NAMES = {
    "places": "places for activities (all jobs at once)",
    "account": "requests of the storage account",
    "work_items": "messages of the work-item queue",
    "partition": "entities of the busiest owner's partition",
}


def report(scene: Scene, limits: Limits, calls: Calls) -> None:
    outcome = simulate(scene, limits, calls)
    print(f"  {scene.jobs:>6,} jobs on {limits.instances * limits.activities:,} places:", end=" ")
    print(f"all done after {outcome.hours:.1f} h; wait for the first slice {outcome.median_wait / 60:.1f} min", end=" ")
    print(f"(median), {outcome.longest_wait / 60:.1f} min (longest)")
    for name, what in LIMIT_NAMES.items():
        share = getattr(outcome, name)
        print(f"      {share:>8.1%}  {what}{'   <- over the limit' if share > 1 and name != 'places' else ''}")


def first_to_break(scene: Scene, limits: Limits, calls: Calls) -> list[tuple[int, str]]:
    """For each limit the number of jobs at which it is reached, the lowest first, were the others no limit."""
    unlimited = replace(limits, instances=10**9)
    outcome = simulate(scene, unlimited, calls)
    # All of these grow with the number of jobs, the owners staying the same.
    reached = [
        (int(scene.jobs / getattr(outcome, name)), what) for name, what in LIMIT_NAMES.items() if name != "places"
    ]
    at_once = outcome.places * unlimited.instances * unlimited.activities
    places = int(scene.jobs * limits.instances * limits.activities / at_once)
    return sorted([*reached, (places, LIMIT_NAMES["places"])])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for kind in (Limits, Scene):
        for field in fields(kind):
            default = field.default
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(default), default=default)
    given = vars(parser.parse_args())
    limits = Limits(**{field.name: given[field.name] for field in fields(Limits)})
    scene = Scene(**{field.name: given[field.name] for field in fields(Scene)})
    calls = measure()
    print(f"Storage calls counted: {calls.job:.0f} a job, {calls.activity:.0f} an activity,", end=" ")
    print(f"{calls.second:.1f} a second at work, {calls.poll:.1f} a poll.")
    print("With the plan's instances:")
    for jobs in (100, 1_000, scene.jobs):
        report(replace(scene, jobs=jobs), limits, calls)
    print("If instances were no limit:")
    report(scene, replace(limits, instances=scene.jobs), calls)
    print(f"Reached first, by jobs that arrive within {scene.arrive_seconds / 60:.0f} minutes:")
    for jobs, what in first_to_break(scene, limits, calls):
        print(f"  {jobs:>9,}  {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

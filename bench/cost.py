"""What a month costs at 1, 100 and 10,000 trainings a day, worked out on paper: usage times list prices.

`python dev.py bench cost` prints the table of docs/operate.md. Everything is an option. `Prices` are list prices as
last seen in 2025 and must be read anew for the region and the contract. `Usage` is what the app asks for: storage calls
as `bench/scale.py` counts them, sizes of telemetry by estimate. Where a figure is uncertain, the dearer one is taken.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict, dataclass, fields

DAYS, DAY_SECONDS = 30, 86_400
JOBS_A_DAY = (1, 100, 10_000)


@dataclass(frozen=True)
class Prices:
    """US dollars: Flex Consumption and what is around it, list prices of East US as last seen in 2025."""

    gb_second: float = 0.000026
    """On demand, for instances at work."""
    million_executions: float = 0.40
    free_gb_seconds: float = 100_000
    """A month, for a subscription; executions likewise."""
    free_executions: float = 250_000
    ready_gb_second: float = 0.000004
    """For an always-ready instance, whether it works or not."""
    blob_10k: float = 0.05
    """10,000 writes of hot blobs; reads are a tenth of that and counted as writes."""
    table_10k: float = 0.00036
    queue_10k: float = 0.004
    stored_gb: float = 0.018
    """A month, hot, in one data centre."""
    log_gb: float = 2.30
    free_log_gb: float = 5
    alert_rule: float = 1.50
    """A month, for a rule that is evaluated every five minutes."""


@dataclass(frozen=True)
class Usage:
    """What one training asks for, and what is there without any."""

    minutes: float = 5
    overhead_seconds: float = 20
    """Starting the child, reading the dataset, evaluating."""
    slice_seconds: float = 300
    watched: float = 0.2
    """Share of the trainings that somebody looks at all the time, with `polls` calls a second."""
    polls: float = 5
    canvases: float = 10
    """How many canvases one instance answers."""
    instance_gb: float = 4
    ready_instances: float = 2
    job_calls: float = 44
    activity_calls: float = 4
    second_calls: float = 2.7
    poll_calls: float = 1
    second_blob_calls: float = 0.7
    """Of `second_calls`, those for checkpoints; the others are for the job's row."""
    hub_calls: float = 9
    """Of the task hub, for an activity."""
    idle_calls: float = 2
    """A second: the task hub's queues are looked at, whether there is work or not."""
    stored_mb: float = 10
    """Dataset, artifacts and result of a training."""
    kept_days: float = 30
    request_log_bytes: float = 3_000
    activity_log_bytes: float = 15_000
    alert_rules: float = 9


def month(jobs: float, prices: Prices, usage: Usage) -> dict[str, float]:
    """Dollars a month by what they are paid for."""
    seconds = usage.minutes * 60
    activities = 2 + math.ceil(seconds / usage.slice_seconds)
    polls = usage.watched * seconds * usage.polls
    # Instances that answer polls are paid for while any canvas is open; trainings have an instance each.
    open_canvases = jobs * usage.watched * seconds / DAY_SECONDS
    answering = max(1 - math.exp(-open_canvases), open_canvases / usage.canvases) * DAY_SECONDS
    gb_seconds = DAYS * usage.instance_gb * (jobs * (seconds + usage.overhead_seconds) + answering)
    executions = DAYS * jobs * (2 * activities + polls + 5)
    blob_calls = DAYS * jobs * (usage.job_calls + seconds * usage.second_blob_calls)
    row_calls = seconds * (usage.second_calls - usage.second_blob_calls)
    table_calls = DAYS * jobs * (activities * usage.activity_calls + row_calls + polls * usage.poll_calls)
    queue_calls = DAYS * (jobs * activities * usage.hub_calls + DAY_SECONDS * usage.idle_calls)
    stored = jobs * usage.kept_days * usage.stored_mb / 1000
    logs = DAYS * jobs * ((polls + 5) * usage.request_log_bytes + activities * usage.activity_log_bytes) / 1e9
    return {
        "instances at work": max(0.0, gb_seconds - prices.free_gb_seconds) * prices.gb_second,
        "executions": max(0.0, executions - prices.free_executions) * prices.million_executions / 1e6,
        "always-ready instances": (
            usage.ready_instances * usage.instance_gb * DAYS * DAY_SECONDS * prices.ready_gb_second
        ),
        "storage calls": (
            blob_calls * prices.blob_10k + table_calls * prices.table_10k + queue_calls * prices.queue_10k
        )
        / 10_000,
        "stored data": stored * prices.stored_gb,
        "logs and metrics": max(0.0, logs - prices.free_log_gb) * prices.log_gb,
        "alert rules": usage.alert_rules * prices.alert_rule,
    }


def table(prices: Prices, usage: Usage) -> str:
    """The months side by side, in Markdown."""
    months = [month(jobs, prices, usage) for jobs in JOBS_A_DAY]
    lines = [
        f"| dollars a month, at | {' | '.join(f'{jobs:,} a day' for jobs in JOBS_A_DAY)} |",
        "|---|" + "---:|" * len(months),
    ]
    for what in months[0]:
        lines.append(f"| {what} | {' | '.join(f'{each[what]:,.2f}' for each in months)} |")
    totals = [sum(each.values()) for each in months]
    lines.append(f"| **together** | {' | '.join(f'**{total:,.2f}**' for total in totals)} |")
    each_job = [total / DAYS / jobs for total, jobs in zip(totals, JOBS_A_DAY, strict=True)]
    lines.append(f"| for a training | {' | '.join(f'{cost:,.3f}' for cost in each_job)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    defaults = {**asdict(Prices()), **asdict(Usage())}
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    given = vars(parser.parse_args())
    prices = Prices(**{field.name: given[field.name] for field in fields(Prices)})
    print(table(prices, Usage(**{field.name: given[field.name] for field in fields(Usage)})))
    return 0


if __name__ == "__main__":
    sys.exit(main())

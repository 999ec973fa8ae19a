"""The rules of the two timers, in the order in which they have their turns.

A name is the rule's in the log, and the key under which it remembers where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from core.importing.store import ImportStore
from core.jobs.store import JobStore
from core.serving.batches.store import BatchStore
from core.upkeep.belongings import PLACES
from core.upkeep.histories import purge_histories
from core.upkeep.kinds import BATCHES, IMPORTS, TRAININGS
from core.upkeep.leftovers import delete_leftovers
from core.upkeep.lost_runs import restart_lost
from core.upkeep.lost_starts import start_lost
from core.upkeep.quotas import reconcile_quotas
from core.upkeep.retention import end_retention
from core.upkeep.round import Rule
from core.upkeep.uploads import end_never_uploaded
from core.upkeep.work_folders import clear_work_folders

START_LOST: Mapping[str, Rule] = {
    "lost starts of trainings": partial(start_lost, TRAININGS),
    "lost starts of imports": partial(start_lost, IMPORTS),
    "lost starts of batches": partial(start_lost, BATCHES),
    "lost runs of trainings": partial(restart_lost, TRAININGS),
    "lost runs of imports": partial(restart_lost, IMPORTS),
    "lost runs of batches": partial(restart_lost, BATCHES),
}

# A mark that says what is needed no more comes before the leftovers, which go by it.
CLEAN_UP: Mapping[str, Rule] = {
    "uploads of trainings that never came": partial(end_never_uploaded, TRAININGS),
    "uploads of imports that never came": partial(end_never_uploaded, IMPORTS),
    "uploads of batches that never came": partial(end_never_uploaded, BATCHES),
    "retention of trainings": partial(end_retention, TRAININGS),
    "retention of imports": partial(end_retention, IMPORTS),
    "retention of batches": partial(end_retention, BATCHES),
    **{f"leftovers in {name}": partial(delete_leftovers, place) for name, place in PLACES.items()},
    "histories": purge_histories,
    "quotas of trainings": partial(reconcile_quotas, JobStore),
    "quotas of imports": partial(reconcile_quotas, ImportStore),
    "quotas of batches": partial(reconcile_quotas, BatchStore),
    "work folders": clear_work_folders,
}

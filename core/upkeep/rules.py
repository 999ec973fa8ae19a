"""The rules of the two timers, in the order in which they have their turns.

A name is the rule's in the log, and the key under which it remembers where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from core.importing.store import ImportStore
from core.jobs.store import JobStore
from core.upkeep.belongings import PLACES
from core.upkeep.histories import purge_histories
from core.upkeep.kinds import IMPORTS, TRAININGS
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
    "lost runs of trainings": partial(restart_lost, TRAININGS),
    "lost runs of imports": partial(restart_lost, IMPORTS),
}

# A mark that says what is needed no more comes before the leftovers, which go by it.
CLEAN_UP: Mapping[str, Rule] = {
    "uploads of trainings that never came": partial(end_never_uploaded, TRAININGS),
    "uploads of imports that never came": partial(end_never_uploaded, IMPORTS),
    "retention of trainings": partial(end_retention, TRAININGS),
    "retention of imports": partial(end_retention, IMPORTS),
    **{f"leftovers in {name}": partial(delete_leftovers, place) for name, place in PLACES.items()},
    "histories": purge_histories,
    "quotas of trainings": partial(reconcile_quotas, JobStore),
    "quotas of imports": partial(reconcile_quotas, ImportStore),
    "work folders": clear_work_folders,
}

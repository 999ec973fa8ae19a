"""One training in memory: the network, its place in the run, and the loop that goes on from there.

The loop does what Keras's `fit` does, in the same order, but can stop after any chunk of batches and go on in another
process: every number it depends on is in the checkpoint, and each epoch's order follows from seed and epoch alone.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.keras_worker.checkpoint import Arrays, Checkpoint, save_checkpoint
from core.keras_worker.dataset import Dataset, Indices, epoch_order
from core.keras_worker.initial_weights import take_weights
from core.keras_worker.kill_points import passed
from core.keras_worker.model import make_model
from core.keras_worker.progress import Progress
from core.keras_worker.steps import Steps
from core.keras_worker.targets import resolve_monitors
from core.keras_worker.watchers import Watchers

Phase = Literal["fit", "validate", "done"]
Logs = dict[str, Any]
_PHASES: tuple[Phase, ...] = ("fit", "validate", "done")

# A chunk of batches runs in one call: long enough to hide the call, short enough for a cancel to be noticed.
_CHUNK_SECONDS = 0.1
_CHUNK_BYTES = 32 * 1024 * 1024
_CHECKPOINT_SECONDS = 60.0


@dataclass
class Position:
    """Where the run is: `epoch` from 0, and the batches done in this phase of it."""

    epoch: int = 0
    phase: Phase = "fit"
    batch: int = 0

    @property
    def name(self) -> str:
        """The checkpoint's name at this place; names sort as places do."""
        return f"{self.epoch:06d}-{_PHASES.index(self.phase)}-{self.batch:09d}"


@dataclass(frozen=True)
class Reporting:
    """Whom the loop asks and tells: `stop` between chunks, `saved` after each durable checkpoint."""

    stop: Callable[[], bool]
    progress: Progress
    saved: Callable[[str], None]


class Training:
    """A training that can be advanced, saved, and restored from a checkpoint."""

    def __init__(
        self,
        job: dict[str, Any],
        data: Dataset,
        checkpoints: Path,
        checkpoint: Checkpoint | None,
        initial: Path | None = None,
    ) -> None:
        """`job` holds graph, params, seed and threads; `checkpoint` is one of this job, where there is one, and
        `initial` the file of the weights to begin with."""
        self.position = Position()
        self.history: dict[str, list[Any]] = {}
        self.data = data
        self.params = job["params"]
        self.model = make_model(job["graph"], self.params, job["seed"])
        passed("model-built")
        if initial is not None:
            # Before anything is traced, also where a checkpoint follows: Normalization makes constants of its weights.
            take_weights(self.model, job["graph"], initial)
        self._seed = job["seed"]
        self._folder = checkpoints
        self.threads: int = job["threads"]
        self._identity = {"job": fingerprint(job, data), "threads": self.threads}
        self._logs: Logs = {}
        self._order: Indices | None = None
        self._chunk = 1
        self._saved_at = time.monotonic()
        self.model.optimizer.build(self.model.trainable_variables)
        self._fit = Steps(self.model.train_step, self.model, data.rows(data.split.train[:1], weighted=True))
        self._watchers = Watchers(self.model, resolve_monitors(self.params), validates=self.validates)
        self._saved_name = ""
        if checkpoint is not None:
            self._restore(checkpoint)
            passed("state-restored")

    @cached_property
    def test(self) -> Steps:
        """Keras's evaluation steps, which add to the metrics."""
        return Steps(self.model.test_step, self.model, self.data.rows(self.data.split.train[:1], weighted=False))

    @property
    def done(self) -> bool:
        return self.position.phase == "done"

    @property
    def best_weights(self) -> Arrays | None:
        """The weights of the best epoch, if they are kept."""
        return self._watchers.best_weights

    def advance(self, reporting: Reporting) -> None:
        """Goes on until the training is done or it is told to stop, and leaves a checkpoint of where it is."""
        while not self.done and self._finish_phase(reporting):
            if self.position.phase == "fit":
                self._logs = self.metrics()
                self.position = Position(self.position.epoch, "validate")
                passed("epoch-fitted")
            else:
                self._end_epoch(reporting.progress)
                self._save(reporting)
        self._save(reporting)

    def metrics(self) -> Logs:
        """The metrics accumulated since they were last reset, as plain numbers."""
        return {name: _plain(value) for name, value in self.model.get_metrics_result().items()}

    @property
    def validates(self) -> bool:
        """Whether each epoch ends with a validation."""
        return len(self.data.split.validation) > 0

    def _finish_phase(self, reporting: Reporting) -> bool:
        """Runs the batches left in this phase; false if it was told to stop before all were done."""
        fitting = self.position.phase == "fit"
        size = (
            self.params["batch_size"] if fitting else self.params["validation_batch_size"] or self.params["batch_size"]
        )
        order = self._epoch_order() if fitting else self.data.split.validation
        batches = -(-len(order) // size)
        if self.position.batch == 0 and batches:
            self.model.reset_metrics()
        while self.position.batch < batches:
            if reporting.stop():
                return False
            done = self.position.batch
            count = min(self._chunk, batches - done)
            self._run_chunk(order[done * size : (done + count) * size], size)
            self.position.batch += count
            if fitting:
                reporting.progress.batches_done(self.position.epoch, self.position.batch / batches)
            passed("chunk-trained" if fitting else "chunk-validated")
            if time.monotonic() - self._saved_at > _CHECKPOINT_SECONDS:
                self._save(reporting)
        return True

    def _run_chunk(self, indices: Indices, batch_size: int) -> None:
        fitting = self.position.phase == "fit"
        began = time.monotonic()
        rows = self.data.rows(indices, weighted=fitting)
        (self._fit if fitting else self.test)(rows, batch_size)
        seconds = time.monotonic() - began
        heavy = sum(part.nbytes for part in rows) * 2 > _CHUNK_BYTES
        if seconds > _CHUNK_SECONDS:
            self._chunk = max(1, self._chunk // 2)
        elif seconds < _CHUNK_SECONDS / 2 and not heavy:
            self._chunk *= 2

    def _epoch_order(self) -> Indices:
        if self._order is None:
            self._order = epoch_order(self.data.split.train, self.params["shuffle"], self._seed, self.position.epoch)
        return self._order

    def _end_epoch(self, progress: Progress) -> None:
        """What `fit` does after an epoch's batches, and at the end of the training, in its order."""
        if self.validates:
            self._logs |= {f"val_{name}": value for name, value in self.metrics().items()}
        passed("epoch-validated")
        epoch = self.position.epoch
        self.model.stop_training = False
        self._watchers.epoch_ended(epoch, self._logs)
        passed("callbacks-called")
        for name, value in self._logs.items():
            self.history.setdefault(name, []).append(value)
        progress.epoch_done(epoch, self._logs)
        if self.model.stop_training or epoch + 1 == self.params["epochs"]:
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            self._watchers.training_ended()
            self.position = Position(epoch, "done")
            passed("training-finalised")
        else:
            self.position = Position(epoch + 1)
        self._logs, self._order = {}, None

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables, *self.model.metrics_variables]

    def _save(self, reporting: Reporting) -> None:
        """Writes a checkpoint of this place, unless the newest one is just that."""
        self._saved_at = time.monotonic()
        if self._saved_name == self.position.name:
            return
        state = {
            "position": asdict(self.position),
            "history": self.history,
            "logs": self._logs,
            "watchers": self._watchers.state(),
            "identity": self._identity,
        }
        groups = {"state": [variable.numpy() for variable in self._variables()], **self._watchers.arrays()}
        save_checkpoint(self._folder, Checkpoint(self.position.name, state, groups))
        self._saved_name = self.position.name
        reporting.saved(self.position.name)

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.position = Position(**state["position"])
        self._saved_name = checkpoint.name
        self.history, self._logs = state["history"], state["logs"]
        groups = dict(checkpoint.groups)
        for variable, value in zip(self._variables(), groups.pop("state"), strict=True):
            variable.assign(value)
        self._watchers.restore(state["watchers"], groups)


def fingerprint(job: dict[str, Any], data: Dataset) -> str:
    """Tells one job from another: a checkpoint is only ever taken up by the training that wrote it."""
    parts = [job["graph"], job["params"], job["seed"], data.manifest["data_sha256"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    number = np.asarray(value)
    return float(number) if number.ndim == 0 else number.astype(float).tolist()

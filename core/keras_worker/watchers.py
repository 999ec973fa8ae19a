"""What watches a training at the end of each epoch: Keras's own callbacks, with a state that can be saved and restored.

Keras's `on_train_begin` resets its callbacks, and nothing in Keras saves them; here they are made anew in each
process and given back what they knew.
"""

from typing import Any

import keras
import numpy as np

from core.keras_worker.errors import Refused

Arrays = list[np.ndarray]


class Watchers:
    """Early stopping, learning-rate reduction and the best model so far, as the parameters ask for."""

    def __init__(self, model: keras.Model, params: dict[str, Any], validates: bool) -> None:
        self._model = model
        self._all: dict[str, Any] = {}
        if params["save_best_model"]:
            # Never stops anything: it compares and keeps weights exactly as ModelCheckpoint(save_best_only) would.
            self._all["best"] = keras.callbacks.EarlyStopping(
                "val_loss" if validates else "loss", patience=2**62, restore_best_weights=True
            )
        if params["early_stopping"]:
            self._all["stopping"] = keras.callbacks.EarlyStopping(
                params["es_monitor"],
                min_delta=params["es_min_delta"],
                patience=params["es_patience"],
                mode=params["es_mode"],
                restore_best_weights=params["es_restore_best_weights"],
            )
        if params["reduce_lr"]:
            self._all["reduction"] = keras.callbacks.ReduceLROnPlateau(
                params["rlrop_monitor"],
                factor=params["rlrop_factor"],
                patience=params["rlrop_patience"],
                min_lr=params["rlrop_min_lr"],
            )
        for watcher in self._all.values():
            watcher.set_model(model)
            watcher.on_train_begin()

    def epoch_ended(self, epoch: int, logs: dict[str, float]) -> None:
        """Shows the epoch's numbers to each watcher, which may stop the training, lower the learning rate (adding it
        to `logs`, as in `fit`) or keep weights. Raises Refused for a monitor whose direction Keras does not know."""
        for watcher in self._all.values():
            try:
                watcher.on_epoch_end(epoch, logs)
            except ValueError as error:
                if watcher.monitor_op is not None:
                    raise
                raise Refused(
                    f"Keras does not know whether '{watcher.monitor}' should rise or fall: choose the mode min or max."
                ) from error

    def training_ended(self) -> None:
        """Puts the best weights back into the model where early stopping was told so."""
        if "stopping" in self._all:
            self._all["stopping"].on_train_end()

    @property
    def best_weights(self) -> Arrays | None:
        """The weights of the best epoch, for the best-model artifact."""
        return self._all["best"].best_weights if "best" in self._all else None

    def state(self) -> dict[str, dict[str, Any]]:
        """All counters, by watcher; JSON apart from NaN, which Python's JSON writes and reads."""
        return {
            name: {key: _plain(getattr(watcher, key)) for key in _COUNTERS if hasattr(watcher, key)}
            for name, watcher in self._all.items()
        }

    def arrays(self) -> dict[str, Arrays]:
        """The weights kept, by watcher."""
        kept = {name: getattr(watcher, "best_weights", None) for name, watcher in self._all.items()}
        return {name: weights for name, weights in kept.items() if weights is not None}

    def restore(self, state: dict[str, dict[str, Any]], arrays: dict[str, Arrays]) -> None:
        """Takes up what `state` and `arrays` gave in another process."""
        for name, watcher in self._all.items():
            for key, value in state[name].items():
                setattr(watcher, key, value)
            if name in arrays:
                watcher.best_weights = arrays[name]


_COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else float(value)

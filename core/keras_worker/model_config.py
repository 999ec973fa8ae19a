"""The JSON in which Keras describes a model: parsed, and looked through for whatever could run or reach out.

Nothing is deserialised: what is left is data that `core.graphs.keras_json` holds against the catalogue. The
checks here name what Keras's own loading was caught with, so that the refusal says it in plain words.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from core.keras_worker.errors import Refused

# A layer in a wrapper in a nested model is some thirty deep.
_DEEPEST = 100
_MODULES = re.compile(
    r"(tf_)?keras(\.src)?(\.(layers|models|engine|ops|initializers|regularizers|constraints|activations"
    r"|dtype_policies|mixed_precision)(\.\w+)*)?|builtins"
)
_CODE = {"Lambda", "__lambda__"}
# Layers that would load a program from elsewhere, each with what it loads.
_FOREIGN = {
    "TFSMLayer": "a TensorFlow program",
    "TorchModuleWrapper": "a PyTorch module",
    "FlaxLayer": "a Flax module",
    "JaxLayer": "a JAX function",
}
# Written by Keras, but of training or of weights only: never read, so a loss of one's own may stand there.
_IGNORED = ("compile_config", "build_config", "training_config")


def parse_config(text: str | bytes, what: str) -> dict[str, Any]:
    """The model's JSON object, tuples as lists. Raises Refused; `what` names the place it comes from."""
    value = _parse(text, what)
    if not isinstance(value, dict):
        raise Refused(f"{what} is no JSON object, so it is no Keras model.")
    _check(value)
    return _plain(value)


def _parse(text: str | bytes, what: str) -> Any:
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(decoded, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise Refused(f"{what} is nested more than {_DEEPEST} deep, as no model is.") from None
    except ValueError:
        raise Refused(f"{what} is not valid JSON; save the model and upload it again.") from None


def _refuse_constant(name: str) -> Any:
    raise Refused(f"The model's config holds {name}, which is no number; save the model with finite values.")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse_constant(digits[:20])


def _check(model: dict[str, Any]) -> None:
    """Looks at every object, however deep. Raises Refused for the first that may not be there."""
    waiting: list[tuple[Any, int]] = [(model, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise Refused(f"The model's config is nested more than {_DEEPEST} deep, as no model is.")
        if isinstance(value, dict):
            _check_object(value)
            inner = (item for key, item in value.items() if key not in _IGNORED)
            waiting += ((item, depth + 1) for item in inner if isinstance(item, dict | list))
        elif isinstance(value, list):
            waiting += ((item, depth + 1) for item in value if isinstance(item, dict | list))


def _check_object(value: dict[str, Any]) -> None:
    name, module = value.get("class_name"), value.get("module")
    if isinstance(name, str):
        plain = name.rsplit(">", 1)[-1]
        label = _label(value, name)
        if plain in _CODE:
            raise Refused(
                f"'{label}' is a Lambda, which carries Python code; code in a file is never run here."
                " Build it from Keras's own layers and save the model again."
            )
        if plain in _FOREIGN:
            raise Refused(
                f"'{label}' is a {plain}, which would load {_FOREIGN[plain]}; only Keras's own layers are read."
            )
        if isinstance(module, str) and not _MODULES.fullmatch(module):
            raise Refused(
                f"'{label}' is {name[:80]} from the module {module[:80]}; only Keras's own layers and parts are read."
            )
    if isinstance(value.get("vocabulary"), str):
        raise Refused("A lookup layer takes its vocabulary from a file; save the model with the words in it.")


def _label(value: dict[str, Any], name: str) -> str:
    config = value.get("config")
    own = config.get("name") if isinstance(config, dict) else None
    return (own if isinstance(own, str) and own else name)[:80]


def _plain(value: Any) -> Any:
    """Keras 2's `{"class_name": "__tuple__", "items": […]}` and Keras 3's with `config.value` as lists."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape"):
        config = value.get("config")
        items = value.get("items", config.get("value") if isinstance(config, dict) else None)
        if isinstance(items, list):
            return [_plain(item) for item in items]
    # The package tf_keras is Keras 2 under another name.
    return {
        key: item.removeprefix("tf_") if key == "module" and isinstance(item, str) else _plain(item)
        for key, item in value.items()
        if key not in _IGNORED
    }

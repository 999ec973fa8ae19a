"""Models that Keras itself builds and writes, for the tests of import: `python -m tests.unit.graphs.keras_models`.

Prints `{name: model JSON}` from the numpy backend.
"""

from __future__ import annotations

import json
from typing import Any


def build() -> dict[str, Any]:
    import keras
    from keras import layers

    def nested() -> Any:
        inner = keras.Input((4,), name="inner_input")
        two = keras.Model(
            inner, [layers.Dense(2, name="left")(inner), layers.Dense(3, name="right")(inner)], name="two"
        )
        tower = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="in_tower")], name="tower")
        x = keras.Input((4,), name="x")
        once = tower(x)
        twice = tower(once)
        a, _ = two(once)
        _, d = two(twice)
        return keras.Model(x, [a, d, once + 1.0 - twice, 2.0 - once[:, 0:2]], name="nested")

    def attention() -> Any:
        x = keras.Input((5, 4), name="x")
        out, h, c = layers.LSTM(3, return_state=True, dropout=0.3, name="encoder")(x)
        decoded = layers.LSTM(3, name="decoder")(x, initial_state=[h, c])
        attended = layers.MultiHeadAttention(2, 3, name="mha")(x, value=x, use_causal_mask=True)
        return keras.Model(x, [decoded, attended, layers.Attention(name="dot")([x, x]), out], name="attention")

    def shared() -> Any:
        left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
        tower = layers.Dense(4, name="tower", kernel_regularizer=keras.regularizers.L2(0.5))
        return keras.Model(
            [right, left], layers.Add(name="sum")([tower(left), tower(right), tower(tower(left))]), name="shared"
        )

    def named_ends() -> Any:
        x = keras.Input((4,), name="x")
        return keras.Model(
            {"x": x}, {"a": layers.Dense(1, name="a")(x), "b": [layers.Dense(2, name="b")(x)]}, name="named_ends"
        )

    def wrappers() -> Any:
        both: Any = layers.Bidirectional  # its stub does not know that merge_mode may be None
        x = keras.Input((5, 4), name="x")
        inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="each")], name="per_step")
        y = layers.TimeDistributed(inner, name="steps")(x)
        y = both(layers.GRU(3, return_sequences=True, name="gru"), merge_mode=None, name="both")(y)
        y = layers.RNN([layers.LSTMCell(3, name="c1"), layers.GRUCell(4, name="c2")], name="cells")(y[0])
        return keras.Model(
            x, layers.Dense(2, activation=layers.LeakyReLU(0.25, name="leak"), name="out")(y), name="wrappers"
        )

    def middle_output() -> Any:
        x = keras.Input((4,), name="x", batch_size=2, dtype="int32")
        y = layers.Embedding(9, 3, name="words", mask_zero=True)(x)
        return keras.Model(x, [y, layers.Flatten(name="flat")(y)], name="middle_output")

    def frozen() -> Any:
        x = keras.Input((4,), name="x")
        y = layers.Dense(3, trainable=False, dtype="mixed_float16", name="fixed")(x)
        return keras.Model(x, layers.BatchNormalization(name="norm")(y, training=False), name="frozen")

    models = (nested, attention, shared, named_ends, wrappers, middle_output, frozen)
    return {make.__name__: json.loads(make().to_json()) for make in models}


def main() -> None:
    from core.keras_worker import light_backend

    light_backend.install()
    print(json.dumps(build()))


if __name__ == "__main__":
    main()

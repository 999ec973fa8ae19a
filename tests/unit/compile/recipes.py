"""How each layer of the catalogue can be tried: its parameters and the inputs that it takes.

A recipe is `(params, shapes)` or `(params, shapes, dtype)`; layers without one are in NO_RECIPE with
the reason. A test holds both lists together against the catalogue.
"""

from __future__ import annotations

from typing import Any

VECTOR, SERIES, IMAGE, VOLUME = [6], [8, 5], [16, 16, 3], [8, 8, 8, 2]
VIDEO_1D, VIDEO_2D, VIDEO_3D = [4, 8, 3], [4, 8, 8, 3], [3, 4, 4, 4, 2]
WORDS = ["a", "b", "c"]

Recipe = tuple[Any, ...]

RECIPES: dict[str, Recipe] = {
    "Input": ({}, []),
    "InputLayer": ({}, []),
    "Activation": ({"activation": "relu"}, [VECTOR]),
    "ActivityRegularization": ({"l1": 0.1}, [VECTOR]),
    "AlphaDropout": ({"rate": 0.2}, [VECTOR]),
    "Bidirectional": ({"layer": "GRU(4, return_sequences=True)"}, [SERIES]),
    "CategoryEncoding": ({"num_tokens": 4}, [[3]], "int32"),
    "CenterCrop": ({"height": 8, "width": 8}, [IMAGE]),
    "Discretization": ({"bin_boundaries": [0.0, 0.5]}, [VECTOR]),
    "Dot": ({"axes": 1}, [SERIES, SERIES]),
    "Dropout": ({"rate": 0.5}, [VECTOR]),
    "Dense": ({"units": 7, "activation": "relu"}, [VECTOR]),
    "EinsumDense": ({"equation": "ab,bc->ac", "output_shape": 9, "bias_axes": "c"}, [VECTOR]),
    "Embedding": ({"input_dim": 20, "output_dim": 4}, [[8]], "int32"),
    "GaussianDropout": ({"rate": 0.2}, [VECTOR]),
    "GaussianNoise": ({"stddev": 0.2}, [VECTOR]),
    "GroupNormalization": ({"groups": 3}, [VECTOR]),
    "GroupQueryAttention": ({"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2}, [SERIES, SERIES]),
    "GRUCell": ({"units": 4}, [VECTOR, [4]]),
    "LSTMCell": ({"units": 4}, [VECTOR, [4], [4]]),
    "SimpleRNNCell": ({"units": 4}, [VECTOR, [4]]),
    "StackedRNNCells": ({"cells": "[GRUCell(4), GRUCell(3)]"}, [VECTOR, [4], [3]]),
    "Hashing": ({"num_bins": 5}, [[3]], "int32"),
    "HashedCrossing": ({"num_bins": 5}, [[1], [1]], "int32"),
    "IntegerLookup": ({"vocabulary": [3, 5, 7]}, [[3]], "int64"),
    "StringLookup": ({"vocabulary": WORDS}, [[3]], "string"),
    "TextVectorization": ({"vocabulary": WORDS, "output_sequence_length": 6}, [[1]], "string"),
    "Masking": ({}, [SERIES]),
    "MelSpectrogram": ({}, [[8000]]),
    "STFTSpectrogram": ({}, [[8000, 1]]),
    "MultiHeadAttention": ({"num_heads": 2, "key_dim": 3}, [SERIES, SERIES]),
    "Normalization": ({"mean": 0.0, "variance": 1.0}, [VECTOR]),
    "Permute": ({"dims": [2, 1]}, [SERIES]),
    "Pipeline": ({"layers": "[Rescaling(0.5), Resizing(8, 8)]"}, [IMAGE]),
    "RepeatVector": ({"n": 3}, [VECTOR]),
    "Rescaling": ({"scale": 0.1}, [VECTOR]),
    "Reshape": ({"target_shape": "(3, 2)"}, [VECTOR]),
    "Resizing": ({"height": 8, "width": 10}, [IMAGE]),
    "ReversibleEmbedding": ({"input_dim": 20, "output_dim": 4}, [[8]], "int32"),
    "RNN": ({"cell": "LSTMCell(4)", "return_sequences": True}, [SERIES]),
    "SpatialDropout1D": ({"rate": 0.1}, [SERIES]),
    "SpatialDropout2D": ({"rate": 0.1}, [IMAGE]),
    "SpatialDropout3D": ({"rate": 0.1}, [VOLUME]),
    "SpectralNormalization": ({"layer": "Dense(3)"}, [VECTOR]),
    "TimeDistributed": ({"layer": "Dense(3, activation='relu')"}, [SERIES]),
    "Attention": ({"use_scale": True}, [SERIES, SERIES]),
    "AdditiveAttention": ({}, [SERIES, SERIES]),
    "PReLU": ({"shared_axes": 1}, [SERIES]),
    "Softmax": ({}, [VECTOR]),
    "ConvLSTM1D": ({"filters": 4, "kernel_size": 3}, [VIDEO_1D]),
    "ConvLSTM2D": ({"filters": 4, "kernel_size": 3, "return_sequences": True}, [VIDEO_2D]),
    "ConvLSTM3D": ({"filters": 2, "kernel_size": 2}, [VIDEO_3D]),
    "RandomFlip": ({}, [IMAGE]),
    "RandomTranslation": ({"height_factor": 0.1, "width_factor": 0.1}, [IMAGE]),
    "RandomZoom": ({"height_factor": 0.1}, [IMAGE]),
    "RandomCrop": ({"height": 8, "width": 8}, [IMAGE]),
    "RandomPosterization": ({"factor": 3}, [IMAGE]),
    "GlobalAveragePooling1D": ({"keepdims": True}, [SERIES]),
}
for _name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"):
    RECIPES[_name] = ({}, [SERIES, SERIES])
for _name in (
    "BatchNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
    "Flatten",
    "Identity",
):
    RECIPES[_name] = ({}, [SERIES])
for _name in ("ELU", "LeakyReLU", "ReLU"):
    RECIPES[_name] = ({}, [VECTOR])
for _name in ("LSTM", "GRU", "SimpleRNN"):
    RECIPES[_name] = ({"units": 4, "return_state": True}, [SERIES])
for _rank, _shape in ((1, SERIES), (2, IMAGE), (3, VOLUME)):
    RECIPES[f"Conv{_rank}D"] = ({"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, [_shape])
    RECIPES[f"Conv{_rank}DTranspose"] = ({"filters": 4, "kernel_size": 3, "strides": 2}, [_shape])
    RECIPES[f"Cropping{_rank}D"] = ({"cropping": 1}, [_shape])
    RECIPES[f"UpSampling{_rank}D"] = ({}, [_shape])
    RECIPES[f"ZeroPadding{_rank}D"] = ({}, [_shape])
    RECIPES[f"MaxPooling{_rank}D"] = ({}, [_shape])
    RECIPES[f"AveragePooling{_rank}D"] = ({"pool_size": 2}, [_shape])
    RECIPES[f"GlobalMaxPooling{_rank}D"] = ({}, [_shape])
    RECIPES.setdefault(f"GlobalAveragePooling{_rank}D", ({}, [_shape]))
    if _rank < 3:
        RECIPES[f"SeparableConv{_rank}D"] = ({"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, [_shape])
        RECIPES[f"DepthwiseConv{_rank}D"] = ({"kernel_size": 3}, [_shape])
for _name in ("AugMix", "AutoContrast", "CutMix", "MixUp", "RandAugment", "RandomColorJitter",
              "RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomInvert",
              "RandomPerspective", "RandomShear", "Solarization"):  # fmt: skip
    RECIPES[_name] = ({}, [IMAGE])
for _name in ("RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomHue", "RandomRotation",
              "RandomSaturation", "RandomSharpness"):  # fmt: skip
    RECIPES[_name] = ({"factor": 0.2}, [IMAGE])

NO_RECIPE = {
    "MaxNumBoundingBoxes": "takes boxes and labels in an object that is no tensor",
    "Equalization": "Keras cannot use it in a functional model: its output is not connected to its input",
    "Lambda": "refused: carries code",
    "TFSMLayer": "refused: loads a program from a file",
    "JaxLayer": "refused: carries code",
    "FlaxLayer": "refused: carries code",
    "TorchModuleWrapper": "refused: carries code",
    "Layer": "refused: the abstract base",
    "Wrapper": "refused: the abstract base",
}
# How the second and later inputs reach layers whose call takes them as arguments of their own.
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "MultiHeadAttention": [{}, {"argument": "value"}],
    "GroupQueryAttention": [{}, {"argument": "value"}],
    "GRUCell": [{}, {"argument": "states", "path": [0]}],
    "SimpleRNNCell": [{}, {"argument": "states", "path": [0]}],
    "LSTMCell": [{}, {"argument": "states"}, {"argument": "states"}],
    "StackedRNNCells": [{}, {"argument": "states"}, {"argument": "states"}],
}


def drawing(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nodes and edges that try one layer on its inputs."""
    params, shapes, *rest = RECIPES[name]
    dtype = {"dtype": rest[0]} if rest else {}
    if name in ("Input", "InputLayer"):
        inputs: dict[str, Any] = {"id": "in", "type": name, "params": {"shape": "(4, 3)"}}
        return [inputs, {"id": "layer", "type": "Identity"}], [{"id": "e", "source": "in", "target": "layer"}]
    nodes: list[dict[str, Any]] = [
        {"id": f"in{index}", "type": "Input", "params": {"shape": shape, **dtype}} for index, shape in enumerate(shapes)
    ]
    edges = [
        {"id": f"e{index}", "source": node["id"], "target": "layer", "meta": meta}
        for index, (node, meta) in enumerate(zip(nodes, ARGUMENTS.get(name, [{}] * len(nodes)), strict=True))
    ]
    return [*nodes, {"id": "layer", "type": name, "params": params}], edges

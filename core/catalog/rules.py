"""What introspection cannot know: types, ranges and choices of parameters, curated by hand.

Keras's constructors carry no annotations. A rule reads `types range: choices`, each part optional but
the types: `int >=1`, `float 0..1`, `tuple_int|int >=1`, `string: valid|same`, `object:layer`. The first
type is what the canvas is told; the others are accepted as well. A `?` at the end of the types
says that None is a value of its own. `[low, high]` is written `low..high`, an open lower end `>0`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

FLOAT_DTYPES = "float32|float64|float16|bfloat16"
DTYPES = f"{FLOAT_DTYPES}|int8|int16|int32|int64|uint8|uint16|uint32|uint64|bool|string"
FILL_MODES = "reflect|wrap|constant|nearest"
RESAMPLING = "bilinear|nearest"


@dataclass(frozen=True)
class Rule:
    """One parameter's types (first: declared), choices and range; `object` names what may stand inside."""

    types: list[str]
    choices: tuple[str, ...] = ()
    value_range: dict[str, float] | None = None
    nullable: bool = False
    object: str | None = None


_RULE = re.compile(r"^(?P<types>[\w|]+)(?P<null>\?)?(?P<range> [^:]+)?(?:: (?P<choices>.+))?$")


def parse(text: str) -> Rule:
    """A rule from its text form. Raises ValueError for one that does not read."""
    if text.startswith("object:"):
        name, null, _ = text.removeprefix("object:").partition("?")
        return Rule(["string"], nullable=bool(null), object=name)
    match = _RULE.match(text)
    if match is None:
        raise ValueError(f"rule {text!r} does not read as `types range: choices`")
    choices = tuple(match["choices"].split("|")) if match["choices"] else ()
    return Rule(match["types"].split("|"), choices, _range(match["range"]), bool(match["null"]))


def _range(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    text = text.strip()
    if ".." in text:
        low, high = text.split("..")
        return {"min": _number(low), "max": _number(high)}
    if text.startswith(">="):
        return {"min": _number(text[2:])}
    return {"min_exclusive": _number(text[1:])}


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


# By parameter name, wherever it stands.
BY_NAME: dict[str, str] = {
    "activation": "object:activation?",
    "recurrent_activation": "object:activation?",
    "activity_regularizer": "object:regularizer?",
    "data_format": "string: channels_last|channels_first",
    "dtype": f"string: {DTYPES}",
    "units": "int >=1",
    "filters": "int >=1",
    "kernel_size": "tuple_int|int >=1",
    "strides": "tuple_int|int >=1",
    "dilation_rate": "tuple_int|int >=1",
    "pool_size": "tuple_int|int >=1",
    "size": "tuple_int|int >=1",
    "output_padding": "tuple_int|int >=0",
    "padding": "string: valid|same",
    "groups": "int >=1",
    "depth_multiplier": "int >=1",
    "use_bias": "bool",
    "rate": "float 0..1",
    "dropout": "float 0..1",
    "recurrent_dropout": "float 0..1",
    "noise_shape": "tuple_int",
    "seed": "int >=0",
    "axis": "int|tuple_int",
    "epsilon": "float >=0",
    "momentum": "float 0..1",
    "lora_rank": "int >=1",
    "lora_alpha": "float",
    "shape": "tuple_int|int >=0",
    "batch_shape": "tuple_int >=0",
    "batch_size": "int >=1",
    "input_tensor": "unsupported",
    "tensor": "unsupported",
    "sparse": "bool",
    "ragged": "bool",
    "optional": "bool",
    "name": "string",
    "input_dim": "int >=1",
    "output_dim": "int >=1",
    "height": "int >=1",
    "width": "int >=1",
    "interpolation": f"string: {RESAMPLING}",
    "fill_mode": f"string: {FILL_MODES}",
    "fill_value": "float",
    "factor": "float|tuple_float",
    "height_factor": "float|tuple_float",
    "width_factor": "float|tuple_float",
    "x_factor": "float|tuple_float",
    "y_factor": "float|tuple_float",
    "brightness_factor": "float|tuple_float",
    "contrast_factor": "float|tuple_float",
    "saturation_factor": "float|tuple_float",
    "hue_factor": "float|tuple_float",
    "addition_factor": "float|tuple_float",
    "threshold_factor": "float|tuple_float",
    "value_range": "tuple_float",
    "layer": "object:layer",
    "backward_layer": "object:layer?",
    "cell": "object:layer",
    "window": "string: hann|hamming",
    "output_mode": "string: int|one_hot|multi_hot|count",
    "sequence_stride": "int >=1",
    "fft_length": "int >=1",
    "frame_length": "int >=1",
    "frame_step": "int >=1",
    "sequence_length": "int >=1",
    "num_bins": "int >=1",
    "num_heads": "int >=1",
    "head_dim": "int >=1",
    "num_query_heads": "int >=1",
    "num_key_value_heads": "int >=1",
    "max_number": "int >=1",
    "key_dim": "int >=1",
    "value_dim": "int >=1",
    "attention_axes": "tuple_int|int",
    "flash_attention": "bool",
    "max_tokens": "int >=1",
    "num_oov_indices": "int >=0",
    "mask_token": "string",
    "encoding": "string: utf-8|ascii|utf-16-be|utf-32-be|latin-1",
    "idf_weights": "list",
    "vocabulary": "list",
    "weights": "unsupported",
    "max_value": "float >=0",
    "negative_slope": "float >=0",
    "alpha": "float",
    "l1": "float >=0",
    "l2": "float >=0",
    "use_cudnn": "string|bool: auto",
    "stddev": "float >=0",
    "shared_axes": "tuple_int|int",
    "gptq_unpacked_column_size": "unsupported",
    "max_freq": "float >0",
    "min_freq": "float >=0",
    "target_shape": "tuple_int|int",
    "output_shape": "tuple_int|int",
    "mask": "unsupported",
    "arguments": "unsupported",
    "learning_rate": "float >0",
    "weight_decay": "float >=0",
    "clipnorm": "float >0",
    "clipvalue": "float >0",
    "global_clipnorm": "float >0",
    "ema_momentum": "float 0..1",
    "ema_overwrite_frequency": "int >=1",
    "loss_scale_factor": "float >0",
    "gradient_accumulation_steps": "int >=2",
    "beta_1": "float 0..1",
    "beta_2": "float 0..1",
    "rho": "float 0..1",
    "reduction": "string: sum_over_batch_size|sum|mean|mean_with_sample_weight|none",
    "label_smoothing": "float 0..1",
    "from_logits": "bool",
    "ignore_class": "int",
    "num_classes": "int >=2",
    "num_thresholds": "int >=2",
    "threshold": "float",
    "thresholds": "float|tuple_float",
    "top_k": "int >=1",
    "k": "int >=1",
    "class_id": "int >=0",
    "num_labels": "int >=1",
    "label_weights": "tuple_float",
    "target_class_ids": "tuple_int",
    "precision": "float 0..1",
    "recall": "float 0..1",
    "specificity": "float 0..1",
    "sensitivity": "float 0..1",
    "summation_method": "string: interpolation|minoring|majoring",
    "curve": "string: ROC|PR",
    "class_aggregation": "string: uniform_average|sum|mean|variance_weighted_average",
    "average": "string: micro|macro|weighted",
    "inner_optimizer": "object:optimizer",
    "exclude_layers": "list",
    "fn": "unsupported",
}

# By owner and name, where the name alone says something else. `*` at the end of an owner matches a prefix.
BY_OWNER: dict[tuple[str, str], str] = {
    ("Activation", "activation"): "object:activation",
    ("Attention", "score_mode"): "string: dot|concat",
    ("BatchNormalization", "axis"): "int",
    ("Bidirectional", "merge_mode"): "string?: concat|sum|mul|ave",
    ("CategoryEncoding", "num_tokens"): "int >=1",
    ("CategoryEncoding", "output_mode"): "string: multi_hot|one_hot|count",
    ("Concatenate", "axis"): "int",
    ("Conv1D", "padding"): "string: valid|same|causal",
    ("Cropping*", "cropping"): "tuple_int|int >=0",
    ("ZeroPadding*", "padding"): "tuple_int|int >=0",
    ("Discretization", "bin_boundaries"): "tuple_float",
    ("Discretization", "epsilon"): "float >0",
    ("Dot", "axes"): "int|tuple_int",
    ("EinsumDense", "bias_axes"): "string",
    ("EinsumDense", "equation"): "string",
    ("GroupNormalization", "axis"): "int",
    ("GroupNormalization", "groups"): "int >=-1",
    ("Hashing", "mask_value"): "string|int",
    ("Hashing", "salt"): "int|tuple_int",
    ("HashedCrossing", "output_mode"): "string: int|one_hot",
    ("IntegerLookup", "output_mode"): "string: int|one_hot|multi_hot|count|tf_idf",
    ("IntegerLookup", "mask_token"): "int",
    ("IntegerLookup", "oov_token"): "int",
    ("IntegerLookup", "vocabulary_dtype"): "string: int64|int32",
    ("StringLookup", "output_mode"): "string: int|one_hot|multi_hot|count|tf_idf",
    ("TextVectorization", "output_mode"): "string: int|multi_hot|count|tf_idf",
    ("TextVectorization", "standardize"): ("string?: lower_and_strip_punctuation|lower|strip_punctuation"),
    ("TextVectorization", "split"): "string?: whitespace|character",
    ("TextVectorization", "ngrams"): "int|tuple_int >=1",
    ("TextVectorization", "output_sequence_length"): "int >=1",
    ("MaxNumBoundingBoxes", "fill_value"): "int",
    ("MelSpectrogram", "max_freq"): "float >0",
    ("Normalization", "mean"): "float|tuple_float",
    ("Normalization", "variance"): "float|tuple_float",
    ("Normalization", "axis"): "int|tuple_int?",
    ("Permute", "dims"): "tuple_int >=1",
    ("RandAugment", "factor"): "float 0..1",
    ("AugMix", "factor"): "float|tuple_float",
    ("RandomErasing", "scale"): "tuple_float|float",
    ("RandomErasing", "fill_value"): "float|tuple_float",
    ("RandomElasticTransform", "scale"): "float|tuple_float",
    ("RandomPerspective", "scale"): "float|tuple_float",
    ("RandomFlip", "mode"): "string: horizontal_and_vertical|horizontal|vertical",
    ("RandomGaussianBlur", "sigma"): "float|tuple_float",
    ("RandomPosterization", "factor"): "int 1..8",
    ("RepeatVector", "n"): "int >=1",
    ("Rescaling", "scale"): "float|tuple_float",
    ("Rescaling", "offset"): "float|tuple_float",
    ("Resizing", "interpolation"): "string: bilinear|nearest|bicubic|lanczos3|lanczos5",
    ("Resizing", "fill_mode"): "string: constant",
    ("UpSampling2D", "interpolation"): "string: nearest|bilinear|bicubic|lanczos3|lanczos5",
    ("ReversibleEmbedding", "reverse_dtype"): f"string: {FLOAT_DTYPES}",
    ("ReversibleEmbedding", "logit_soft_cap"): "float >0",
    ("RNN", "cell"): "object:cell",
    ("StackedRNNCells", "cells"): "object:cells",
    ("Pipeline", "layers"): "object:layers",
    ("STFTSpectrogram", "mode"): "string: log|magnitude|psd|real|imag|angle|stft",
    ("STFTSpectrogram", "scaling"): "string: density|spectrum",
    ("RandomContrast", "factor"): "float|tuple_float",
    ("ReLU", "threshold"): "float >=0",
    ("Embedding", "weights"): "unsupported",
    ("Lambda", "function"): "unsupported",
    ("Lambda", "output_shape"): "tuple_int",
    ("FlaxLayer", "module"): "unsupported",
    ("FlaxLayer", "method"): "unsupported",
    ("FlaxLayer", "variables"): "unsupported",
    ("JaxLayer", "call_fn"): "unsupported",
    ("JaxLayer", "init_fn"): "unsupported",
    ("JaxLayer", "params"): "unsupported",
    ("JaxLayer", "state"): "unsupported",
    ("TorchModuleWrapper", "module"): "unsupported",
    ("TFSMLayer", "filepath"): "unsupported",
    ("TFSMLayer", "call_training_endpoint"): "string",
    ("Dice", "axis"): "int|tuple_int",
    ("Tversky", "axis"): "int|tuple_int",
    ("LossScaleOptimizer", "initial_scale"): "float >0",
    ("VarianceScaling", "mode"): "string: fan_in|fan_out|fan_avg",
    ("VarianceScaling", "distribution"): "string: normal|truncated_normal|untruncated_normal|uniform",
    ("OrthogonalRegularizer", "mode"): "string: rows|columns",
    ("STFT", "side"): "string: real|imag",
    ("STFT", "window"): "string: hann|hamming",
    ("STFT", "scaling"): "string: density|spectrum",
    ("glu", "axis"): "int",
    ("Muon", "exclude_layers"): "list",
}

_OBJECT_SUFFIXES = {"_initializer": "initializer", "_regularizer": "regularizer", "_constraint": "constraint"}


def rule_for(owner: str, name: str) -> Rule | None:
    """The curated rule of a parameter, or None where defaults and docs have to tell."""
    for (rule_owner, rule_name), text in BY_OWNER.items():
        matches = owner.startswith(rule_owner[:-1]) if rule_owner.endswith("*") else owner == rule_owner
        if matches and rule_name == name:
            return parse(text)
    if name in BY_NAME:
        return parse(BY_NAME[name])
    for suffix, kind in _OBJECT_SUFFIXES.items():
        if name.endswith(suffix):
            return Rule(["string"], nullable=kind != "initializer", object=kind)
    return None


def typed_by_default(default: Any, doc: str) -> Rule:
    """The rule where nothing is curated: by the default's type, else by the words of the doc."""
    if isinstance(default, bool):
        return Rule(["bool"])
    if isinstance(default, int):
        return Rule(["int"])
    if isinstance(default, float):
        return Rule(["float"])
    if isinstance(default, str):
        return Rule(["string"])
    if isinstance(default, dict):
        items: list[Any] = default.get("tuple", [])
        return Rule(["tuple_float" if any(isinstance(item, float) for item in items) else "tuple_int"])
    words = doc.lower()
    for word, type_name in (("bool", "bool"), ("float", "float"), ("int", "int")):
        if re.search(rf"\b{word}", words):
            return Rule([type_name])
    return Rule(["string"])

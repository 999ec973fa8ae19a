"""The groups of the palette, in the order and with the names of the Keras documentation."""

from __future__ import annotations

import re

# Found by the module that defines the layer; order is the order of the palette.
_BY_MODULE: list[tuple[str, str]] = [
    (r"layers\.core\.", "Core"),
    (r"layers\.convolutional\.", "Convolutional"),
    (r"layers\.pooling\.", "Pooling"),
    (r"layers\.rnn\.", "Recurrent"),
    (r"preprocessing\.(text_vectorization|string_lookup)", "Text preprocessing"),
    (r"preprocessing\.(normalization|discretization)", "Numerical features preprocessing"),
    (
        r"preprocessing\.(category_encoding|hashing|hashed_crossing|integer_lookup)",
        "Categorical features preprocessing",
    ),
    (r"preprocessing\.image_preprocessing\.(resizing|center_crop)|preprocessing\.rescaling", "Image preprocessing"),
    (r"preprocessing\.image_preprocessing\.", "Image augmentation"),
    (r"preprocessing\.(mel_spectrogram|stft_spectrogram)", "Audio preprocessing"),
    (r"layers\.normalization\.", "Normalization"),
    (r"layers\.regularization\.", "Regularization"),
    (r"layers\.attention\.", "Attention"),
    (r"layers\.reshaping\.", "Reshaping"),
    (r"layers\.merging\.", "Merging"),
    (r"layers\.activations\.", "Activation"),
    (r"utils\.jax_layer|utils\.torch_utils|export\.tfsm_layer", "Backend-specific"),
]
ORDER = [name for _, name in _BY_MODULE] + ["Other"]

_ALSO = {
    "ConvLSTM1D": ["Convolutional"],
    "ConvLSTM2D": ["Convolutional"],
    "ConvLSTM3D": ["Convolutional"],
    "Activation": ["Activation"],
}
# Layers whose module says something else than their page in the documentation.
_INSTEAD = {
    "Activation": ["Core"],
    "StringLookup": ["Categorical features preprocessing"],
    "Wrapper": ["Core"],
    "Pipeline": ["Other"],
    "SpectralNormalization": ["Normalization"],
    "Layer": ["Core"],
}


def categories_of(name: str, module: str) -> list[str]:
    """The palette's groups of a layer, the main one first."""
    main = _INSTEAD.get(name) or [
        next((category for pattern, category in _BY_MODULE if re.search(pattern, module)), "Other")
    ]
    return main + [category for category in _ALSO.get(name, []) if category not in main]

"""Small networks with each public layer of `keras.layers`, and which layers cannot stand in one."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from benchmarks.layers.case import Case, of
from benchmarks.layers.image_table import IMAGES

layers = keras.layers

VECTOR, SEQUENCE, IMAGE, VOLUME = (4,), (3, 2), (4, 4, 2), (3, 3, 3, 2)


def of_two(shape: tuple[int, ...], layer: Callable[[], keras.Layer]) -> Case:
    """Returns the case of a layer that takes a list of two tensors of one shape."""
    return Case(shape, lambda x: layer()([x, layers.Dense(shape[-1])(x)]))


def cell(make: Callable[[], Any]) -> Case:
    """Returns the case of a cell in an `RNN`."""
    return of(SEQUENCE, lambda: layers.RNN(make()))


def by_rank(name: str, *args: Any, ranks: str = "123", **options: Any) -> dict[str, Case]:
    """Returns the cases of the classes that `name` stands for with 1D, 2D and 3D."""
    shapes = {"1": SEQUENCE, "2": IMAGE, "3": VOLUME}
    return {
        name.format(rank): of(
            shapes[rank],
            functools.partial(getattr(layers, name.format(rank)), *args),
            # TensorFlow pools volumes in lower precision only.
            floatx="float32" if name.endswith("Pooling{}D") and rank == "3" else "float64",
            **options,
        )
        for rank in ranks
    }


def there_and_back(tokens: Any) -> Any:
    """Embeds tokens and gives logits of tokens by the same weights."""
    layer = layers.ReversibleEmbedding(5, 3)
    return layer(keras.ops.tanh(layer(tokens)), reverse=True)


CORE = {
    "Dense": of(VECTOR, lambda: layers.Dense(3, "tanh", kernel_regularizer="l2")),
    "EinsumDense": of(SEQUENCE, lambda: layers.EinsumDense("abc,cd->abd", (3, 4), bias_axes="d")),
    "InputLayer": Case(VECTOR, lambda x: x),  # As every network has one.
    "Identity": of(VECTOR, layers.Identity),
    "Lambda": of(VECTOR, lambda: layers.Lambda(keras.ops.sin)),
    "Masking": Case(SEQUENCE, lambda x: layers.GlobalAveragePooling1D()(layers.Masking(0.5)(x))),
    "Embedding": of(VECTOR, lambda: layers.Embedding(5, 3), kind="tokens"),
    "Embedding mask_zero": Case(
        VECTOR,
        lambda x: layers.GlobalAveragePooling1D()(layers.Embedding(5, 3, mask_zero=True)(x)),
        kind="tokens",
    ),
    "ReversibleEmbedding": Case(VECTOR, there_and_back, kind="tokens"),
    "Activation": of(VECTOR, lambda: layers.Activation("softsign")),
    "ActivityRegularization": of(VECTOR, lambda: layers.ActivityRegularization(0.1, 0.1)),
    "ELU": of(VECTOR, layers.ELU),
    "LeakyReLU": of(VECTOR, layers.LeakyReLU),
    "PReLU": of(VECTOR, lambda: layers.PReLU("uniform")),
    "ReLU": of(VECTOR, layers.ReLU),
    "Softmax": of(VECTOR, layers.Softmax),
    "Flatten": of(IMAGE, layers.Flatten),
    "Permute": of(SEQUENCE, lambda: layers.Permute((2, 1))),
    "RepeatVector": of(VECTOR, lambda: layers.RepeatVector(2)),
    "Reshape": of(VECTOR, lambda: layers.Reshape((2, 2))),
}

MERGING = {
    name: of_two(VECTOR, getattr(layers, name))
    for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
} | {
    "Dot": of_two(SEQUENCE, lambda: layers.Dot(2, normalize=True)),
    "AdditiveAttention": of_two(SEQUENCE, layers.AdditiveAttention),
    "Attention": of_two(SEQUENCE, lambda: layers.Attention(use_scale=True)),
    "MultiHeadAttention": Case(SEQUENCE, lambda x: layers.MultiHeadAttention(2, 2)(x, x)),
    "GroupedQueryAttention": Case(SEQUENCE, lambda x: layers.GroupQueryAttention(2, 4, 2)(x, x)),
}

CONVOLUTIONS = (
    by_rank("Conv{}D", 2, 2)
    | by_rank("Conv{}DTranspose", 2, 2)
    | by_rank("SeparableConv{}D", 2, 2, ranks="12")
    | by_rank("DepthwiseConv{}D", 2, ranks="12")
)

POOLING = (
    by_rank("MaxPooling{}D", 2)
    | by_rank("AveragePooling{}D", 2)
    | by_rank("GlobalMaxPooling{}D")
    | by_rank("GlobalAveragePooling{}D")
    | by_rank("AdaptiveMaxPooling{}D", 2)
    | by_rank("AdaptiveAveragePooling{}D", 2)
)

SIZES = (
    by_rank("Cropping{}D", 1)
    | by_rank("ZeroPadding{}D", 1)
    | by_rank("UpSampling{}D", 2)
    | {
        f"UpSampling2D {way}": of(
            (3, 3, 2), functools.partial(layers.UpSampling2D, 2, None, way), floatx="float32"
        )
        for way in ("bilinear", "bicubic", "lanczos3")
    }
)

NORMALISATIONS = {
    "BatchNormalization": of(VECTOR, layers.BatchNormalization),
    "BatchNormalization of images": of(IMAGE, layers.BatchNormalization),
    "GroupNormalization": of(IMAGE, lambda: layers.GroupNormalization(2)),
    "LayerNormalization": of(VECTOR, layers.LayerNormalization),
    "RMSNormalization": of(VECTOR, layers.RMSNormalization),
    "SpectralNormalization": of(
        VECTOR,
        lambda: layers.SpectralNormalization(layers.Dense(3)),
        wrong="Keras takes the singular vectors for constants",
    ),
    "UnitNormalization": of(VECTOR, layers.UnitNormalization),
}

REGULARISATION = by_rank("SpatialDropout{}D", 0.3) | {
    name: of(VECTOR, functools.partial(getattr(layers, name), 0.3))
    for name in ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise")
}

RECURRENT = {
    "SimpleRNN": of(SEQUENCE, lambda: layers.SimpleRNN(2)),
    "GRU": of(SEQUENCE, lambda: layers.GRU(2)),
    "LSTM": of(SEQUENCE, lambda: layers.LSTM(2)),
    "LSTM unroll": of(SEQUENCE, lambda: layers.LSTM(2, unroll=True, return_sequences=True)),
    "SimpleRNNCell": cell(lambda: layers.SimpleRNNCell(2)),
    "GRUCell": cell(lambda: layers.GRUCell(2)),
    "LSTMCell": cell(lambda: layers.LSTMCell(2)),
    "StackedRNNCells": cell(lambda: [layers.GRUCell(2), layers.GRUCell(2)]),
    "RNN": of(SEQUENCE, lambda: layers.RNN(layers.GRUCell(2), return_sequences=True)),
    "Bidirectional": of(SEQUENCE, lambda: layers.Bidirectional(layers.GRU(2))),
    "TimeDistributed": of(SEQUENCE, lambda: layers.TimeDistributed(layers.Dense(2, "tanh"))),
    "ConvLSTM1D": of((2, 3, 2), lambda: layers.ConvLSTM1D(2, 2)),
    "ConvLSTM2D": of((2, 3, 3, 1), lambda: layers.ConvLSTM2D(1, 2)),
    "ConvLSTM3D": of((2, 2, 2, 2, 1), lambda: layers.ConvLSTM3D(1, 2)),
}

PREPROCESSING = {
    "CategoryEncoding": of(VECTOR, lambda: layers.CategoryEncoding(5), kind="tokens"),
    "Discretization": of(
        VECTOR, lambda: layers.Discretization([-0.5, 0.5], output_mode="one_hot"), before=None
    ),
    "Hashing": of(VECTOR, lambda: layers.Hashing(5, output_mode="multi_hot"), kind="tokens"),
    "HashedCrossing": Case(
        (1,),
        lambda x: layers.HashedCrossing(5, output_mode="one_hot")((x, x)),
        kind="tokens",
    ),
    "IntegerLookup": of(
        VECTOR,
        lambda: layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode="multi_hot"),
        kind="tokens",
    ),
    "StringLookup": of(
        VECTOR,
        lambda: layers.StringLookup(vocabulary=["1", "2"], output_mode="multi_hot"),
        kind="words",
    ),
    "TextVectorization": of(
        (1,),
        lambda: layers.TextVectorization(vocabulary=["1", "2"], output_mode="multi_hot"),
        kind="words",
    ),
    "Normalization": of(VECTOR, lambda: layers.Normalization(mean=0.5, variance=2.0)),
    "Rescaling": of(VECTOR, lambda: layers.Rescaling(2.0, 0.5)),
    "MelSpectrogram": of(
        (32,),
        lambda: layers.MelSpectrogram(16, 8, num_mel_bins=4, sampling_rate=200),
        floatx="float32",
    ),
    "STFTSpectrogram": of((16, 1), lambda: layers.STFTSpectrogram("log", 8, 4, window=None)),
}


GROUPS = {
    "core": CORE,
    "merging": MERGING,
    "convolutions": CONVOLUTIONS,
    "pooling": POOLING,
    "sizes": SIZES,
    "normalisations": NORMALISATIONS,
    "regularisation": REGULARISATION,
    "recurrent": RECURRENT,
    "preprocessing": PREPROCESSING,
    "images": IMAGES,
}

CASES: dict[str, Case] = {name: case for group in GROUPS.values() for name, case in group.items()}
"""By the class, or the class and which variant of it."""

NOT_IN_A_NETWORK = {
    "FlaxLayer": "it is JAX's",
    "InputSpec": "it is no layer",
    "JaxLayer": "it is JAX's",
    "Layer": "it is the base of others and calls nothing",
    "TFSMLayer": "what it calls is a SavedModel's, not Keras's",
    "TorchModuleWrapper": "it is PyTorch's",
    "Wrapper": "it is the base of others and calls nothing",
}
"""By the class: why it is not in `CASES`."""


def class_of(name: str) -> str:
    """Returns the class of a name in `CASES`."""
    return name.split()[0]

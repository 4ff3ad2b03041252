"""The layers of Keras whose second derivatives are known to be right, by their tests.

`tests/trainers/stateless/test_layers.py` compares the meta-gradient of a network with each of them
with central differences. A layer that calls a function from elsewhere, such as an activation, is as
right as that function.
"""

import keras


def untested_layers(model: keras.Model) -> list[str]:
    """Returns the parts of a model whose second derivatives no test of this project covers.

    Args:
      model: a built model.

    Returns:
      Names with the class in parentheses: layers that are not among `TESTED`, layers that call a
      function from outside Keras, models with a `call` of their own, and single operations.
    """
    # A functional model's operations that are no layers, such as those of `x + y`.
    single = [
        operation
        for part in _flat(model)
        for operation in getattr(part, "operations", [])
        if not isinstance(operation, keras.Layer)
    ]
    parts = [*(part for part in _flat(model) if not _is_tested(part)), *single]
    return [f"{part.name} ({type(part).__name__})" for part in parts]


def _flat(model: keras.Model) -> list[keras.Layer]:
    return list(model._flatten_layers())


def _is_tested(layer: keras.Layer) -> bool:
    kind = type(layer)
    if not kind.__module__.startswith("keras."):
        return False
    if isinstance(layer, keras.Model):
        return True
    functions = [getattr(layer, name, None) for name in ("activation", "recurrent_activation")]
    return (
        kind.__name__ in TESTED
        and kind is not keras.layers.Lambda
        and all(
            (type(f) if isinstance(f, keras.Layer) else f).__module__.startswith("keras.")
            for f in functions
            if f is not None
        )
    )


TESTED: frozenset[str] = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "AdaptiveAveragePooling1D",
        "AdaptiveAveragePooling2D",
        "AdaptiveAveragePooling3D",
        "AdaptiveMaxPooling1D",
        "AdaptiveMaxPooling2D",
        "AdaptiveMaxPooling3D",
        "Add",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "AutoContrast",
        "Average",
        "AveragePooling1D",
        "AveragePooling2D",
        "AveragePooling3D",
        "BatchNormalization",
        "Bidirectional",
        "CategoryEncoding",
        "CenterCrop",
        "Concatenate",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "Conv1D",
        "Conv1DTranspose",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "CutMix",
        "Dense",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "Discretization",
        "Dot",
        "Dropout",
        "ELU",
        "EinsumDense",
        "Embedding",
        "Equalization",
        "Flatten",
        "GRU",
        "GRUCell",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GlobalMaxPooling3D",
        "GroupNormalization",
        "GroupedQueryAttention",
        "HashedCrossing",
        "Hashing",
        "Identity",
        "InputLayer",
        "IntegerLookup",
        "LSTM",
        "LSTMCell",
        "Lambda",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "MaxNumBoundingBoxes",
        "MaxPooling1D",
        "MaxPooling2D",
        "MaxPooling3D",
        "Maximum",
        "MelSpectrogram",
        "Minimum",
        "MixUp",
        "MultiHeadAttention",
        "Multiply",
        "Normalization",
        "PReLU",
        "Permute",
        "Pipeline",
        "RMSNormalization",
        "RNN",
        "RandomBrightness",
        "RandomColorDegeneration",
        "RandomContrast",
        "RandomCrop",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomFlip",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomInvert",
        "RandomPosterization",
        "RandomSharpness",
        "ReLU",
        "RepeatVector",
        "Rescaling",
        "Reshape",
        "Resizing",
        "ReversibleEmbedding",
        "STFTSpectrogram",
        "SeparableConv1D",
        "SeparableConv2D",
        "SimpleRNN",
        "SimpleRNNCell",
        "Softmax",
        "Solarization",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "StackedRNNCells",
        "StringLookup",
        "Subtract",
        "TextVectorization",
        "TimeDistributed",
        "UnitNormalization",
        "UpSampling1D",
        "UpSampling2D",
        "UpSampling3D",
        "ZeroPadding1D",
        "ZeroPadding2D",
        "ZeroPadding3D",
    }
)
"""By the name of the class."""

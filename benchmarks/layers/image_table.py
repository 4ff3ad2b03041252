"""Small networks with each layer that changes images, part of `benchmarks.layers.table`."""

from typing import Any

import keras

from benchmarks.layers.case import Case, of

layers = keras.layers

IMAGE = (4, 4, 3)
RANGE: dict[str, Any] = {"value_range": (0, 1)}

# By the class: its arguments.
DIFFERENTIABLE: dict[str, dict[str, Any]] = {
    "AutoContrast": RANGE,
    "CenterCrop": {"height": 3, "width": 3},
    "CutMix": {},
    "MaxNumBoundingBoxes": {"max_number": 2},
    "MixUp": {},
    "RandomBrightness": {"factor": 0.2, **RANGE},
    "RandomColorDegeneration": {"factor": 0.5, **RANGE},
    "RandomContrast": {"factor": 0.5, **RANGE},
    "RandomCrop": {"height": 3, "width": 3},
    "RandomElasticTransform": RANGE,
    "RandomErasing": RANGE,
    "RandomFlip": {},
    "RandomGaussianBlur": RANGE,
    "RandomGrayscale": {},
    "RandomInvert": RANGE,
    "RandomSharpness": {"factor": 0.5, **RANGE},
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.3, **RANGE},
}

# Their outputs stay the same under small changes, so that the gradient through them is 0.
STEPWISE: dict[str, dict[str, Any]] = {
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2), **RANGE},
    "Equalization": RANGE,
    "RandomPosterization": {"factor": 4, **RANGE},
}

TURNING = "TensorFlow takes the inverse of a geometric transformation for its transpose"
COLOUR = "TensorFlow has no gradient of the conversion from HSV to RGB"

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "AugMix": (TURNING, RANGE),
    "RandAugment": (TURNING, RANGE),
    "RandomColorJitter": (COLOUR, {**RANGE, "saturation_factor": 0.2, "hue_factor": 0.2}),
    "RandomHue": (COLOUR, {"factor": 0.2, **RANGE}),
    "RandomPerspective": (TURNING, {}),
    "RandomRotation": (TURNING, {"factor": 0.2}),
    "RandomSaturation": (COLOUR, {"factor": 0.5, **RANGE}),
    "RandomShear": (TURNING, {"x_factor": 0.2, "y_factor": 0.2}),
    "RandomTranslation": (TURNING, {"height_factor": 0.2, "width_factor": 0.2}),
    "RandomZoom": (TURNING, {"height_factor": 0.2}),
}


def _with(name: str, arguments: dict[str, Any], **options: Any) -> Case:
    return of(IMAGE, lambda: getattr(layers, name)(**arguments), **options)


IMAGES: dict[str, Case] = {
    **{name: _with(name, given, before="sigmoid") for name, given in DIFFERENTIABLE.items()},
    **{name: _with(name, given, before=None) for name, given in STEPWISE.items()},
    **{
        name: _with(name, given, before=None, wrong=reason)
        for name, (reason, given) in WRONG.items()
    },
    "Pipeline": of(
        IMAGE, lambda: layers.Pipeline([layers.RandomFlip(), layers.Rescaling(2.0, 1.0)])
    ),
    **{
        f"Resizing {way}": _with(
            "Resizing", {"height": 5, "width": 3, "interpolation": way}, floatx="float32"
        )
        for way in ("bilinear", "nearest", "bicubic", "lanczos3")
    },
}

"""Warm-up requests, which TF Serving sends to a model when it loads it.

The first request to a signature takes a few hundred milliseconds more, for TensorFlow to prepare
its graph. A server with `--enable_model_warmup`, its default, makes those that lie in
`assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog messages.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from metasgd_tf.serving.signatures import Signature

FILE_NAME = "tf_serving_warmup_requests"


def write(folder: pathlib.Path, signatures: Mapping[str, Signature], inner_steps: int) -> None:
    """Writes a request of one small task for each signature.

    Args:
      folder: the version's `assets.extra`.
      signatures: those of the export.
      inner_steps: what is asked for where it is an input.
    """
    with tf.io.TFRecordWriter(str(folder / FILE_NAME)) as file:
        for name, signature in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for argument, spec in signature.inputs.items():
                value = inner_steps if argument == "inner_steps" else _value(argument, spec.dtype)
                shape = signature.smallest.get(argument, [size or 1 for size in spec.shape])
                # One value for all entries, which is all that the message then holds.
                request.inputs[argument].CopyFrom(tf.make_tensor_proto(value, spec.dtype, shape))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            file.write(log.SerializeToString())


def _value(argument: str, kind: tf.DType) -> bytes | int:
    if kind == tf.string:
        return tf.io.encode_png(np.zeros([28, 28, 3], np.uint8)).numpy()
    if kind == tf.bool:
        return False
    # A state of ones has all classes, and a step whose mask is 1 is there.
    return int(argument in ("state", "mask"))

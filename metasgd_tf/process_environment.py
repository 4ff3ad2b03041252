"""What TensorFlow reads from the environment while it is being imported."""

import os


def prepare_process() -> None:
    """Sets how TensorFlow and Keras come up; to be called before either is imported.

    What the user has set stays, where that is a matter of taste. oneDNN is asked for, which
    TensorFlow leaves off on CPUs without AVX-512: there too its convolutions are faster than the
    others, by half with max-pooling. It keeps its primitives for the filters' gradients, which
    TensorFlow otherwise makes anew at every call to save memory; that takes longer than small
    pictures' gradients themselves.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # TF-Agents' own Keras is Keras 2, beside which this project's is Keras 3.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # TensorFlow's own log would bury a sentence and break a progress bar.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")

"""How a command's process is set up before TensorFlow is imported."""

import gc
import os


def prepare_process() -> None:
    """Sets how Python, TensorFlow and Keras come up; to be called before the latter are imported.

    What the user has set stays, where that is a matter of taste. oneDNN is asked for, which
    TensorFlow leaves off on CPUs without AVX-512: there too its convolutions are faster than the
    others, by half with max-pooling. It keeps its primitives for the filters' gradients, which
    TensorFlow otherwise makes anew at every call to save memory; that takes longer than small
    images' gradients themselves.
    """
    # Importing and tracing make many objects, nearly all of which stay: to look for garbage after
    # each 700 of them took a tenth of the time.
    gc.set_threshold(50_000)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # TF-Agents' own Keras is Keras 2, beside which this project's is Keras 3.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # TensorFlow's own log would bury a sentence and break a progress bar.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")

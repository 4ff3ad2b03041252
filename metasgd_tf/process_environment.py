"""How a command's process is set up before TensorFlow is imported."""

import gc
import os


def prepare_process() -> None:
    """Configures Python, TensorFlow and Keras; must be called before the latter are imported.

    The user's own settings are kept where the project works with any value. oneDNN is switched on,
    which TensorFlow leaves off on CPUs without AVX-512: its convolutions are faster there too, by
    half with max-pooling. It may cache its primitives for the filters' gradients, which TensorFlow
    by default creates anew at every call to save memory; for small images that takes longer than
    the gradients themselves.
    """
    # Importing and tracing create many objects, nearly all of which stay: a garbage collection
    # after every 700 of them took a tenth of the time.
    gc.set_threshold(50_000)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # TF-Agents uses Keras 2, while this project uses Keras 3 in the same process.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # TensorFlow's own log would bury error messages and break the progress bar.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")

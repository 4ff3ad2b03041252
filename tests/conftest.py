"""What all tests share: two logical devices, so that replicas can be tested on any machine."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import pytest
import tensorflow as tf

from trainers.devices import use_cores_for_tasks

use_cores_for_tasks()
_cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def omniglot_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data directory with a made-up Omniglot that TensorFlow Datasets takes for the real one."""
    from tests import synthetic_omniglot

    data_dir = tmp_path_factory.mktemp("tensorflow_datasets")
    synthetic_omniglot.write(data_dir)
    return str(data_dir)


@pytest.fixture(scope="session")
def omniglot_drawings(omniglot_dir: str) -> np.ndarray:
    """What `load_drawings` gives for `omniglot_dir`, for tests that need not load it themselves."""
    from metasgd_tf.tasks import omniglot

    return omniglot.load_drawings(omniglot_dir)


@pytest.fixture(scope="session")
def real_omniglot_dir() -> str:
    """The data directory with the real Omniglot; without one the test is skipped."""
    data_dir = os.environ.get("TFDS_DATA_DIR", "")
    if not (pathlib.Path(data_dir) / "omniglot" / "3.0.0" / "dataset_info.json").exists():
        pytest.skip("no prepared omniglot/3.0.0; set TFDS_DATA_DIR to a directory that has it")
    return data_dir

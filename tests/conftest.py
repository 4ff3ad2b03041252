"""What all tests share: two logical devices, so that replicas can be tested on any machine.

XLA compiles without optimisation, by what takes it least, and keeps what it has compiled for the
other processes of the session, in a directory that goes with it. The tests' small trainings would
else take longer to compile than to do anything.
"""

import atexit
import contextlib
import fcntl
import functools
import gc
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from metasgd_tf.process_environment import prepare_process

prepare_process()
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
if "TF_XLA_FLAGS" not in os.environ:  # Workers have it from the process that starts them.
    _compiled = tempfile.mkdtemp(prefix="xla_compiled_")
    atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
    os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={_compiled}"

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, settings
from tensorflow.python.framework import ops

from tests.quick_graphs import use_quick_graphs
from trainers.devices import use_cores_for_tasks

use_cores_for_tasks()
use_quick_graphs()
# The same examples each time, on however busy a machine.
settings.register_profile(
    "project",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")
_cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


LONGEST = (
    "test_layers.py",
    "test_conformance.py",
    "test_writing.py",
    "test_commands.py",
    "test_navigation_commands.py",
    "test_classify.py",
    "test_resuming.py",
    "test_task_batching.py",
    "test_comparing_learners.py",
    "test_mann_commands.py",
    "test_own_tasks.py",
    "test_optimizers.py",
    "test_policy_trainer.py",
    "test_agents.py",
)
"""Files that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the longest files run first, so that no worker is left with one in the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Spares `forgotten_gradients` to look through half a million objects that stay, each time."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores, as tests wait for the processes that they start."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(autouse=True, scope="module")
def forgotten_gradients() -> Iterator[None]:
    """Lets the graphs of a file's tests go when these have run.

    TensorFlow keeps every custom gradient that a graph has met in a registry, and with it the
    graph, as long as the process lives: some gigabytes by the end of the tests. A graph that lives
    longer, such as an export's, is not differentiated again.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    yield
    for name in set(registry) - before:
        if name.startswith("CustomGradient-"):
            del registry[name]
    gc.collect()


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory for what all workers can use, whichever makes it; see `alone`."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Keeps other workers from a path while one makes what belongs there."""
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def omniglot_dir(shared_dir: pathlib.Path) -> str:
    """A data directory with a made-up Omniglot that TensorFlow Datasets takes for the real one."""
    from tests import synthetic_omniglot

    data_dir = shared_dir / "tensorflow_datasets"
    with alone(data_dir):
        if not data_dir.exists():
            synthetic_omniglot.write(data_dir)
    return str(data_dir)


@pytest.fixture(scope="session")
def omniglot_drawings(shared_dir: pathlib.Path, omniglot_dir: str) -> np.ndarray:
    """What `load_drawings` gives for `omniglot_dir`, for tests that need not load it themselves."""
    from metasgd_tf.tasks import omniglot

    path = shared_dir / "omniglot.npy"
    with alone(path):
        if not path.exists():
            np.save(path, omniglot.load_drawings(omniglot_dir))
    return np.load(path)


@pytest.fixture(scope="session")
def real_omniglot_dir() -> str:
    """The data directory with the real Omniglot; without one the test is skipped."""
    data_dir = os.environ.get("TFDS_DATA_DIR", "")
    if not (pathlib.Path(data_dir) / "omniglot" / "3.0.0" / "dataset_info.json").exists():
        pytest.skip("no prepared omniglot/3.0.0; set TFDS_DATA_DIR to a directory that has it")
    return data_dir


@pytest.fixture(scope="session")
def exports(shared_dir: pathlib.Path):
    """Gives the run and the folder of a version by the name of an export, made when asked for."""
    from metasgd_tf.serving.writing import export
    from tests import serving_exports

    runs = {
        "transductive": lambda: serving_exports.omniglot_run(),
        "support": lambda: serving_exports.omniglot_run(
            "--batch_norm=support", "--inner_steps=2", "--model=tests.fast_network:network"
        ),
        "folder": lambda: serving_exports.folder_run(3),
        "grey folder": lambda: serving_exports.folder_run(1),
        "sinusoid": lambda: serving_exports.sinusoid_run("--inner_steps=2"),
        "navigation": lambda: serving_exports.navigation_run(),
    }

    @functools.cache
    def made(name: str):
        # The weights are drawn by seed, so that all workers' exports of a name would be the same.
        run, folder = runs[name](), shared_dir / "exports" / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            versions = list(folder.iterdir())
            return run, versions[0] if versions else export(run, str(folder))

    return made


@pytest.fixture(scope="session")
def served(exports):
    """Gives an export by its name, held by one of `serving_exports`' loaders, loaded once."""
    return functools.cache(lambda loader, name: loader(exports(name)[1]))

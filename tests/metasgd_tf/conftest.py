"""What the tests of commands share: tasks that take next to nothing to load or evaluate."""

import pytest

from metasgd_tf.tasks.sinusoid import Sinusoid
from tests import synthetic_folder


@pytest.fixture(scope="session")
def grey_images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags of tasks of a folder of images: 30 classes of 8, of Omniglot's shape."""
    folder = tmp_path_factory.mktemp("images")
    synthetic_folder.write(folder, {f"class {number}": 8 for number in range(30)})
    sizes = ["--image_size=28", "--image_channels=1"]
    return ["--task=image_folder", f"--image_dir={folder}", *sizes]


@pytest.fixture
def one_support_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has each curve of the sinusoid evaluated with one support set of 5 points, and one of 20."""
    protocols = Sinusoid.protocols
    monkeypatch.setattr(
        Sinusoid,
        "protocols",
        lambda family, tasks: [p._replace(repeats=1) for p in protocols(family, tasks)[::2]],
    )

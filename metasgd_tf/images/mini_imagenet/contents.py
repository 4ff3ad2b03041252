"""What the complete mini-ImageNet holds: its classes, and the ILSVRC-2012 files behind them."""

import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping

IMAGES = 600

# ILSVRC-2012's training set has 1,300 images of most classes; these are the exceptions. The counts
# are Meta-Dataset's plus the images that it leaves out because they are also in Caltech or CUB.
ILSVRC_FILES = 1300
FEWER_ILSVRC_FILES = {
    "n01704323": 1266,
    "n02089867": 1025,
    "n02606052": 969,
    "n03062245": 1154,
    "n03075370": 1216,
    "n03400231": 1222,
    "n04418357": 1264,
    "n04443257": 1250,
    "n04612504": 1206,
    "n07584110": 1207,
}


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a complete data set contains.

    Attributes:
      classes: the WordNet ids of each split's classes.
      images: how many images each class has.
      ilsvrc_files: how many images ILSVRC-2012 has of each class.
    """

    classes: Mapping[str, tuple[str, ...]]
    images: int
    ilsvrc_files: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        """All classes, split after split; a class's label is its index in this list."""
        return [name for names in self.classes.values() for name in names]


@functools.cache
def complete() -> Contents:
    """Returns the 64, 16 and 20 classes of Ravi and Larochelle (2017), 600 images of each."""
    folder = importlib.resources.files(__package__)
    classes = {
        split: tuple((folder / f"{split}.txt").read_text(encoding="utf-8").split())
        for split in ("train", "validation", "test")
    }
    files = {
        name: FEWER_ILSVRC_FILES.get(name, ILSVRC_FILES)
        for names in classes.values()
        for name in names
    }
    return Contents(classes, IMAGES, files)

"""Made-up data sets of TensorFlow Datasets, which are prepared without a network."""

import numpy as np
import tensorflow_datasets as tfds

from tests import synthetic_folder

COUNTS = {"train": [7, 5, 9, 6, 8, 7, 6, 5, 9], "test": [2, 0, 3, 4, 1, 2, 3, 5, 1]}
"""How many images of each class the splits have."""


class StripedFlags(tfds.core.GeneratorBasedBuilder):
    """Nine classes of unequal size, and two images without a label."""

    VERSION = tfds.core.Version("1.2.3")

    def _info(self) -> tfds.core.DatasetInfo:
        names = [f"flag {letter}" for letter in "abcdefghi"]
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=names),
                    "boxes": tfds.features.Sequence(tfds.features.BBoxFeature()),
                }
            )
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        return {split: self._generate_examples(split) for split in COUNTS}

    def _generate_examples(self, split: str):
        for label, pixels in examples(split):
            yield f"{label} {pixels.sum()}", {"image": pixels, "label": label, "boxes": []}


def examples(split: str) -> list[tuple[int, np.ndarray]]:
    """Returns the images of a split with their labels, by label."""
    found = []
    for label, count in enumerate(COUNTS[split]):
        before = 0 if split == "train" else COUNTS["train"][label]
        made = synthetic_folder.images(label, before + count)[before:]
        found += [(label, pixels) for pixels in made]
    unlabelled = synthetic_folder.images(99, 2)[0 if split == "train" else 1]
    return [*found, (-1, unlabelled)]

"""Images that say which class and which image they are, and what a task of them must be."""

import numpy as np

from metasgd_tf.images.classification import ImageClassification

CLASSES, IMAGES = 30, 20


class Coded(ImageClassification):
    """Images of two pixels, the number of the class and the number of the image."""

    def model(self, seed):
        raise NotImplementedError


def coded_images(classes=CLASSES, images=IMAGES):
    numbers = np.indices([classes, images]).astype(np.uint8)
    return np.moveaxis(numbers, 0, -1)[:, :, np.newaxis, :, np.newaxis]


def coded(ways, shots, queries):
    return Coded({"train": coded_images(), "test": coded_images()}, ways, shots, queries)


def decode(inputs):
    return np.rint(inputs.numpy()[:, 0, :, 0] * 255).astype(int).T


def check_task(episode, ways, shots, queries):
    support_class, support_image = decode(episode.support_inputs)
    query_class, query_image = decode(episode.query_inputs)
    support = set(zip(support_class, support_image, strict=True))
    query = set(zip(query_class, query_image, strict=True))
    assert len(support) == ways * shots and len(query) == ways * queries
    assert not support & query
    classes = {}
    for label, number in zip(episode.support_targets.numpy(), support_class, strict=True):
        classes.setdefault(label, set()).add(number)
    for label, number in zip(episode.query_targets.numpy(), query_class, strict=True):
        classes[label].add(number)
    assert sorted(classes) == list(range(ways))
    assert all(len(numbers) == 1 for numbers in classes.values())
    assert len(set.union(*classes.values())) == ways
    np.testing.assert_array_equal(np.bincount(episode.support_targets), [shots] * ways)
    np.testing.assert_array_equal(np.bincount(episode.query_targets), [queries] * ways)
    return [classes[label].pop() for label in range(ways)], support | query


def codes(inputs):
    return decode(inputs).T.tolist()

"""MiniImagenet as a TensorFlow data set, prepared from the user's files and loaded into memory."""

from metasgd_tf.images.mini_imagenet.builder import SIDE, MiniImagenet, resize
from metasgd_tf.images.mini_imagenet.loading import LabelledImages, load

__all__ = ["SIDE", "LabelledImages", "MiniImagenet", "load", "resize"]

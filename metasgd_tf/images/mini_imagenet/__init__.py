"""MiniImagenet as a TensorFlow data set, prepared from what the user holds, and in memory."""

from metasgd_tf.images.mini_imagenet.builder import SIDE, MiniImagenet, resize
from metasgd_tf.images.mini_imagenet.loading import LabelledImages, load

__all__ = ["SIDE", "LabelledImages", "MiniImagenet", "load", "resize"]

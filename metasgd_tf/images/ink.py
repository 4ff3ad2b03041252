"""Images of drawings as the networks for Omniglot take them."""

import tensorflow as tf

from metasgd_tf.images.square_images import grey

SIDE = 28


def shrink(image: tf.Tensor) -> tf.Tensor:
    """Shrinks and inverts an image of a drawing, to the size that the papers use.

    Args:
      image: [height, width, channels], uint8, of 1 or 3 channels, in colour taken as grey;
        Omniglot's files have ink 0 on paper 255, in all channels.

    Returns:
      [28, 28, 1], uint8, with ink 255 on paper 0.
    """
    if image.shape[-1] == 3:
        image = grey(image)
    ink = tf.bitwise.invert(image[..., :1])  # 255 − value.
    small = tf.image.resize(ink, (SIDE, SIDE), method=tf.image.ResizeMethod.AREA)
    return tf.cast(tf.round(small), tf.uint8)

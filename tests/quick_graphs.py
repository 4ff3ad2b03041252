"""Spares TensorFlow the optimisation of graphs, which takes longer than what tests do in them."""

import tensorflow as tf


def use_quick_graphs() -> None:
    """Has the graphs of this process run as they are traced.

    Of all that compare their numbers: the optimisation changes the order of additions.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

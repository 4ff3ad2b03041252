"""Outer steps by gradients that all replicas have alike, as they are means over all of them."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def taken_as_they_are(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Keeps an optimizer from summing the gradients that it is given over replicas.

    Keras does so, after clipping them: with n workers it would make its step by n times the mean,
    which Adam alone hardly shows, and clipping would not see it. To divide by n before would be
    right but for clipping, and either way the gradients would go between machines twice.

    Args:
      optimizer: any of Keras's, also one that wraps another one.
    """
    optimizers = [optimizer]
    while hasattr(optimizers[-1], "inner_optimizer"):
        optimizers.append(optimizers[-1].inner_optimizer)
    for each in optimizers:
        each._all_reduce_sum_gradients = list
    try:
        yield
    finally:
        for each in optimizers:
            del each._all_reduce_sum_gradients

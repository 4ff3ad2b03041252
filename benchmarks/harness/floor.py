"""The least time that a meta-iteration's arithmetic takes at a machine's matrix-product rate."""

import itertools
import subprocess
import sys
import time

from benchmarks.harness import cases

# Products of a layer's size for one example. Support: the layer, its two gradients, and two
# derivatives of each of the three. Query: the layer and its two gradients. The first layer's inputs
# are data, by which nothing is differentiated.
_SUPPORT, _FIRST_SUPPORT = 9, 4
_QUERY, _FIRST_QUERY = 3, 2
_COUNTS = ((_SUPPORT, _FIRST_SUPPORT), (_QUERY, _FIRST_QUERY))

_MATRIX = 1024
_TRIES = 10


def multiplications(case: cases.Case) -> list[int]:
    """Returns the multiply-adds of each layer for one example, the first layer's first."""
    if case.kind != "classification":
        return [fan_in * out for fan_in, out in itertools.pairwise(case.widths)]
    layers, size, channels = [], case.image_size, case.channels
    for _ in range(cases.CONV_LAYERS):
        halved = (size + 1) // 2 if case.pooling == "stride" else size // 2
        side = halved if case.pooling == "stride" else size
        layers.append(side * side * 9 * channels * case.filters)
        size, channels = halved, case.filters
    return [*layers, case.features * case.ways]


def operations(case: cases.Case) -> int:
    """Returns the floating-point operations of a meta-iteration's matrix products.

    In navigation every step of a trajectory is an example. The rollouts add nothing: the policy's
    outputs in their states are also the products from which the loss starts.
    """
    first, *others = multiplications(case)
    each = case.ways or case.horizon or 1
    support = case.shots * each * (_FIRST_SUPPORT * first + _SUPPORT * sum(others))
    query = case.queries * each * (_FIRST_QUERY * first + _QUERY * sum(others))
    return 2 * case.tasks * (support + query)


def least_bytes(case: cases.Case) -> int:
    """Returns the memory traffic of a meta-iteration's products, each number being float32.

    Each product of a layer reads its two factors and writes its result once, and all else is done
    on the way. A convolution's factors are images and filters, not patches; every task has its own
    filters.
    """
    assert case.kind == "classification"
    total = 0
    each = zip(_COUNTS, (case.shots, case.queries), strict=True)
    for (others, first), examples in each:
        for number, (examples_numbers, weights) in enumerate(_numbers(case)):
            products = others if number else first
            total += products * (examples * case.ways * examples_numbers + weights)
    return 4 * case.tasks * total


def _numbers(case: cases.Case) -> list[tuple[int, int]]:
    """Returns a layer's input and output numbers for one example, and its weights."""
    layers, size, channels = [], case.image_size, case.channels
    for _ in range(cases.CONV_LAYERS):
        halved = (size + 1) // 2 if case.pooling == "stride" else size // 2
        side = halved if case.pooling == "stride" else size
        images = size * size * channels + side * side * case.filters
        layers.append((images, 9 * channels * case.filters))
        size, channels = halved, case.filters
    return [*layers, (case.features + case.ways, case.features * case.ways)]


def matrix_product_rate() -> float:
    """Measures TensorFlow's float32 matrix product on all cores, in operations a second.

    The best of ten tries, in a process of its own, which is what this module is when it is run.
    """
    command = [sys.executable, "-m", "benchmarks.harness.floor"]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def milliseconds(case: cases.Case, rate: float) -> float:
    """Returns the floor of a meta-iteration at `rate` operations a second."""
    return operations(case) / rate * 1e3


def _measure() -> float:
    import tensorflow as tf

    one = tf.ones([_MATRIX, _MATRIX])
    seconds = []
    for _ in range(_TRIES):
        begin = time.perf_counter()
        (one @ one).numpy()
        seconds.append(time.perf_counter() - begin)
    return 2 * _MATRIX**3 / min(seconds)


if __name__ == "__main__":
    print(_measure())

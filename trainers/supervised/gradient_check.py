"""Compares a model's meta-gradient with central differences.

With L(v) what the outer loop minimises on a task, such as the query loss after adaptation, as a
function of the values v that are meta-trained, and directions d, the slope ∇L(v) · d is compared
with

    (L(v + h d) − L(v − h d)) / 2h
"""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainers.compiling import log
from trainers.episodes import Episode
from trainers.errors import InputError
from trainers.learners.learner import Learner
from trainers.learners.maml_plus_plus import MamlPlusPlus
from trainers.learners.reptile import Reptile
from trainers.stateless.gradient_scale import precisions
from trainers.stateless.layer_check import untrusted_layers
from trainers.stateless.tested_layers import untested_layers
from trainers.update_rule import Tensors

DIRECTIONS = 3
TOLERANCE = 0.1
"""Of the difference. Rounding in float32 and ReLU's kinks stay below it; what a layer leaves out
may do so too, where second derivatives matter little, so that layers are looked at one by one."""
STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4)
"""Lengths of h d. Curvature spoils the first and rounding the last, by how much none can tell."""
UNEQUAL = 1e-3
"""By what share of it a loss may differ from itself, by rounding in another order."""
SEED = (0, 0)


class GradientCheck(NamedTuple):
    """The result of a check.

    Attributes:
      trusted: whether the meta-gradient equals the differences and each layer's second derivative
        is right.
      error: the largest difference from them, as a share of the slope; infinite where there is no
        meta-gradient.
      layers: the layers that have wrong second derivatives or none, and what is wrong with each.
    """

    trusted: bool
    error: float
    layers: dict[str, str]

    def __str__(self) -> str:
        """Describes the result in one sentence."""
        if self.trusted:
            return (
                "the meta-gradient agrees with central differences in "
                f"{DIRECTIONS} directions, to {100 * self.error:.2g} %"
            )
        blamed = ", ".join(f"{name}: {problem}" for name, problem in self.layers.items())
        blamed = blamed or "no layer on its own is the cause"
        differs = f"it differs by {100 * self.error:.2g} % from central differences"
        if math.isinf(self.error):
            differs = "it cannot be computed"
        return f"the meta-gradient is not to be trusted ({blamed}): {differs}"


def check_meta_gradient(learner: Learner, episode: Episode) -> GradientCheck:
    """Compares the meta-gradient of a task with central differences in some random directions.

    It is that of the learner's objective, by which it is trained, with one draw of dropout. Of
    MAML++ that is the one of the first iteration with second derivatives.

    Half of each direction follows the meta-gradient, so that there is a slope to compare, and half
    is random, so that what the meta-gradient leaves out shows too.

    Args:
      learner: as it is to be trained. One of first order leaves second derivatives out on purpose
        and is not to be trusted by this measure. Layers are looked at one by one where the learner
        takes second derivatives of them.
      episode: a task.

    Raises:
      InputError: if the loss does not depend on one of the weights, the outer step is no
        derivative of it, training has other ways, the model computes in half precision, or draws
        other numbers at each call.
    """
    if isinstance(learner, Reptile):
        raise InputError(
            "check_gradients: the outer step of Reptile is no derivative of a loss; leave it out"
        )
    if learner.has_other_train_ways:
        raise InputError(
            "check_gradients: tasks of training have other ways than those of evaluation; leave "
            "check_gradients or train_ways out"
        )
    half = precisions(learner.model) & {"float16", "bfloat16"}
    if half:
        raise InputError(
            f"check_gradients: the model computes in {', '.join(sorted(half))}, whose rounding is "
            "larger than the differences; check it in float32"
        )
    values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]

    def loss(moved: Tensors) -> float:
        return float(_objective(learner, moved, episode))

    once, again = loss(values), loss(values)
    if abs(once - again) > UNEQUAL * abs(once):
        raise InputError(
            f"check_gradients: a task's loss is {once} and then {again}, as the model draws at "
            "random by no seed; let it draw by a keras.random.SeedGenerator"
        )
    layers = {}
    if learner.differentiates_twice:
        layers = untrusted_layers(learner.model, episode.support_inputs)
    try:
        gradient = _gradient(learner, values, episode)
    except LookupError:  # TensorFlow's answer where it has no derivative of an operation.
        return GradientCheck(False, math.inf, layers)
    random = np.random.default_rng(0)
    error = max(_error(loss, values, gradient, random) for _ in range(DIRECTIONS))
    return GradientCheck(error <= TOLERANCE and not layers, error, layers)


def log_check_of_untested_layers(learner: Learner, check: Callable[[], GradientCheck]) -> None:
    """Checks a learner whose model has layers that no test covers, and logs one line about it.

    Args:
      learner: as it is to be trained.
      check: gives its `check_meta_gradient` on a task.
    """
    untested = untested_layers(learner.model)
    if not untested or not learner.differentiates_twice:
        return
    layers = ", ".join(untested)
    try:
        found = check()
    except Exception as error:
        # A model may be one that can be trained and not called otherwise, which is not asked here.
        (*_, reason) = str(error).strip().splitlines() or [""]
        log.warning(
            "with %s, which no test covers, the meta-gradient could not be checked (%s: %s)",
            layers,
            type(error).__name__,
            reason.strip(),
        )
        return
    level = logging.INFO if found.trusted else logging.WARNING
    log.log(level, "with %s, which no test covers, %s", layers, found)


def _gradient(learner: Learner, values: Tensors, episode: Episode) -> Tensors:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        objective = _objective(learner, values, episode)
    return tape.gradient(objective, values, unconnected_gradients="zero")


def _objective(learner: Learner, values: Tensors, episode: Episode) -> tf.Tensor:
    """Returns what the outer loop minimises, by the same seed each time."""
    iteration = learner.first_order_iterations if isinstance(learner, MamlPlusPlus) else 0
    count = tf.constant(iteration, tf.int64)
    return learner.objective(values, episode, tf.constant(SEED), count)[0]


def _error(
    loss: Callable[[Tensors], float],
    values: Tensors,
    gradient: Tensors,
    random: np.random.Generator,
) -> float:
    """Returns the smallest relative difference between the slope and a central difference."""
    noise = [tf.constant(random.standard_normal(v.shape), v.dtype) for v in values]
    size = tf.linalg.global_norm(gradient) / tf.linalg.global_norm(noise)
    along = [
        g * tf.constant(random.uniform(0.5, 1.5, g.shape), g.dtype) + tf.cast(size, n.dtype) * n
        for g, n in zip(gradient, noise, strict=True)
    ]
    length = tf.linalg.global_norm(along)
    along = [d / tf.cast(length, d.dtype) for d in along]
    slope = float(
        sum(tf.reduce_sum(tf.cast(g * d, tf.float64)) for g, d in zip(gradient, along, strict=True))
    )
    errors = []
    for step in STEPS:
        up, down = (
            loss([v + sign * step * d for v, d in zip(values, along, strict=True)])
            for sign in (1, -1)
        )
        difference = (up - down) / (2 * step)
        errors.append(abs(slope - difference) / max(abs(difference), 1e-12))
    return min(errors)

"""A small network around a layer, the examples that it is tried on, and its meta-gradient."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import fold_in
from trainers.supervised.meta_gradient import meta_gradient
from trainers.supervised.meta_trainer import MetaTrainer
from trainers.update_rule import Tensors

layers = keras.layers
EXAMPLES = 3
"""Of the support set, and of the query set."""
DTYPES = {"numbers": None, "tokens": "int32", "words": "string"}


class Case(NamedTuple):
    """A layer in a network.

    Attributes:
      shape: of an example.
      apply: puts the layer on a tensor [N, *shape].
      before: the activation of the layer with weights that goes before it; None where no gradient
        goes through the layer, so that it stands first.
      kind: what the examples are, one of `DTYPES`.
      floatx: the precision that the layer computes in, whatever it is asked for.
      wrong: why its meta-gradient is not right, where it is not.
    """

    shape: tuple[int, ...]
    apply: Callable[[Any], Any]
    before: str | None = "tanh"
    kind: str = "numbers"
    floatx: str = "float64"
    wrong: str = ""


def of(shape: tuple[int, ...], layer: Callable[[], keras.Layer], **options: Any) -> Case:
    """Returns the case of a layer that takes one tensor."""
    return Case(shape, lambda x: layer()(x), **options)


def network(cases: Sequence[Case]) -> keras.Model:
    """Builds a classifier with a branch for each case."""
    inputs, branches = [], []
    for case in cases:
        x = keras.Input(case.shape, dtype=DTYPES[case.kind])
        inputs.append(x)
        if case.before and case.kind == "numbers":
            x = layers.Dense(case.shape[-1], case.before)(x)
        x = case.apply(x)
        branches.append(x if len(x.shape) == 2 else layers.Flatten()(x))
    together = branches[0] if len(cases) == 1 else layers.Concatenate()(branches)
    return keras.Model(inputs, layers.Dense(3)(together))


def episode(cases: Sequence[Case]) -> Episode:
    """Draws a support and a query set for `network(cases)`."""
    random = np.random.default_rng(6)
    support, query = zip(*(_inputs(case, random) for case in cases), strict=True)
    targets = tf.constant(random.integers(0, 3, (2, EXAMPLES)))
    return Episode(list(support), targets[0], list(query), targets[1])


def _inputs(case: Case, random: np.random.Generator) -> tf.Tensor:
    shape = (2, EXAMPLES, *case.shape)
    if case.kind == "numbers":
        return tf.constant(random.normal(size=shape), keras.config.floatx())
    tokens = tf.constant(random.integers(0, 4, shape), tf.int32)
    return tf.strings.as_string(tokens) if case.kind == "words" else tokens


# By the precision: the length of the step, and the relative and the absolute tolerance.
DIFFERENCES = {"float64": (1e-5, 1e-5, 1e-8), "float32": (1e-3, 5e-3, 5e-4)}
SEED = tf.constant([3, 4])


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Makes layers by a dtype policy of Keras; with a mixed one other numbers are float32."""
    keras.config.set_floatx(policy if policy == "float64" else "float32")
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(5)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def learner_of(cases: Sequence[Case], **options: Any) -> MetaLearner:
    """Returns a learner with `network(cases)`, in the precision of the moment."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return MetaLearner(network(cases), loss, alpha_init=0.3, **options)


def trainer_of(
    cases: Sequence[Case], jit_compile: bool | None = None, **options: Any
) -> MetaTrainer:
    """Returns a trainer of `learner_of(cases)` whose tasks are all the same."""
    keras.utils.set_random_seed(5)
    task = episode(cases)
    return MetaTrainer(
        learner_of(cases, **options),
        lambda seed: task,
        keras.optimizers.SGD(0.1),
        meta_batch_size=2,
        jit_compile=jit_compile,
    )


def checkable(case: Case) -> Case:
    """Returns a case in whose network the gradient goes through the layer.

    Where it is wrong, the table has the layer first, so that its network can be trained.
    """
    if case.wrong and case.before is None:
        return case._replace(before="sigmoid", floatx="float32")
    return case


def slopes(case: Case, traced: bool = False) -> list[tuple[float, float]]:
    """Compares a case's meta-gradient with central differences, by θ and by α.

    Args:
      case: a layer in a network.
      traced: whether both are computed by a graph, as in training.

    Returns:
      For a random direction of θ, and one of α: the slope by the meta-gradient, and by differences.
    """
    with precision(case.floatx):
        learner, task = learner_of([case]), episode([case])
        values = [tf.convert_to_tensor(variable) for variable in learner.meta_variables]
        if traced:
            made = tf.function(meta_gradient, autograph=False)
            gradient, *_ = made(learner, values, task, SEED)

            def loss_at(values: Tensors) -> tf.Tensor:
                return made(learner, values, task, SEED)[1]["loss"]
        else:
            gradient, *_ = meta_gradient(learner, values, task, SEED)

            def loss_at(values: Tensors) -> tf.Tensor:
                return _query_loss(learner, task, values)

        step, *_ = DIFFERENCES[case.floatx]
        random = np.random.default_rng(7)
        count = len(learner.theta)
        found = []
        for part in (range(count), range(count, len(values))):
            direction = [random.normal(size=v.shape) * (n in part) for n, v in enumerate(values)]
            up, down = (
                float(
                    loss_at([v + sign * step * d for v, d in zip(values, direction, strict=True)])
                )
                for sign in (1, -1)
            )
            slope = sum(np.sum(g.numpy() * d) for g, d in zip(gradient, direction, strict=True))
            found.append((float(slope), (up - down) / (2 * step)))
    return found


def _query_loss(learner: MetaLearner, task: Episode, values: Tensors) -> tf.Tensor:
    """Returns what `meta_gradient` differentiates."""
    of_support, of_query = ({"training": True, "seed": fold_in(SEED, number)} for number in (0, 1))
    state = learner.adapt(task.support_inputs, task.support_targets, values=values, **of_support)
    scores, _ = learner.score(state, task.query_inputs, task.query_targets, **of_query)
    return scores["loss"]

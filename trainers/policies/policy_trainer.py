"""Algorithm 2 of Li et al. 2017: meta-training on a distribution over decision processes.

    repeat
      sample tasks T from p(T)
      for each T: sample N trajectories with θ, L_train(T) the negative expected return on them
                  θ'_T = θ − α ∘ ∇L_train(T)(θ)
                  sample N trajectories with θ'_T, L_test(T) the negative expected return on them
      (θ, α) ← (θ, α) − β ∇_(θ,α) mean_T L_test(T)(θ'_T)

The outer step is one of TRPO on θ and α together, or one of any Keras optimizer.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from trainers.episodes import is_finite
from trainers.errors import DivergedError, InputError
from trainers.learners.meta_sgd import MetaLearner
from trainers.overflow import refuse_overflow, refuse_unfit
from trainers.policies import policy_gradient
from trainers.policies.advantages import Advantages
from trainers.policies.experience import Experience, experience_of, learning
from trainers.policies.rollouts import TaskEnvironment
from trainers.policies.task_means import mean_over_tasks
from trainers.policies.trust_region import TrustRegion, trust_region_step
from trainers.replicas import mean_of_workers, share, taken_as_they_are
from trainers.seeds import fold_in, split_seed, stream
from trainers.stateless.pure_model import Output
from trainers.update_rule import Tensors


class PolicyTrainer:
    """Meta-trains a learner whose model is a policy.

    An iteration depends only on the learner, the optimizer's state, `seed` and the iteration's
    number, and up to rounding not on how many replicas share its tasks.

    Attributes:
      learner: the learner to train; its loss is one of `policy_gradient`.
      optimizer: the outer optimizer; an empty module for a trust region, which has no state.
      iteration: meta-iterations done, an int64 `tf.Variable`.
      way: how iterations are run, in words.
    """

    way = "uncompiled, policies acting in all tasks at once"

    def __init__(
        self,
        learner: MetaLearner,
        environment: TaskEnvironment,
        outer: TrustRegion | keras.optimizers.Optimizer,
        *,
        inner_advantages: Advantages,
        outer_advantages: Advantages,
        seed: int = 0,
    ):
        """Prepares training; under a `tf.distribute.Strategy`'s scope, on its replicas.

        Each replica has the gradients, and the products with the Fisher information, of its share
        of the tasks. Every worker makes all trajectories, which take less time than these.

        Args:
          learner: the learner to train, made in the same scope.
          environment: the environment, whose tasks are the meta-batch.
          outer: the method of the outer steps.
          inner_advantages: how the advantages in the inner steps are estimated.
          outer_advantages: how the advantages in the outer step are estimated.
          seed: the seed of tasks, starts and actions.

        Raises:
          InputError: if the replicas cannot share the tasks equally, the policy has dropout, or an
            optimizer scales the loss or has been built for other variables.
        """
        if learner.pure_model.draws:
            # What a policy did would not be what its gradient is of, unless masks were kept.
            raise InputError(
                f"model={learner.model.name!r}: has layers that draw at random, such as dropout, "
                "which training of policies does not let act; leave them out"
            )
        self._strategy = tf.distribute.get_strategy()
        share(self._strategy, environment.tasks, "meta_batch_size")
        self.learner = learner
        self.iteration = tf.Variable(0, dtype=tf.int64, trainable=False, name="iteration")
        self.optimizer = tf.Module() if isinstance(outer, TrustRegion) else outer
        self._outer = outer
        self._inner_advantages = inner_advantages
        self._outer_advantages = outer_advantages
        self._tasks = environment.tasks
        self._learn = learning(learner, environment, inner_advantages, learner.inner_steps)
        self._seed = stream(seed, "train")
        self._variables = [*learner.theta, *learner.alpha.learned]
        if isinstance(outer, keras.optimizers.Optimizer):
            refuse_unfit(outer, self._variables)
            outer.build(self._variables)
        self._gather = tf.function(self._trace_experience, autograph=False)
        self._gradient = tf.function(self._trace_gradient, autograph=False)
        self._step = tf.function(self._trace_trust_region, autograph=False)
        self._apply = tf.function(self._trace_apply, autograph=False)

    def prepare(self) -> None:
        """Does nothing: there is only one way to train policies."""

    def train(
        self, iterations: int, stop: Callable[[], object] = lambda: False
    ) -> dict[str, float]:
        """Makes that many meta-iterations.

        Args:
          iterations: how many, at least 1.
          stop: called between iterations; if it returns a true value to any worker, the others are
            not made.

        Returns:
          The means of the metrics over these iterations, by name.

        Raises:
          InputError: for fewer than one iteration.
          DivergedError: at the first iteration whose rewards or gradient are not finite, which
            changes nothing. Or at one whose outer step leaves a variable that is not finite;
            nothing is to be saved then.
        """
        if iterations < 1:
            raise InputError(f"iterations={iterations}: should be at least 1")
        told: list[dict[str, float]] = []
        while not told or (
            len(told) < iterations and not mean_of_workers(self._strategy, bool(stop()))
        ):
            told.append({name: float(value) for name, value in self._iterate().items()})
            self.iteration.assign_add(1)
        return {name: sum(one[name] for one in told) / len(told) for name in told[0]}

    def _iterate(self) -> dict[str, tf.Tensor]:
        number = int(self.iteration.numpy()) + 1
        experience, told = self._gather(tf.identity(self.iteration))
        gradient = self._gradient(experience)
        norm = tf.linalg.global_norm(gradient)
        if not bool(tf.math.is_finite(norm)):
            raise DivergedError(f"meta-iteration {number} was not finite: {self._cause(told)}")
        if isinstance(self._outer, TrustRegion):
            told |= self._step(experience, gradient)
        else:
            self._apply(self._outer, gradient)
        refuse_overflow(self._variables, number)
        return told | {"meta_gradient_norm": norm}

    def _cause(self, told: dict[str, tf.Tensor]) -> str:
        """Names the first quantity of an iteration that is not finite."""
        if is_finite(self._variables) and not is_finite(told["return_before"]):
            return "the rewards of its tasks before the update are not"
        if is_finite(self._variables) and not is_finite(told["return"]):
            return (
                "the rewards of its tasks after the update are not; if those of the environment "
                "always are, try a lower alpha_init"
            )
        return "its meta-gradient is not; try a lower alpha_init or meta_learning_rate"

    def _trace_apply(self, optimizer: keras.optimizers.Optimizer, gradient: Tensors) -> None:
        with taken_as_they_are(optimizer):
            self._strategy.run(
                lambda gradient: optimizer.apply(gradient, self._variables), args=(gradient,)
            )

    def _trace_experience(self, iteration: tf.Tensor) -> tuple[Experience, dict[str, tf.Tensor]]:
        seed = fold_in(self._seed, iteration)
        learned = self._learn(split_seed(seed, self._tasks), seed)
        experience = experience_of(
            self.learner, learned, self._inner_advantages, self._outer_advantages
        )
        before, after = (tf.reduce_mean(met.returns()) for _, met in (learned[0], learned[-1]))
        entropy = tf.reduce_mean(policy_gradient.entropy(experience.query_outputs))
        return experience, {"return_before": before, "return": after, "entropy": entropy}

    def _values(self) -> Tensors:
        return [
            *(tf.convert_to_tensor(weight.value) for weight in self.learner.theta),
            *(tf.convert_to_tensor(rate) for rate in self.learner.alpha.rates),
        ]

    def _output(self, values: Tensors, task: Experience) -> Output:
        """Calls one task's adapted policy in the query states.

        Args:
          values: the values of θ, then those of α's variables.
          task: the examples of one task, at K inner steps and after them.

        Returns:
          Outputs [n, 2 A] and the penalty, of which inner steps have theirs.
        """
        count = len(self.learner.theta)
        weights, values = values[:count], self._learned(values)
        for step in range(self.learner.inner_steps):
            support = task.support_inputs[step], task.support_targets[step]
            weights = self.learner.adapt(*support, steps=1, theta=weights, values=values)
        return self.learner.output(weights, task.query_inputs)

    def _learned(self, values: Tensors) -> Tensors:
        return values if self.learner.alpha.learned else values[: len(self.learner.theta)]

    def _trace_gradient(self, experience: Experience) -> Tensors:
        values = self._values()
        learned = self._learned(values)

        def of_task(task: Experience) -> Tensors:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(learned)
                output = self._output(values, task)
                losses = policy_gradient.plain(task.query_targets, output.outputs)
                loss = tf.reduce_mean(losses) + output.penalty
            return [tf.convert_to_tensor(g) for g in tape.gradient(loss, learned)]

        return mean_over_tasks(of_task, self._strategy)(experience)

    def _trace_trust_region(
        self, experience: Experience, gradient: Tensors
    ) -> dict[str, tf.Tensor]:
        values = self._values()
        learned = self._learned(values)
        fixed = values[len(learned) :]

        def fisher_product(task: Experience, vector: Tensors) -> Tensors:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(learned)
                with tf.autodiff.ForwardAccumulator(learned, vector) as tangents:
                    outputs = self._output(values, task).outputs
                change = tangents.jvp(outputs)
            weighted = policy_gradient.fisher_information(outputs) * change
            weighted *= _weights(task)[..., tf.newaxis]
            return tape.gradient(outputs, learned, output_gradients=weighted)

        def evaluate(task: Experience, learned: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
            outputs, penalty, *_ = self._output([*learned, *fixed], task)
            losses = policy_gradient.relative_to(task.query_outputs, task.query_targets, outputs)
            divergence = policy_gradient.divergence(task.query_outputs, outputs)
            # With the penalty, as the gradient is: what falls is to be what the step goes down. How
            # far it goes is up to the policy alone.
            loss = tf.reduce_mean(losses) + penalty
            return loss, tf.reduce_sum(_weights(task) * divergence)

        products, evaluations = (
            mean_over_tasks(work, self._strategy) for work in (fisher_product, evaluate)
        )
        step = trust_region_step(
            self._outer,
            learned,
            gradient,
            lambda vector: products(experience, vector),
            lambda learned: evaluations(experience, learned),
        )
        for variable, value in zip(self._variables, step.values, strict=True):
            variable.assign(value)
        return {"divergence": step.divergence, "backtracks": tf.cast(step.backtracks, tf.float32)}


def _weights(task: Experience) -> tf.Tensor:
    """Returns the weight of each example in a mean over those within the mask, [n]."""
    return task.query_mask / tf.reduce_sum(task.query_mask)

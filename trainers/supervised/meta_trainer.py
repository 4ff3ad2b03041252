"""Algorithm 1 of Li et al. 2017: meta-training on a distribution over tasks.

    repeat
      sample tasks T from p(T)
      for each T: θ'_T = θ − α ∘ ∇L_train(T)(θ)
      (θ, α) ← (θ, α) − β ∇_(θ,α) mean_T L_test(T)(θ'_T)

The paper sums over tasks; here it is the mean, so that the outer learning rate and clipping do not
depend on the meta-batch. The outer step is any Keras optimizer's.
"""

import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainers.compiling import first_that_works
from trainers.devices import takes_forms_for_gpus
from trainers.episodes import Sampler
from trainers.errors import DivergedError, InputError
from trainers.learners.learner import Learner
from trainers.overflow import refuse_overflow, refuse_unfit
from trainers.replicas import mean_of_workers, mean_over_replicas, share
from trainers.seeds import fold_in, split_seed, stream
from trainers.stateless.layer_check import untrusted_layers
from trainers.stateless.logits import refuse_logits
from trainers.supervised import watching
from trainers.supervised.diagnosis import explain_divergence
from trainers.supervised.gradient_check import (
    GradientCheck,
    check_meta_gradient,
    log_check_of_untested_layers,
)
from trainers.supervised.meta_batch import (
    WAYS,
    SumOverTasks,
    naming_the_other_way,
    summed,
    ways_to_run,
)
from trainers.supervised.meta_gradient import Gradient
from trainers.supervised.outer_step import moved, outer_step_of_replicas
from trainers.supervised.pace import Pace
from trainers.supervised.sampler_check import check_sampler


class MetaTrainer:
    """Meta-trains a learner.

    What it does at an iteration is a function of the learner, the optimizer's state, `seed` and the
    iteration's number alone, however the iterations are divided between calls and the tasks
    between replicas (up to rounding).

    Attributes:
      learner: what is trained.
      optimizer: the outer optimizer.
      iteration: meta-iterations done, an int64 `tf.Variable`.
      way: how iterations are run, one of `meta_batch.WAYS`; None before the first.
    """

    def __init__(
        self,
        learner: Learner,
        tasks: Sampler,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        meta_batch_size: int = 4,
        seed: int = 0,
        jit_compile: bool | None = None,
        task_batching: str = "auto",
        classes: int | None = None,
    ):
        """Prepares training; under a `tf.distribute.Strategy`'s scope, on its replicas.

        Args:
          learner: what to train, made in the same scope.
          tasks: the distribution to draw tasks from: a function from a seed [2] to an episode.
          optimizer: any Keras optimizer, with its clipping, or its name; Adam with rate 0.001 if
            not given.
          meta_batch_size: tasks of an iteration, over all replicas.
          seed: what tasks and dropout masks are drawn by.
          jit_compile: whether XLA compiles the loop over iterations; if not given, where it pays.
            A model that cannot be compiled is trained uncompiled, which is logged.
          task_batching: one of `meta_batch.BATCHINGS`. `batched` compiles one program in which each
            operation is done for all tasks at once, which is what a GPU needs; `side_by_side` gives
            each task operations of its own, which the cores of a CPU share. `auto` takes `batched`
            on a GPU and for models whose time goes into launching small operations. A learner that
            `batches_tasks` is given them as one batch, compiled or not, unless `side_by_side`.
          classes: below what class numbers are, unless the learner knows it; others are refused.

        Raises:
          InputError: if the replicas cannot share the tasks equally, for an unknown
            `task_batching`, one that is `batched` where `jit_compile` is false, or an optimizer
            that scales the loss or has been built for other variables.
        """
        self.learner = learner
        self.optimizer = keras.optimizers.get(optimizer or "adam")
        self.iteration = tf.Variable(0, dtype=tf.int64, trainable=False, name="iteration")
        self._tasks = tf.function(tasks)
        self._classes = learner.train_classes or classes
        self._seed = stream(seed, "train")
        self._strategy = tf.distribute.get_strategy()
        self._share = share(self._strategy, meta_batch_size, "meta_batch_size")
        self._meta_batch_size = meta_batch_size
        self._variables = learner.meta_variables
        refuse_unfit(self.optimizer, self._variables)
        self.optimizer.build(self._variables)
        self._task_batching = task_batching
        self._branchless = takes_forms_for_gpus(learner.model)
        self._ways = ways_to_run(
            task_batching, jit_compile, learner, self._strategy.num_replicas_in_sync
        )
        self._sum_over_tasks: SumOverTasks  # Made with the way.
        self._iterate: Callable[..., Any] | None = None
        self.way: str | None = None
        self._pace = Pace(lambda seconds: mean_of_workers(self._strategy, seconds))
        self._check: GradientCheck | None = None

    def train(
        self,
        iterations: int,
        stop: Callable[[], object] = lambda: False,
        *,
        progress: bool = False,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> dict[str, float]:
        """Makes that many meta-iterations, in calls of the compiled loop of about a second each.

        Args:
          iterations: how many, at least 1.
          stop: asked between calls; where it says yes to any worker, what is left is not done.
          progress: whether to show the progress on standard error: a bar on a terminal, lines
            elsewhere.
          tensorboard: a directory for TensorBoard; it gets about a hundred points of the curves of
            the scores and, where it is learned, of α.

        Returns:
          The means over these iterations of the query set's loss and metrics after adaptation, by
          name, and of `meta_gradient_norm`.

        Raises:
          InputError: for fewer than one iteration, or a model that cannot be meta-trained.
          DivergedError: at the first iteration whose loss or gradient is not finite. Everything
            stays as the iteration before left it. Or at one whose outer step leaves a variable that
            is not finite; nothing is to be saved then.
        """
        if iterations < 1:
            raise InputError(f"iterations={iterations}: should be at least 1")
        first = done = int(self.iteration.numpy())
        last = first + iterations
        self.prepare()
        between = iterations if tensorboard is None else watching.interval(iterations)
        written, totals = done, self._no_totals()
        sums = dict.fromkeys(totals, 0.0)
        with (
            watching.bar(progress, first, last) as show,
            watching.curves(self.learner, tensorboard) as write,
        ):
            while done == first or (
                done < last and not mean_of_workers(self._strategy, bool(stop()))
            ):
                point = min(written + between, last)
                done, totals = self._burst(done, min(done + self._pace.burst, point), totals)
                means = {name: float(total) / (done - written) for name, total in totals.items()}
                show(done, {"loss": means["loss"]})
                if done == point:
                    write(done, means)
                    sums = {name: sums[name] + float(total) for name, total in totals.items()}
                    written, totals = done, self._no_totals()
        return {name: (sums[name] + float(totals[name])) / (done - first) for name in sums}

    def _burst(
        self, done: int, upto: int, totals: dict[str, tf.Tensor]
    ) -> tuple[int, dict[str, tf.Tensor]]:
        """Makes iterations from `done` to `upto` at most, and adds their scores to `totals`."""
        scale = self.learner.scale
        upto = upto if scale is None else scale.raised(done, upto)
        with self._pace.timed(upto - done):
            reached, totals = self.prepare()(tf.constant(done), tf.constant(upto), totals)
            done = int(reached)
        self.iteration.assign(done)
        if done < upto:
            if scale is not None and scale.lowered(done):
                return self._burst(done, upto, totals)
            # XLA may draw other numbers from the same seeds.
            drawn = tf.function(self._tasks, jit_compile=self.way != WAYS[-1])
            cause = explain_divergence(self.learner, drawn, self._task_seeds(reached), reached)
            raise DivergedError(f"meta-iteration {done + 1} was not finite: {cause}")
        # The next iteration would tell, but the last one has none.
        refuse_overflow(self._variables, done)
        return done, totals

    def prepare(self) -> Callable[..., Any]:
        """Finds the fastest way to run iterations of this model, and compiles it.

        Returns:
          A function from the first iteration, the last one and totals to how far it came and
          totals.

        Raises:
          InputError: if the model cannot be meta-trained; the layer is named where possible. Or if
            what draws tasks raises an exception or does not return an `Episode`.
        """
        if self._iterate is not None:
            return self._iterate
        refuse_logits(self.learner.model, self.learner.scores["loss"])
        others = fold_in(self._seed, -2), fold_in(self._seed, -3)
        check_sampler(self._tasks, *others, classes=self._classes)
        # As many iterations as none tell whether a way works, and change nothing.
        none = tf.constant(int(self.iteration.numpy()))

        def trying(way: str) -> Callable[[], Callable[..., Any]]:
            def run() -> Callable[..., Any]:
                self.way = way
                self._sum_over_tasks = summed(self.learner, self._tasks, way, self._task_batching)
                iterate = tf.function(
                    self._trace_iterations, jit_compile=way != WAYS[-1], autograph=False
                )
                iterate(none, none, self._no_totals())
                return iterate

            return run

        ways = {way: trying(way) for way in self._ways}
        with naming_the_other_way(self._task_batching):
            self.way, iterate = first_that_works(ways, self.learner.model, "training", self._blame)
        self._iterate = iterate
        if self._check is None:
            log_check_of_untested_layers(self.learner, self.check_gradient)
        return iterate

    def check_gradient(self) -> GradientCheck:
        """Compares the meta-gradient of a task with central differences, see `GradientCheck`.

        It is done before training anyhow where the model has a layer that no test covers, and
        what it finds is logged.
        """
        episode = self._tasks(fold_in(self._seed, -2))  # Not a task that training meets.
        self._check = check_meta_gradient(self.learner, episode)
        return self._check

    def _blame(self) -> str | None:
        """Returns the first layer that cannot be differentiated twice."""
        episode = self._tasks(self._task_seeds(tf.constant(0, tf.int64))[0])
        return next(iter(untrusted_layers(self.learner.model, episode.support_inputs)), None)

    def _no_totals(self) -> dict[str, tf.Tensor]:
        return {name: tf.zeros(()) for name in [*self.learner.scores, "meta_gradient_norm"]}

    # Written without AutoGraph, which would take as long to convert it as to trace a small network.
    def _trace_iterations(
        self, first: tf.Tensor, last: tf.Tensor, totals: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        def to_do(step: tf.Tensor, totals: dict[str, tf.Tensor], finite: tf.Tensor) -> tf.Tensor:
            del totals
            return tf.logical_and(finite, step < last)

        def iterate(
            step: tf.Tensor, totals: dict[str, tf.Tensor], finite: tf.Tensor
        ) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
            gradient, scores, state = self._meta_gradient(step)
            scores["meta_gradient_norm"] = tf.linalg.global_norm(gradient)
            finite = tf.math.is_finite(scores["loss"] + scores["meta_gradient_norm"])

            def apply(
                finite: tf.Tensor | None = None,
            ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
                changed = self._variables, gradient, *moved(self.learner, state)
                outer_step_of_replicas(self._strategy, self.optimizer, *changed, finite)
                return step + 1, {n: totals[n] + tf.cast(scores[n], tf.float32) for n in totals}

            if self.way != WAYS[-1] and self._branchless:
                reached = tf.nest.map_structure(
                    lambda new, old: tf.where(finite, new, old), apply(finite), (step, totals)
                )
            else:
                reached = tf.cond(finite, apply, lambda: (step, totals))
            return (*reached, finite)

        return tf.while_loop(to_do, iterate, (first, totals, tf.constant(True)))[:2]

    def _meta_gradient(self, step: tf.Tensor) -> Gradient:
        """Returns the means over the meta-batch of gradients, scores and the model's state."""
        return mean_over_replicas(self._strategy, self._replica_mean, (step,))

    def _replica_mean(self, step: tf.Tensor) -> Gradient:
        replica = tf.distribute.get_replica_context()
        count = self._share
        first = replica.replica_id_in_sync_group * count
        values = [tf.convert_to_tensor(variable) for variable in self._variables]
        seeds = tf.slice(self._task_seeds(step), [first, 0], [count, 2])
        total = self._sum_over_tasks(values, seeds, step)
        return tf.nest.map_structure(lambda value: value / count, total)

    def _task_seeds(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the seeds of an iteration's tasks, [meta_batch_size, 2] (int32)."""
        return split_seed(fold_in(self._seed, step), self._meta_batch_size)

"""Loads a run and evaluates its checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags

from metasgd_tf import tasks
from metasgd_tf.evaluation.reports import COLUMNS, Evaluation, write
from metasgd_tf.evaluation.restoring import restored_learner
from metasgd_tf.evaluation.tested_tasks import of_the_test
from metasgd_tf.flags import algorithms, flag_uses, run_flags
from metasgd_tf.output.provenance import provenance
from metasgd_tf.output.shown_names import shown
from metasgd_tf.runs.learners import kind_of
from trainers.checkpoints.loading import Origin
from trainers.episodes import Protocol
from trainers.errors import InputError
from trainers.families import Family, Part
from trainers.learners.embeddings.embedding_learner import EmbeddingLearner
from trainers.learners.fast_weights import FastWeightsLearner
from trainers.learners.learner import Learner
from trainers.seeds import stream
from trainers.supervised.evaluation import mean_and_ci95


class LoadedRun(NamedTuple):
    """A run as it was trained, and the tasks that it is evaluated on.

    Attributes:
      model_dir: the run's directory.
      settings: its flags; those for the tasks describe the ones that it is evaluated on.
      trained_on: the tasks that it was trained on.
      family: the tasks that it is evaluated on.
      learner: the learner, restored from the checkpoint.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.
      origin: the iteration and the training time at which the checkpoint was saved.
    """

    model_dir: str
    settings: flags.FlagValues
    trained_on: str
    family: Family
    learner: Learner
    checkpoint: str
    origin: Origin


def evaluate_run(
    model_dir: str,
    *,
    num_tasks: int | None = None,
    eval_seed: int = 0,
    inner_steps: int | None = None,
    checkpoint: str = "last",
    other_task: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluates a run on the test split and writes the result into its directory.

    Args:
      model_dir: the run's directory.
      num_tasks: number of test tasks; the family's default if not given.
      eval_seed: the seed of the tasks, which are the same for every run of a family.
      inner_steps: number of inner steps; as in training if not given, and 3 for navigation.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`: the last one, or the best one on
        validation tasks.
      other_task: values of `task_flags.TASK_FLAGS`, or of `ways`, to use in place of the run's own.

    Raises:
      InputError: if there is no run or no checkpoint, or the tasks do not fit the network.
    """
    run = load_run(model_dir, checkpoint, other_task)
    evaluated = evaluate(run, num_tasks=num_tasks, eval_seed=eval_seed, inner_steps=inner_steps)
    write(model_dir, evaluated)
    return evaluated


def load_run(
    model_dir: str,
    checkpoint: str = "last",
    other_task: Mapping[str, Any] | None = None,
    family: Family | None = None,
    flag: str = "model_dir",
) -> LoadedRun:
    """Loads a run and the tasks to evaluate it on.

    Args:
      model_dir: the run's directory.
      checkpoint: one of `trainers.checkpoints.loading.KINDS`.
      other_task: values of `task_flags.TASK_FLAGS`, or of `ways`, to use in place of the run's own.
      family: the tasks that these flags describe, where they are loaded already.
      flag: the flag that names the directory, for error messages.

    Raises:
      flags.Error: if there is no run, or the tasks have no use for one of these values.
      InputError: if there is no checkpoint, or the tasks do not fit the network.
    """
    settings = run_flags.read(model_dir, flag)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    trained_on = task_name(settings)
    own = run_flags.read(model_dir)
    for name, value in (other_task or {}).items():
        settings[name].value = value
    flag_uses.refuse_unused(settings.task, other_task or {})
    family = family or of_the_test(settings, own, model_dir, other_task or {})
    if "ways" in (other_task or {}) and kind_of(family) != "classification":
        raise InputError(f"ways={settings.ways}: task={settings.task} has no classes; leave it out")
    # Of a tied last layer any number of classes is made; the network keeps its own.
    other_ways = settings.tied_head and "ways" in (other_task or {})
    of_network = tasks.from_flags(own, ()) if other_ways else None
    learner, origin = restored_learner(family, settings, model_dir, checkpoint, of_network, flag)
    return LoadedRun(model_dir, settings, trained_on, family, learner, checkpoint, origin)


def evaluate(
    run: LoadedRun,
    *,
    num_tasks: int | None = None,
    eval_seed: int = 0,
    inner_steps: int | None = None,
) -> Evaluation:
    """Evaluates a run like `evaluate_run`, but writes nothing."""
    settings, learner = run.settings, run.learner
    protocols = run.family.protocols(num_tasks)
    if inner_steps == 0:
        protocols = [protocol._replace(before=None) for protocol in protocols]
    per_task = {
        protocol.shots: _scores(run, protocol, eval_seed, inner_steps) for protocol in protocols
    }
    report = {
        "task": task_name(settings),
        "trained_on": run.trained_on,
        "cross_domain": task_name(settings) != run.trained_on,
        **({"ways": run.family.output_size} if kind_of(run.family) == "classification" else {}),
        "protocol": run.family.protocol_name,
        "algorithm": settings.algorithm,
        "alpha": settings.alpha,
        "batch_norm": batch_norm_of(learner),
        "checkpoint": run.checkpoint,
        "iteration": run.origin.iteration,
        "training_seconds": round(run.origin.seconds, 1),
        "seed": settings.seed,
        "eval_seed": eval_seed,
        "results": [
            row
            for protocol in protocols
            for row in _rows(protocol, per_task[protocol.shots], learner.predicts_unadapted)
        ],
        **provenance(),
    }
    return Evaluation(report, per_task)


def refuse_steps(runs: Sequence[LoadedRun], inner_steps: int | None) -> None:
    """Checks that a run, or two that are compared, can be evaluated with a number of inner steps.

    Raises:
      InputError: if it is 0 and a learner has no answer before it has seen the support set, or
        above 1 and all learners learn a task at once. Where one makes steps, the other is compared
        with it after each.
    """
    for run in runs:
        _refuse_unadapted(run, inner_steps)
    at_once = not any(algorithms.has_steps(run.settings.algorithm) for run in runs)
    if at_once and inner_steps is not None and inner_steps > 1:
        named = f"model_dir={runs[0].model_dir}"
        raise InputError(algorithms.steps_refused(inner_steps, named))


def _refuse_unadapted(run: LoadedRun, inner_steps: int | None) -> None:
    if inner_steps == 0 and not run.learner.predicts_unadapted:
        raise InputError(
            f"inner_steps=0: the run in {run.model_dir} is of algorithm={run.settings.algorithm}, "
            "which predicts nothing before it has seen the support set; should be at least 1"
        )


def refuse_unshared(run: LoadedRun, distribution: str) -> None:
    """Checks that several replicas can share a run's test tasks.

    Raises:
      InputError: for navigation, whose environment has one state.
    """
    if kind_of(run.family) == "navigation":
        raise InputError(
            f"distribution={distribution}: the trajectories of task={run.settings.task} cannot be "
            "shared in an evaluation; leave it out"
        )


def batch_norm_of(learner: Learner) -> str | None:
    """Returns whose statistics a learner's batch normalisation uses; None if it has none."""
    if (
        isinstance(learner, FastWeightsLearner | EmbeddingLearner)
        and learner.pure_model.batch_norms
    ):
        return learner.batch_norm
    return "transductive" if learner.normalises_together else None


def task_name(settings: flags.FlagValues) -> str:
    """Returns the name of a run's tasks; tasks of another name are another domain."""
    sources = {"image_folder": [settings.image_dir], "tfds_images": [settings.dataset]}
    if ":" in settings.task:  # The user's own tasks may read either.
        sources[settings.task] = [settings.image_dir, settings.dataset]
    name = shown(" ".join([settings.task, *filter(None, sources.get(settings.task, []))]))
    if settings.task == "omniglot" and settings.split == "lake":
        name += ", Lake's split"
    if settings.task == "navigation":
        name += f", {settings.start} start, {settings.reward} reward, horizon {settings.horizon}"
    # As above, the user's own tasks may read it too.
    if settings.fixed_frequency and (settings.task == "sinusoid" or ":" in settings.task):
        name += ", fixed frequency"
    return name


def _scores(
    run: LoadedRun, protocol: Protocol, eval_seed: int, inner_steps: int | None
) -> dict[str, np.ndarray]:
    part, family = Part("test", stream(eval_seed, "test")), run.family
    (scores,) = family.evaluation(
        run.learner,
        protocol,
        [part],
        steps=inner_steps,
        task_batching=run.settings.task_batching,
    )()
    # The family's own metric comes first: figures take the first one.
    names = sorted(scores, key=lambda name: name != family.metric)
    return {
        name: scores[name]
        .reshape(protocol.num_tasks, protocol.repeats, -1)
        .mean(1, dtype=np.float64)
        for name in names
        if name != "loss" or family.metric == "loss"
    }


def _rows(
    protocol: Protocol, scores: dict[str, np.ndarray], predicts_unadapted: bool
) -> list[dict[str, Any]]:
    rows = []
    for metric, values in scores.items():
        for step in range(0 if predicts_unadapted else 1, values.shape[1]):
            tasks = protocol.scored(step)
            mean, ci95 = mean_and_ci95(values[:tasks, step])
            cells = (metric, protocol.shots, step, mean, ci95, tasks, protocol.repeats)
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows

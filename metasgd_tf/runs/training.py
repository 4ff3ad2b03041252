"""A training run: flags in, a directory with checkpoints and curves out."""

import contextlib
import pathlib
import time
from collections.abc import Iterator

import tensorflow as tf
from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.output.notes import note
from metasgd_tf.output.provenance import provenance
from metasgd_tf.runs import directory, division
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.outer_optimizer import outer_optimizer
from metasgd_tf.runs.record import Record
from metasgd_tf.runs.stopping import Stopped, noticing_signals
from metasgd_tf.runs.workers import Workers
from trainers import devices
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.families import Family
from trainers.supervised.meta_trainer import MetaTrainer

OF_THE_MACHINE = ("data_dir", "manual_dir")
"""Flags that may differ between the workers of a run."""

PROFILED = 3
"""Meta-iterations of a profile: enough to see one from end to end."""


def train_run(
    settings: flags.FlagValues,
    model_dir: str,
    *,
    profile: bool = False,
    check_gradients: bool = False,
    strategy: tf.distribute.Strategy | None = None,
) -> MetaTrainer:
    """Trains to `settings.iterations`, going on from the last checkpoint in `model_dir`.

    Args:
      settings: a run's flags. With `deterministic`, TensorFlow keeps to deterministic operations
        in all of this process from now on.
      model_dir: the run's directory; made where missing.
      profile: whether to write a trace of a few iterations for TensorBoard.
      check_gradients: whether to compare the meta-gradient with central differences first, and
        print the result.
      strategy: whose replicas share the tasks of an iteration. Of several workers, which all call
        this with the same and see the same `model_dir`, the first one alone writes into it.

    Returns:
      The trainer, at its last iteration.

    Raises:
      InputError: if the flags ask for what cannot be, the directory is another run's or in use, or
        another worker was started with other flags, data or versions.
      DivergedError: at the first iteration that is not finite; checkpoints stay as they were.
      LostWorkerError: if another worker ended; checkpoints stay as they were.
      Stopped: after a SIGINT or SIGTERM to any worker, when what was reached is saved.
    """
    strategy = strategy or tf.distribute.get_strategy()
    workers = Workers(strategy)
    settings = run_flags.resolve(settings)
    run_flags.refuse_unused(settings)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    with workers.noticing_losses("go on from the last checkpoint"), contextlib.ExitStack() as held:
        asked = {"--profile": profile, "--check_gradients": check_gradients}
        family = _tasks_of_all(workers, settings, model_dir, asked)
        with strategy.scope():
            trainer = _build_trainer(family, settings)
        with workers.together():
            if workers.chief:
                held.enter_context(directory.claimed(model_dir))
            saved = _restored(trainer, family, settings, model_dir)
        done = int(trainer.iteration.numpy())
        workers.refuse_differing(
            {"the last checkpoint's iteration": done},
            f"model_dir={model_dir} should be one directory that all of them can read",
        )
        with workers.together():
            if check_gradients:
                note(_check_gradient(trainer))
            if done < settings.iterations:
                _prepare(trainer, settings)
        if workers.chief:
            _begin(saved, family, settings, model_dir)
        if done < settings.iterations:
            _train_to_the_end(trainer, family, saved, settings, model_dir, profile, workers)
    return trainer


def _tasks_of_all(
    workers: Workers, settings: flags.FlagValues, model_dir: str, asked: dict[str, bool]
) -> Family:
    """Loads the tasks, and checks that all workers have these, and what else has to be the same."""
    with workers.together():
        divided = division.of_a_training(settings, model_dir)
        family = tasks.from_flags(divided, ("train", "validation"))
    if workers.count > 1:
        workers.refuse_differing(
            identity(settings, family) | asked,
            "start the same command on all of them, with the same version and data",
        )
    return family


def _build_trainer(family: Family, settings: flags.FlagValues) -> MetaTrainer:
    learner = build_learner(family, settings)
    if learner.alpha is not None:
        settings.alpha_init = learner.alpha.initial_value
    return family.trainer(
        learner,
        outer_optimizer(settings),
        meta_batch_size=settings.meta_batch_size,
        seed=settings.seed,
        task_batching=settings.task_batching,
    )


def identity(settings: flags.FlagValues, family: Family) -> dict[str, object]:
    """Returns what has to be the same on all workers of a run, by a name for messages.

    How often something is written belongs to it: workers meet there.
    """
    source = provenance()
    return {
        **{f"--{n}": settings[n].value for n in run_flags.names() if n not in OF_THE_MACHINE},
        **source["versions"],
        "the commit": source["commit"],
        "the digest of the data": family.data_digest(),
    }


def _restored(
    trainer: MetaTrainer, family: Family, settings: flags.FlagValues, model_dir: str
) -> RunCheckpoints:
    """Sets a trainer to the last checkpoint, if there is one.

    Raises:
      InputError: if it is another run's, beyond the last iteration, or damaged like all the others;
        or if there is only a best one, which a training from the beginning would replace.
    """
    saved = RunCheckpoints(trainer, model_dir, family.metric_mode)
    best = saved.best_alone()
    if saved.exist() or best:
        directory.refuse_another_run(settings, model_dir)
    # Up to its first validation a kill may have left it, between the best checkpoint and the last
    # one. That is of the run's own interval, since another may be given now.
    if best and best > run_flags.read(model_dir).checkpoint_interval:
        raise InputError(
            f"model_dir={model_dir}: has the best checkpoint of a run, of iteration {best}, and "
            "none to go on from, so that a training would replace it; name another directory"
        )
    for path in saved.restore():
        note(f"{path} is damaged; going on from an earlier checkpoint")
    done = int(trainer.iteration.numpy())
    if done > settings.iterations:
        raise InputError(
            f"iterations={settings.iterations}: the run in model_dir={model_dir} has done "
            f"{done}; ask for as many or more"
        )
    return saved


def _prepare(trainer: MetaTrainer, settings: flags.FlagValues) -> None:
    """Compiles what is trained, so that what cannot be is refused before anything is written."""
    trainer.prepare()
    if settings.task_batching != "auto" or devices.on_gpu():
        note(f"iterations are run {trainer.way}")


def _begin(
    saved: RunCheckpoints, family: Family, settings: flags.FlagValues, model_dir: str
) -> None:
    """Puts a run's directory in order, with what says which run it is."""
    saved.remove_older()  # A kill may have come while the run before was at that.
    division.write(family, model_dir)
    run_flags.write(settings, model_dir)


def _check_gradient(trainer: MetaTrainer) -> str:
    if not isinstance(trainer, MetaTrainer):
        raise InputError("check_gradients: is for supervised tasks; leave it out for navigation")
    return str(trainer.check_gradient())


def _train_to_the_end(
    trainer: MetaTrainer,
    family: Family,
    saved: RunCheckpoints,
    settings: flags.FlagValues,
    model_dir: str,
    profile: bool,
    workers: Workers,
) -> None:
    total = settings.iterations
    done = int(trainer.iteration.numpy())
    profiled = done + 1 if profile else None  # The first iteration compiles.
    with contextlib.ExitStack() as held:
        record = None
        if workers.chief:
            record = Record(trainer, family, saved, settings, pathlib.Path(model_dir))
            held.callback(record.close)
        stopped_by = held.enter_context(noticing_signals())
        while done < total:
            start, before = time.monotonic(), done
            left = _next_stop(done, settings, profiled) - done
            if done == profiled:
                with _traced(pathlib.Path(model_dir) if workers.chief else None):
                    scores = _step_by_step(trainer, min(PROFILED, left))
            else:
                scores = trainer.train(left, stopped_by)
            done = int(trainer.iteration.numpy())
            validated = done % settings.checkpoint_interval == 0 or done == total
            if record is not None:
                record.trained(done, scores, (done - before) / (time.monotonic() - start))
                if validated:
                    record.validate(done)
            # The last time, the others wait here until everything is written.
            signal = workers.first_signal(stopped_by())
            if signal is not None:
                if record is not None and not validated:
                    record.save()
                workers.wait()
                raise Stopped(signal, f"at iteration {done} of {total}, saved in {model_dir}")


def _next_stop(done: int, settings: flags.FlagValues, profiled: int | None) -> int:
    """Returns the next iteration after which a summary or a checkpoint is due."""
    intervals = (settings.summary_interval, settings.checkpoint_interval, settings.iterations)
    stops = [(done // interval + 1) * interval for interval in intervals]
    return min(stops if profiled is None or profiled <= done else [*stops, profiled])


@contextlib.contextmanager
def _traced(model_dir: pathlib.Path | None) -> Iterator[None]:
    """Writes a trace for TensorBoard's profiler, if a directory is given."""
    if model_dir is None:
        yield
        return
    with tf.profiler.experimental.Profile(str(model_dir / "train")):
        yield


def _step_by_step(trainer: MetaTrainer, iterations: int) -> dict[str, float]:
    """Trains for some iterations, each named in a trace; returns what `MetaTrainer.train` does."""
    parts = []
    for _ in range(iterations):
        number = int(trainer.iteration.numpy())
        with tf.profiler.experimental.Trace("meta_iteration", step_num=number, _r=1):
            parts.append(trainer.train(1))
    return {name: sum(part[name] for part in parts) / iterations for name in parts[0]}

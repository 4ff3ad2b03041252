"""A training run: flags in, a directory with checkpoints and curves out."""

import pathlib
import time

import tensorflow as tf
from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.output.notes import note
from metasgd_tf.runs import directory
from metasgd_tf.runs.learners import build_learner
from metasgd_tf.runs.outer_optimizer import outer_optimizer
from metasgd_tf.runs.stopping import Stopped, noticing_signals
from metasgd_tf.runs.summaries import Summaries
from trainers import devices
from trainers.checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.families import Family
from trainers.progress import Progress
from trainers.supervised.meta_trainer import MetaTrainer

PROFILED = 3
"""Meta-iterations of a profile: enough to see one from end to end."""


def train_run(
    settings: flags.FlagValues,
    model_dir: str,
    *,
    profile: bool = False,
    check_gradients: bool = False,
) -> MetaTrainer:
    """Trains to `settings.iterations`, going on from the last checkpoint in `model_dir`.

    Args:
      settings: a run's flags. With `deterministic`, TensorFlow keeps to deterministic operations
        in all of this process from now on.
      model_dir: the run's directory; made where missing.
      profile: whether to write a trace of a few iterations for TensorBoard.
      check_gradients: whether to compare the meta-gradient with central differences first, and
        print the result.

    Returns:
      The trainer, at its last iteration.

    Raises:
      InputError: if the flags ask for what cannot be, or the directory is another run's or in use.
      DivergedError: at the first iteration that is not finite; checkpoints stay as they were.
      Stopped: after a SIGINT or SIGTERM, when what was reached is saved.
    """
    settings = run_flags.resolve(settings)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    family = tasks.from_flags(settings, ("train", "validation"))
    learner = build_learner(family, settings)
    if learner.alpha is not None:
        settings.alpha_init = learner.alpha.initial_value
    trainer = family.trainer(
        learner,
        outer_optimizer(settings),
        meta_batch_size=settings.meta_batch_size,
        seed=settings.seed,
        task_batching=settings.task_batching,
    )
    with directory.claimed(model_dir) as claimed:
        saved = RunCheckpoints(trainer, model_dir, family.metric_mode)
        if saved.exist():
            directory.refuse_another_run(settings, model_dir)
        for path in saved.restore():
            note(f"{path} is damaged; going on from an earlier checkpoint")
        done = int(trainer.iteration.numpy())
        if done > settings.iterations:
            raise InputError(
                f"iterations={settings.iterations}: the run in model_dir={model_dir} has done "
                f"{done}; ask for as many or more"
            )
        if check_gradients:
            note(_check_gradient(trainer))
        if done < settings.iterations:
            trainer.prepare()  # What cannot be trained is refused before anything is written.
            if settings.task_batching != "auto" or devices.on_gpu():
                note(f"iterations are run {trainer.way}")
        run_flags.write(settings, model_dir)
        if done < settings.iterations:
            _train_to_the_end(trainer, family, saved, settings, claimed, profile)
    return trainer


def _check_gradient(trainer: MetaTrainer) -> str:
    if not isinstance(trainer, MetaTrainer):
        raise InputError("check_gradients: is for supervised tasks; leave it out for navigation")
    return str(trainer.check_gradient())


def _train_to_the_end(
    trainer: MetaTrainer,
    family: Family,
    saved: RunCheckpoints,
    settings: flags.FlagValues,
    model_dir: pathlib.Path,
    profile: bool,
) -> None:
    total = settings.iterations
    done = int(trainer.iteration.numpy())
    profiled = done + 1 if profile else None  # The first iteration compiles.
    earlier, begin = float(saved.seconds.numpy()), time.monotonic()
    progress = Progress(model_dir.name, done, total)
    summaries = Summaries(model_dir, trainer.learner, family, settings)

    def save(score: float | None = None) -> None:
        # Curves reach as far as the checkpoint, whatever happens next.
        summaries.flush()
        saved.seconds.assign(earlier + time.monotonic() - begin)
        saved.save(score)

    try:
        with noticing_signals() as stopped_by:
            while done < total:
                start, before = time.monotonic(), done
                left = _next_stop(done, settings, profiled) - done
                if done == profiled:
                    scores = _profile(trainer, model_dir, min(PROFILED, left))
                else:
                    scores = trainer.train(left, stopped_by)
                done = int(trainer.iteration.numpy())
                summaries.training(done, scores, (done - before) / (time.monotonic() - start))
                progress.update(
                    done, {n: scores[n] for n in ("loss", family.metric) if n in scores}
                )
                validated = done % settings.checkpoint_interval == 0 or done == total
                if validated:
                    with saved.averaged():
                        score = summaries.evaluation(done)
                    save(score)
                    with saved.averaged():
                        summaries.task(done)
                signal = stopped_by()
                if signal is not None and done < total:
                    if not validated:
                        save()
                    raise Stopped(signal, f"at iteration {done} of {total}, saved in {model_dir}")
    finally:
        progress.close()
        summaries.close()


def _next_stop(done: int, settings: flags.FlagValues, profiled: int | None) -> int:
    """Returns the next iteration after which a summary or a checkpoint is due."""
    intervals = (settings.summary_interval, settings.checkpoint_interval, settings.iterations)
    stops = [(done // interval + 1) * interval for interval in intervals]
    return min(stops if profiled is None or profiled <= done else [*stops, profiled])


def _profile(trainer: MetaTrainer, model_dir: pathlib.Path, iterations: int) -> dict[str, float]:
    """Trains for some iterations, traced, and returns what `MetaTrainer.train` does."""
    parts = []
    with tf.profiler.experimental.Profile(str(model_dir / "train")):
        for _ in range(iterations):
            number = int(trainer.iteration.numpy())
            with tf.profiler.experimental.Trace("meta_iteration", step_num=number, _r=1):
                parts.append(trainer.train(1))
    return {name: sum(part[name] for part in parts) / iterations for name in parts[0]}

"""A training run: flags in, a directory with checkpoints and curves out."""

import pathlib
import time
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import flags

from metasgd_tf import run_flags, tasks
from metasgd_tf.progress import Progress
from trainers import checkpoints
from trainers.episodes import Protocol, TaskFamily
from trainers.errors import InputError
from trainers.evaluation import evaluation
from trainers.learner import MetaLearner
from trainers.meta_trainer import MetaTrainer
from trainers.seeds import stream


def build_learner(family: TaskFamily, settings: flags.FlagValues) -> MetaLearner:
    """Makes the learner of a run: the family's network with the α that the flags describe."""
    return MetaLearner(
        family.model(settings.seed),
        family.loss,
        metrics=family.metrics,
        alpha=settings.alpha,
        alpha_init=settings.alpha_init,
        inner_steps=settings.inner_steps,
        first_order=settings.first_order,
        seed=settings.seed,
    )


def train_run(settings: flags.FlagValues, model_dir: str) -> MetaTrainer:
    """Trains to `settings.iterations`, going on from the last checkpoint in `model_dir`.

    Args:
      settings: a run's flags.
      model_dir: the run's directory; made where missing.

    Returns:
      The trainer, at its last iteration.

    Raises:
      InputError: if the flags ask for what cannot be.
      DivergedError: at the first iteration that is not finite; checkpoints stay as they were.
    """
    settings = run_flags.resolve(settings)
    family = tasks.from_flags(settings, ("train", "validation"))
    learner = build_learner(family, settings)
    settings.alpha_init = learner.alpha.initial_value
    trainer = MetaTrainer(
        learner,
        family.sampler("train"),
        keras.optimizers.Adam(settings.meta_learning_rate, global_clipnorm=settings.clip_norm),
        meta_batch_size=settings.meta_batch_size,
        seed=settings.seed,
    )
    _make_directory(model_dir)
    saved = checkpoints.manager(trainer, str(pathlib.Path(model_dir) / "checkpoints"))
    if saved.latest_checkpoint:
        _refuse_another_run(settings, model_dir)
    saved.restore_or_initialize()
    done = int(trainer.iteration.numpy())
    if done > settings.iterations:
        raise InputError(
            f"iterations={settings.iterations}: the run in model_dir={model_dir} has done {done}; "
            "ask for as many or more"
        )
    run_flags.write(settings, model_dir)
    _train_to_the_end(trainer, family, saved, settings, pathlib.Path(model_dir))
    return trainer


def _make_directory(model_dir: str) -> None:
    try:
        pathlib.Path(model_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"model_dir={model_dir}: cannot be made ({error.strerror}); name a directory"
        ) from error


def _refuse_another_run(settings: flags.FlagValues, model_dir: str) -> None:
    differences = run_flags.differences(settings, run_flags.read(model_dir))
    if differences:
        raise InputError(
            f"model_dir={model_dir}: holds a run with other flags ({', '.join(differences)}); "
            "go on with the same ones, or name another directory"
        )


def _train_to_the_end(
    trainer: MetaTrainer,
    family: TaskFamily,
    saved: tf.train.CheckpointManager,
    settings: flags.FlagValues,
    model_dir: pathlib.Path,
) -> None:
    done = int(trainer.iteration.numpy())
    progress = Progress(model_dir.name, done, settings.iterations)
    writers = {
        split: tf.summary.create_file_writer(str(model_dir / "summaries" / split))
        for split in ("train", "validation")
    }
    validate = _validation(trainer.learner, family, settings)
    intervals = (settings.summary_interval, settings.checkpoint_interval, settings.iterations)
    try:
        while done < settings.iterations:
            start = time.monotonic()
            upto = min((done // interval + 1) * interval for interval in intervals)
            scores = trainer.train(upto - done)
            rate = (upto - done) / (time.monotonic() - start)
            done = upto
            _write_scalars(writers["train"], done, scores | {"iterations_per_second": rate})
            progress.update(
                done, {name: scores[name] for name in dict.fromkeys(["loss", family.metric])}
            )
            if done % settings.checkpoint_interval == 0 or done == settings.iterations:
                _write_scalars(writers["validation"], done, validate())
                saved.save(done)
    finally:
        progress.close()
        for writer in writers.values():
            writer.close()


def _validation(
    learner: MetaLearner, family: TaskFamily, settings: flags.FlagValues
) -> Callable[[], dict[str, float]]:
    """Returns a function that gives the mean scores on validation tasks."""
    protocol = Protocol(settings.shots, settings.validation_tasks, repeats=1)
    seed = stream(settings.seed, "validation")
    scores = evaluation(
        learner,
        lambda task: family.evaluation_episode(seed, "validation", protocol, task, tf.constant(0)),
        protocol.num_tasks,
    )
    return lambda: {name: float(values[:, -1].mean()) for name, values in scores().items()}


def _write_scalars(writer: tf.summary.SummaryWriter, step: int, scores: dict[str, float]) -> None:
    with writer.as_default(step):
        for name, value in scores.items():
            tf.summary.scalar(name, value)

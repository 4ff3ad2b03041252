"""What TensorBoard shows of a run: curves, α, the learned direction, pictures of tasks, HParams.

`DIRECTORY/train` and `DIRECTORY/validation` are TensorBoard's two runs of a training. The README
explains each plot.
"""

import concurrent.futures
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from metasgd_tf import run_flags
from metasgd_tf.pictures import rasterised
from trainers.direction import direction_cosines
from trainers.episodes import Episode, Protocol, TaskFamily
from trainers.evaluation import evaluation
from trainers.learner import MetaLearner
from trainers.seeds import fold_in, stream

SPLITS = ("train", "validation")
DIRECTIONS = 8
"""Tasks on which the learned direction is measured."""


class Summaries:
    """Measures a training on its way, and writes it down for TensorBoard."""

    def __init__(
        self,
        model_dir: pathlib.Path,
        learner: MetaLearner,
        family: TaskFamily,
        settings: flags.FlagValues,
    ):
        """Opens the files; all later calls are about `learner` as it is then."""
        self._learner, self._family = learner, family
        self._writers = {
            split: tf.summary.create_file_writer(str(model_dir / split)) for split in SPLITS
        }
        train, validation = (self._episodes(split, settings) for split in SPLITS)
        count = settings.validation_tasks
        self._evaluate = evaluation(
            learner,
            # One program for both splits, as compiling takes longer than many evaluations.
            lambda task: tf.cond(
                task < count, lambda: train(task), lambda: validation(task - count)
            ),
            2 * count,
        )
        self._cosines = direction_cosines(learner, validation, DIRECTIONS)
        self._answered = tf.function(lambda: _answered(learner, validation(tf.constant(0))))
        # Drawing takes longer than thousands of meta-iterations of a small network.
        self._drawing = concurrent.futures.ThreadPoolExecutor(1)
        self._drawn: concurrent.futures.Future[None] | None = None
        self._write_hparams(model_dir, settings)

    def training(self, step: int, scores: dict[str, float], rate: float) -> None:
        """Writes what the iterations since the last call gave.

        Args:
          step: meta-iterations done.
          scores: what `MetaTrainer.train` returned.
          rate: meta-iterations a second.
        """
        values = {**scores, "iterations_per_second": rate}
        self._write("train", step, {f"training/{name}": values[name] for name in values})

    def evaluation(self, step: int) -> float:
        """Writes scores on tasks of both splits, α and the learned direction.

        Args:
          step: meta-iterations done.

        Returns:
          The family's metric on the validation tasks after adaptation.
        """
        if self._learner.alpha.learned:
            self._write_alpha(step)
        return self._write_scores(step)

    def picture(self, step: int) -> None:
        """Has a validation task drawn, with what is predicted before and after adaptation.

        It is drawn beside the training that goes on. An error in it is raised at the next call.

        Args:
          step: meta-iterations done.
        """
        task = tf.nest.map_structure(lambda value: value.numpy(), self._answered())
        if self._drawn is not None:
            self._drawn.result()
        self._drawn = self._drawing.submit(self._write_picture, step, task)

    def flush(self) -> None:
        """Puts all that is written on disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Ends drawing and closes the files."""
        self._drawing.shutdown()
        for writer in self._writers.values():
            writer.close()
        if self._drawn is not None:
            self._drawn.result()

    def _episodes(self, split: str, settings: flags.FlagValues) -> Callable[[tf.Tensor], Episode]:
        protocol = Protocol(settings.shots, settings.validation_tasks, repeats=1)
        seed = stream(settings.seed, split)
        if split == "train":
            seed = fold_in(seed, -1)  # No iteration's number: not the tasks that training meets.
        return lambda task: self._family.evaluation_episode(
            seed, split, protocol, task, tf.constant(0)
        )

    def _write_scores(self, step: int) -> float:
        scores = {name: np.split(values, len(SPLITS)) for name, values in self._evaluate().items()}
        for number, split in enumerate(SPLITS):
            means: dict[str, float] = {}
            for name, values in scores.items():
                means[f"{name}/before"] = values[number][:, 0].mean()
                means[f"{name}/after"] = values[number][:, -1].mean()
            self._write(split, step, means)
        return float(scores[self._family.metric][-1][:, -1].mean())

    def _write_alpha(self, step: int) -> None:
        alpha = self._learner.alpha
        layers = alpha.by_layer(alpha.per_weight(alpha.rates))
        rates = {layer: values.numpy() for layer, values in layers.items()}
        scalars = {f"direction_cosine/{name}": cosine for name, cosine in self._cosines().items()}
        for layer, values in rates.items():
            scalars[f"alpha_mean/{layer}"] = values.mean()
            scalars[f"alpha_negative_share/{layer}"] = (values < 0).mean()
        self._write("train", step, scalars, {f"alpha/{layer}": rates[layer] for layer in rates})

    def _write(
        self,
        split: str,
        step: int,
        scalars: Mapping[str, float],
        histograms: Mapping[str, np.ndarray] = types.MappingProxyType({}),
    ) -> None:
        # All at once, since each tf.summary.scalar takes as long as some meta-iterations.
        written = Summary()
        for tag, value in scalars.items():
            written.MergeFrom(scalar_pb(tag, value))
        for tag, values in histograms.items():
            written.MergeFrom(histogram_pb(tag, values))
        with self._writers[split].as_default(step):
            tf.summary.experimental.write_raw_pb(written.SerializeToString())

    def _write_picture(self, step: int, task: Sequence[Any]) -> None:
        image = rasterised(self._family.picture(*task))
        with self._writers["validation"].as_default(step):
            tf.summary.image("task", image[np.newaxis])

    def _write_hparams(self, model_dir: pathlib.Path, settings: flags.FlagValues) -> None:
        values = {
            name: getattr(settings, name)
            for name in run_flags.names()
            if name not in run_flags.FREE_FLAGS and getattr(settings, name) is not None
        }
        metrics = [
            hparams.Metric(f"{score}/after", group="validation", display_name=f"{score} (val.)")
            for score in self._learner.scores
        ]
        with tf.summary.create_file_writer(str(model_dir)).as_default(0):
            hparams.hparams_config(
                hparams=[hparams.HParam(name) for name in values], metrics=metrics
            )
            # Unnamed, as TensorBoard would take runs of one name for repetitions and average them.
            hparams.hparams(values, trial_id="")


def _answered(learner: MetaLearner, episode: Episode) -> tuple[Episode, tf.Tensor, tf.Tensor]:
    """Returns a task and the outputs for its query set before and after adaptation."""
    before, after = (
        learner.predict(
            learner.adapt(episode.support_inputs, episode.support_targets, steps=steps),
            episode.query_inputs,
        )
        for steps in (0, None)
    )
    return episode, before, after

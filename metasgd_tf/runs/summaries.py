"""The summaries of a training for TensorBoard: curves, α, the learned direction, tasks, HParams.

`DIRECTORY/train` and `DIRECTORY/validation` are TensorBoard's two runs of a training;
docs/guide/tensorboard.md explains each plot.
"""

import concurrent.futures
import pathlib
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from metasgd_tf.drawing.episodes import rasterised
from metasgd_tf.flags import run_flags
from metasgd_tf.output.shown_names import shown
from trainers.errors import InputError
from trainers.families import Family, Part
from trainers.learners.alpha import Alpha
from trainers.learners.learner import Learner
from trainers.seeds import fold_in, stream

SPLITS = ("train", "validation")
DIRECTIONS = 8
"""Tasks on which the learned direction is measured."""


class Summaries:
    """Measures a learner during training and writes the results for TensorBoard."""

    def __init__(
        self,
        model_dir: pathlib.Path,
        learner: Learner,
        family: Family,
        settings: flags.FlagValues,
    ):
        """Opens the files; later calls measure `learner` as it is at that time."""
        self._learner, self._family = learner, family
        self._writers = {
            split: tf.summary.create_file_writer(str(model_dir / split)) for split in SPLITS
        }
        (usual, *_) = family.protocols(settings.validation_tasks)
        protocol = usual._replace(shots=family.shots, repeats=1, before=None)
        parts = [_part(split, settings) for split in SPLITS]
        self._evaluate = family.evaluation(
            learner,
            protocol,
            parts,
            steps=learner.inner_steps,
            task_batching=settings.task_batching,
        )
        self._cosines = family.direction(learner, protocol, parts[-1], DIRECTIONS)
        self._shown = family.shown(learner, protocol, parts[-1])
        # Drawing takes longer than thousands of meta-iterations of a small network.
        self._drawing = concurrent.futures.ThreadPoolExecutor(1)
        self._drawn: concurrent.futures.Future[None] | None = None
        self._write_hparams(model_dir, settings)

    def training(self, step: int, scores: dict[str, float], rate: float) -> None:
        """Writes the mean scores of the iterations since the last call.

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
        alpha = self._learner.alpha
        if alpha is not None and alpha.learned:
            self._write_alpha(step, alpha)
        return self._write_scores(step)

    def task(self, step: int) -> None:
        """Draws a validation task with the predictions before and after adaptation.

        Drawing runs in a background thread. An error in it is raised at the next call.

        Args:
          step: meta-iterations done.
        """
        task = tf.nest.map_structure(lambda value: value.numpy(), self._shown())
        if self._drawn is not None:
            self._drawn.result()
        self._drawn = self._drawing.submit(self._write_task, step, task)

    def flush(self) -> None:
        """Flushes everything to disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Ends drawing and closes the files."""
        self._drawing.shutdown()
        for writer in self._writers.values():
            writer.close()
        if self._drawn is not None:
            self._drawn.result()

    def _write_scores(self, step: int) -> float:
        for split, scores in zip(SPLITS, self._evaluate(), strict=True):
            means: dict[str, float] = {}
            # The family's own metric comes first: figures take the first one.
            for name in sorted(scores, key=lambda name: name != self._family.metric):
                values = scores[name]
                means[f"{name}/before"] = values[:, 0].mean()
                means[f"{name}/after"] = values[:, -1].mean()
            self._write(split, step, means)
        return float(scores[self._family.metric][:, -1].mean())

    def _write_alpha(self, step: int, alpha: Alpha) -> None:
        scalars, histograms = alpha.statistics()
        cosines = {f"direction_cosine/{name}": cosine for name, cosine in self._cosines().items()}
        self._write("train", step, cosines | scalars, histograms)

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

    def _write_task(self, step: int, task: Sequence[Any]) -> None:
        try:
            image = rasterised(self._family.draw(*task))
        except Exception as error:
            # The user's tasks may have a `draw` of their own, which may raise anything.
            raise InputError(
                f"{type(self._family).__name__}: its draw raised {type(error).__name__} ({error}); "
                "should return a matplotlib Figure"
            ) from error
        with self._writers["validation"].as_default(step):
            tf.summary.image("task", image[np.newaxis])

    def _write_hparams(self, model_dir: pathlib.Path, settings: flags.FlagValues) -> None:
        values = {
            name: getattr(settings, name)
            for name in run_flags.names()
            if name not in run_flags.FREE_FLAGS and getattr(settings, name) is not None
        }
        # TensorBoard's files hold UTF-8, and a folder of images may be called otherwise.
        values = {
            name: shown(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        metrics = [
            hparams.Metric(f"{score}/after", group="validation", display_name=f"{score} (val.)")
            for score in self._family.scores
        ]
        with tf.summary.create_file_writer(str(model_dir)).as_default(0):
            hparams.hparams_config(
                hparams=[hparams.HParam(name) for name in values], metrics=metrics
            )
            # Unnamed, as TensorBoard would take runs of one name for repetitions and average them.
            hparams.hparams(values, trial_id="")


def _part(split: str, settings: flags.FlagValues) -> Part:
    """Returns the tasks of a split on which the learner is scored during training."""
    seed = stream(settings.seed, split)
    # No iteration's number: not the tasks that training meets.
    return Part(split, fold_in(seed, -1) if split == "train" else seed)

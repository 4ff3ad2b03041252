"""What a training leaves as it goes: curves, checkpoints, and its progress on standard error."""

import pathlib
import time

from absl import flags

from metasgd_tf.flags.run_flags import FILE_NAME
from metasgd_tf.output.notes import said
from metasgd_tf.runs.summaries import Summaries
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.errors import InputError
from trainers.families import Family
from trainers.progress import Progress
from trainers.supervised.meta_trainer import MetaTrainer


class Record:
    """Writes them, on the one worker that does."""

    def __init__(
        self,
        trainer: MetaTrainer,
        family: Family,
        saved: RunCheckpoints,
        settings: flags.FlagValues,
        model_dir: pathlib.Path,
    ):
        """Opens the files; `close` is to be called in the end."""
        self._saved, self._metric, self._model_dir = saved, family.metric, model_dir
        self._earlier, self._begin = float(saved.seconds.numpy()), time.monotonic()
        done = int(trainer.iteration.numpy())
        self._progress = Progress(said(model_dir.name), done, settings.iterations)
        self._summaries = Summaries(model_dir, trainer.learner, family, settings)

    def trained(self, done: int, scores: dict[str, float], rate: float) -> None:
        """Writes the mean scores of the iterations since the last call, and how far training is.

        Args:
          done: meta-iterations done.
          scores: what `MetaTrainer.train` returned.
          rate: meta-iterations a second.
        """
        self._summaries.training(done, scores, rate)
        shown = dict.fromkeys(("loss", self._metric))
        self._progress.update(done, {name: scores[name] for name in shown if name in scores})

    def validate(self, done: int) -> None:
        """Scores the learner, saves it, and draws a task, after `done` meta-iterations."""
        with self._saved.averaged():
            score = self._summaries.evaluation(done)
        self.save(score)
        with self._saved.averaged():
            self._summaries.task(done)

    def save(self, score: float | None = None) -> None:
        """Saves a checkpoint, with the validation score if there is one.

        Raises:
          InputError: if the run's directory was removed; what is saved would be no run.
        """
        # Curves reach as far as the checkpoint, whatever happens next.
        self._summaries.flush()
        if not (self._model_dir / FILE_NAME).exists():
            raise InputError(
                f"model_dir={self._model_dir}: was removed while the training ran; bring it back "
                "or name another directory, then give the same command again"
            )
        self._saved.seconds.assign(self._earlier + time.monotonic() - self._begin)
        self._saved.save(score)

    def close(self) -> None:
        """Ends the progress and closes the files."""
        self._progress.close()
        self._summaries.close()

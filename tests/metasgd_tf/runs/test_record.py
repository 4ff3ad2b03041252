"""What a training records of itself: how long it took, and the score of what it keeps."""

import types

import keras
import pytest

from metasgd_tf.flags import run_flags
from metasgd_tf.runs import record
from metasgd_tf.tasks.sinusoid import Sinusoid
from tests.trainers.supervised.trainers_of_curves import TASKS, trainer
from trainers.checkpoints.run_checkpoints import RunCheckpoints
from trainers.seeds import stream


def score_of(learner, values=None):
    """Returns the loss on a curve after adaptation to it, of θ and α or of these values."""
    curve = TASKS(stream(0, "validation"))
    state = learner.adapt(curve.support_inputs, curve.support_targets, values=values)
    return float(learner.score(state, curve.query_inputs, curve.query_targets)[0]["loss"])


class ShortSummaries:
    """Takes the place of what measures and draws: one score, and nothing is written."""

    def __init__(self, model_dir, learner, family, settings):
        self._learner = learner

    def evaluation(self, step):
        return score_of(self._learner)

    def task(self, step):
        pass

    def flush(self):
        pass


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Gives a trainer, restored where there is a checkpoint, its checkpoints and its record."""
    monkeypatch.setattr(record, "Summaries", ShortSummaries)
    settings = run_flags.resolve(run_flags.parse([]))
    run_flags.write(settings, str(tmp_path))

    def made(**options):
        training = trainer(**options)
        saved = RunCheckpoints(training, str(tmp_path))
        saved.restore()
        return training, saved, record.Record(training, Sinusoid(5, 5), saved, settings, tmp_path)

    return made


def test_the_time_of_a_training_is_that_of_all_its_parts(recorded, monkeypatch):
    # The pause between the parts does not count: it is 7 seconds, and 5 more.
    for begin, end, expected in ((100.0, 107.0, 7.0), (500.0, 505.0, 12.0)):
        readings = iter([begin, end])
        clock = types.SimpleNamespace(monotonic=readings.__next__)
        monkeypatch.setattr(record, "time", clock)
        training, saved, record_of_it = recorded()
        training.iteration.assign_add(1)
        record_of_it.save()
        assert float(saved.seconds.numpy()) == expected


def test_the_score_of_a_checkpoint_is_that_of_the_averages(recorded):
    optimizer = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5)
    training, saved, record_of_it = recorded(optimizer=optimizer)
    learner = training.learner
    averages = None
    for _ in range(3):
        training.train(1)
        values = [variable.numpy() for variable in learner.meta_variables]
        averages = averages or values  # They begin with what the first iteration leaves.
        averages = [(old + new) / 2 for old, new in zip(averages, values, strict=True)]
    record_of_it.validate(3)
    score = float(saved.best_score.numpy())
    assert score == pytest.approx(score_of(learner, averages), rel=1e-4)
    assert abs(score - score_of(learner)) > 0.01 * score

"""What a training from Python shows: its progress, and curves for TensorBoard."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainers.episodes import Episode
from trainers.learners.meta_sgd import MetaLearner
from trainers.seeds import uniform
from trainers.supervised import watching
from trainers.supervised.meta_trainer import MetaTrainer


def lines(seed):
    numbers = uniform(seed, [10])
    x = numbers[2:, tf.newaxis]
    y = numbers[0] * x + numbers[1]
    return Episode(x[:4], y[:4], x[4:], y[4:])


def trainer(alpha="per_weight"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="layer")])
    learner = MetaLearner(model, "mse", alpha=alpha, alpha_init=0.1)
    return MetaTrainer(learner, lines, keras.optimizers.SGD(0.1), jit_compile=False)


def written(directory):
    """Returns the values in a directory's event file by tag and step."""
    (path,) = directory.glob("events.out.tfevents.*")
    found = collections.defaultdict(dict)
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            found[value.tag][event.step] = tf.make_ndarray(value.tensor)
    return found


def test_curves_are_means_since_the_point_before(tmp_path):
    watched, plain = trainer(), trainer()
    result = watched.train(250, tensorboard=tmp_path)
    curves = written(tmp_path)
    steps = [*range(3, 250, 3), 250]
    assert list(curves["training/loss"]) == steps
    before, points = 0, []
    for step in steps:
        points.append((step - before, plain.train(step - before)["loss"]))
        before = step
    np.testing.assert_array_equal(
        np.float32([loss for _, loss in points]), list(curves["training/loss"].values())
    )
    mean = sum(count * loss for count, loss in points) / 250
    assert result["loss"] == pytest.approx(mean, rel=1e-6)
    for a, b in zip(watched.learner.meta_variables, plain.learner.meta_variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_alpha_is_written_where_it_is_learned(tmp_path):
    made = trainer()
    made.learner.alpha.rates[0].assign([[-0.2]])
    made.train(1, tensorboard=tmp_path / "meta_sgd")
    rates = np.concatenate([np.ravel(rate.numpy()) for rate in made.learner.alpha.rates])
    curves = written(tmp_path / "meta_sgd")
    np.testing.assert_allclose(curves["alpha_mean/layer"][1], rates.mean(), rtol=1e-6)
    assert curves["alpha_negative_share/layer"][1] == 0.5
    assert curves["alpha/layer"][1][:, 2].sum() == 2
    trainer("fixed").train(1, tensorboard=tmp_path / "maml")
    assert not [tag for tag in written(tmp_path / "maml") if tag.startswith("alpha")]


def test_progress_goes_from_the_first_iteration_to_the_last(capsys):
    made = trainer()
    made.train(10)
    assert capsys.readouterr().err == ""
    loss = made.train(30, progress=True)["loss"]
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("meta-training: 40/40 [") and last.endswith(f"loss {loss:.4g}")


def test_a_training_that_is_stopped_keeps_its_curves(tmp_path):
    made = trainer()
    asked = iter([False, False, True])
    made.train(1000, lambda: next(asked), tensorboard=tmp_path)
    done = int(made.iteration)
    assert 0 < done < 1000
    assert all(step <= done for step in written(tmp_path)["training/loss"])


@pytest.mark.parametrize(("iterations", "between"), [(1, 1), (100, 1), (101, 2), (3000, 30)])
def test_there_are_at_most_a_hundred_points(iterations, between):
    assert watching.interval(iterations) == between

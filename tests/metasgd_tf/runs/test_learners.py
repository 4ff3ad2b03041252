"""What a run's flags make of a learner of fast weights."""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf import tasks
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.learners import build_learner
from trainers.errors import InputError

OMNIGLOT = ["--task=omniglot", "--ways=4", "--shots=1", "--queries=1", "--alpha_init=0.25"]


def flags_of(*arguments, task=OMNIGLOT):
    return run_flags.resolve(run_flags.parse([*task, *arguments]))


def learner_of(*arguments, task=OMNIGLOT):
    settings = flags_of(*arguments, task=task)
    return build_learner(tasks.from_flags(settings, ()), settings)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], 14),
        (["--adapted=all"], 14),
        (["--adapted=all_but_norms"], 6),
        (["--adapted=last_layer"], 2),
        (["--algorithm=anil"], 2),
        (["--algorithm=anil", "--adapted=all"], 14),
    ],
)
def test_flags_say_which_weights_are_adapted(arguments, count):
    assert len(learner_of(*arguments).adapted) == count


@pytest.mark.parametrize("algorithm", ["meta_sgd", "maml_plus_plus"])
def test_flags_say_where_rates_start_and_how_many_ways_training_has(algorithm):
    chosen = f"--algorithm={algorithm}"
    made = learner_of(chosen, "--body_alpha_init=0", "--tied_head", "--train_ways=7")
    assert {float(rate.numpy().max()) for rate in made.alpha.rates} == {0.0, 0.25}
    inputs, targets = tf.random.uniform([7, 28, 28, 1]), tf.range(7)
    assert made.adapt(inputs, targets, training=True)[-2].shape[-1] == 7
    assert made.adapt(inputs[:4], targets[:4])[-2].shape[-1] == 4
    # The network's four outputs serve other ways: as many copies of the mean over them.
    settings, three = flags_of(chosen, "--tied_head"), tasks.from_flags(flags_of("--ways=3"), ())
    other = build_learner(three, settings, tasks.from_flags(settings, ()))
    assert other.model.output_shape[-1] == 4
    assert other.predict(other.adapt(inputs[:3], targets[:3]), inputs).shape == (7, 3)
    with pytest.raises(InputError, match="train_ways=7: the last layer has weights for each"):
        learner_of(chosen, "--train_ways=7")


def test_smoothed_targets_are_spread_over_all_classes():
    assert learner_of().outer_loss is None
    logits = tf.constant([[2.0, 0.0, -1.0, 0.5], [0.0, 0.0, 3.0, 0.0]])
    found = learner_of("--label_smoothing=0.2").outer_loss(tf.constant([0, 3]), logits)
    logs = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    expected = [
        -(0.8 * row[target] + 0.2 * row.mean()) for row, target in zip(logs, (0, 3), strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "arguments", "expected"),
    [
        ("meta_sgd", [], {"first_order": False}),
        ("maml_first_order", [], {"first_order": True}),
        ("meta_sgd_first_order", [], {"first_order": True}),
        ("matching_nets", ["--temperature=10"], {"temperature": 10.0}),
        (
            "reptile",
            ["--inner_optimizer=sgd", "--inner_rate=0.5", "--inner_batch=3", "--inner_steps=4"],
            {"inner_optimizer": "sgd", "inner_rate": 0.5, "inner_batch": 3, "inner_steps": 4},
        ),
        ("mann", ["--train_on=episodes"], {"train_on": "episodes"}),
        (
            "maml_plus_plus",
            ["--multi_step_iterations=7", "--first_order_iterations=3"],
            {"multi_step_iterations": 7, "first_order_iterations": 3},
        ),
    ],
)
def test_what_an_algorithms_own_flags_say_reaches_its_learner(algorithm, arguments, expected):
    # No value that is asked for here is what the learner's class has by itself.
    made = learner_of(f"--algorithm={algorithm}", *arguments, task=OMNIGLOT[:-1])
    assert {name: getattr(made, name) for name in expected} == expected


def test_what_is_for_classes_is_refused_elsewhere():
    for argument in ("--tied_head", "--train_ways=3", "--label_smoothing=0.1"):
        with pytest.raises(InputError, match="is for classification, and task=sinusoid is regress"):
            learner_of(argument, task=["--task=sinusoid"])
    with pytest.raises(InputError, match="tied_head=True: is for classification"):
        learner_of("--algorithm=maml_plus_plus", "--tied_head", task=["--task=sinusoid"])

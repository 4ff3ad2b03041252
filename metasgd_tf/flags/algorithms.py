"""The values of `--algorithm`: what each sets, and what it is called in tables and figures."""

import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import flags

CLASSIFICATION = ("classification",)
SUPERVISED = ("classification", "regression")
EVERY_KIND = ("classification", "regression", "navigation")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
"""The values of `--precision`, names of Keras's dtype policies."""


class Algorithm(NamedTuple):
    """One value of `--algorithm`.

    Attributes:
      title: its name in tables and figures.
      kinds: the kinds of tasks that it learns, of `EVERY_KIND`.
      flags: the flags that only some algorithms use and this one does, with the values that they
        have where they are not given.
      own_network: whether it has a network of its own in place of the task's, to which `--model`
        gives no more than an embedding of inputs.
    """

    title: str
    kinds: tuple[str, ...]
    flags: Mapping[str, Any]
    own_network: bool = False


def _by_gradients(
    alpha: str, first_order: bool = False, alpha_init: float | None = None
) -> Mapping[str, Any]:
    """Returns the flags of `trainers.learners.meta_sgd.MetaLearner`; α is drawn if not given."""
    return types.MappingProxyType(
        {
            "alpha": alpha,
            "alpha_init": alpha_init,
            "first_order": first_order,
            "inner_steps": 1,
            "body_alpha_init": None,
            "adapted": None,
            "tied_head": None,
            "train_ways": None,
            "label_smoothing": None,
            "remat": False,
        }
    )


ALGORITHMS = {
    "meta_sgd": Algorithm("Meta-SGD", EVERY_KIND, _by_gradients("per_weight")),
    "meta_sgd_first_order": Algorithm(
        "first-order Meta-SGD", EVERY_KIND, _by_gradients("per_weight", first_order=True)
    ),
    "layer_rates": Algorithm("one rate a layer", EVERY_KIND, _by_gradients("per_layer")),
    "scalar_rate": Algorithm("one rate", EVERY_KIND, _by_gradients("scalar")),
    "maml": Algorithm("MAML", EVERY_KIND, _by_gradients("fixed", alpha_init=0.01)),
    "maml_first_order": Algorithm(
        "first-order MAML", EVERY_KIND, _by_gradients("fixed", first_order=True, alpha_init=0.01)
    ),
    "anil": Algorithm("ANIL", SUPERVISED, _by_gradients("fixed", alpha_init=0.01)),
    "maml_plus_plus": Algorithm(
        "MAML++",
        SUPERVISED,
        {
            "alpha_init": 0.1,
            "body_alpha_init": None,
            "tied_head": None,
            "train_ways": None,
            "inner_steps": 5,
            "multi_step_iterations": 5000,
            "first_order_iterations": 0,
            "remat": False,
        },
    ),
    "meta_lstm": Algorithm("Meta-LSTM", SUPERVISED, {"inner_steps": 12}),
    "matching_nets": Algorithm(
        "Matching Nets",
        CLASSIFICATION,
        {"train_ways": None, "temperature": 1.0, "full_context_embeddings": False},
    ),
    "prototypical_nets": Algorithm("Prototypical Nets", CLASSIFICATION, {"train_ways": None}),
    "siamese_nets": Algorithm("Siamese Nets", CLASSIFICATION, {"train_ways": None}),
    "reptile": Algorithm(
        "Reptile",
        SUPERVISED,
        {"inner_optimizer": "adam", "inner_rate": 1e-3, "inner_batch": 10, "inner_steps": 5},
    ),
    "mann": Algorithm("MANN", SUPERVISED, {"train_on": "sequences"}, own_network=True),
}

SOME_ALGORITHMS_FLAGS = tuple(
    dict.fromkeys(name for algorithm in ALGORITHMS.values() for name in algorithm.flags)
)
"""The flags that some algorithms use and others do not."""


def kind_of(task: str) -> str | None:
    """Returns which kind the tasks of this name are; None for the user's own."""
    if ":" in task:
        return None
    return {"sinusoid": "regression", "navigation": "navigation"}.get(task, "classification")


def refuse_other_kinds(algorithm: str, task: str, kind: str) -> None:
    """Checks that an algorithm learns tasks of a kind.

    Raises:
      flags.Error: if it does not; the message names those that do.
    """
    if kind not in ALGORITHMS[algorithm].kinds:
        able = [name for name, other in ALGORITHMS.items() if kind in other.kinds]
        raise flags.IllegalFlagValueError(
            f"algorithm={algorithm}: learns {' and '.join(ALGORITHMS[algorithm].kinds)}, and "
            f"task={task} is {kind}; should be one of {', '.join(able)}"
        )


def has_steps(algorithm: str) -> bool:
    """Returns whether an algorithm learns a task in inner steps, of which there can be more."""
    return "inner_steps" in ALGORITHMS[algorithm].flags


def steps_refused(inner_steps: int, of: str) -> str:
    """Returns the sentence that refuses a number of inner steps of a learner without a choice.

    Args:
      inner_steps: the number.
      of: the flag that names the learner, with its value.
    """
    return (
        f"inner_steps={inner_steps}: the learner of {of} learns in the one way that it has; leave "
        "inner_steps out"
    )


def refuse_half_precision(values: flags.FlagValues, kind: str | None) -> None:
    """Checks that a run can be made in its precision.

    Args:
      values: the run's flags.
      kind: of its tasks, one of `EVERY_KIND`; None where it is not known yet.

    Raises:
      flags.Error: if it cannot.
    """
    if values.precision == PRECISIONS[0]:
        return
    if kind == "navigation":
        raise flags.IllegalFlagValueError(
            f"precision={values.precision}: task={values.task} compares policies that are more "
            f"alike than half precision can tell; should be {PRECISIONS[0]}"
        )
    if ALGORITHMS[values.algorithm].own_network:
        raise flags.IllegalFlagValueError(
            f"precision={values.precision}: algorithm={values.algorithm} keeps what it is shown in "
            f"a memory that has no half precision; should be {PRECISIONS[0]}"
        )


def fill_in(values: flags.FlagValues) -> None:
    """Sets the flags that a run's algorithm uses and that are not given.

    Raises:
      flags.Error: if it has no use for a flag that is given.
    """
    algorithm = ALGORITHMS[values.algorithm]
    for name in SOME_ALGORITHMS_FLAGS:
        if name in algorithm.flags:
            if values[name].value is None:
                values[name].value = algorithm.flags[name]
        elif values[name].value is not None:
            raise flags.IllegalFlagValueError(
                f"{name}={values[name].value}: algorithm={values.algorithm} has no use for it; "
                "should be left out"
            )

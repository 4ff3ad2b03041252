"""The flags of the outer loop."""

from absl import flags

from metasgd_tf.flags import flag_kinds

TASK_BATCHINGS = ("auto", "batched", "side_by_side")
OPTIMIZERS = ("adam", "sgd", "trpo")
DECAYS = ("none", "cosine", "linear")
OF_SOME_OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "momentum": ("sgd",),
    "alpha_rate_factor": ("adam",),
    "weight_decay": ("adam", "sgd"),
    "ema_momentum": ("adam", "sgd"),
    "clip_norm": ("adam", "sgd"),
}
"""The flags that only some optimizers have a use for, with those."""


def define_training_flags(values: flags.FlagValues) -> None:
    """Defines them."""
    _define_outer_step(values)
    _define_running(values)


def _define_outer_step(values: flags.FlagValues) -> None:
    flag_kinds.integer("meta_batch_size", 4, 1, "Tasks per meta-iteration.", values)
    flag_kinds.integer("iterations", 60_000, 1, "Meta-iterations.", values)
    flags.DEFINE_enum(
        "optimizer",
        None,
        OPTIMIZERS,
        "The outer optimizer; by default adam, and for navigation trpo.",
        flag_values=values,
    )
    flag_kinds.fraction("momentum", None, "sgd: the momentum; by default 0.9.", values)
    flag_kinds.positive_float(
        "meta_learning_rate", 1e-3, "The outer optimizer's learning rate.", values
    )
    flags.DEFINE_enum(
        "decay",
        "none",
        DECAYS,
        "Whether the outer learning rate stays constant, or falls to 0 at --iterations along a "
        "half cosine or a straight line.",
        flag_values=values,
    )
    flag_kinds.integer(
        "warmup_iterations",
        0,
        0,
        "Meta-iterations in which the outer learning rate rises from 0 along a straight line.",
        values,
    )
    flag_kinds.positive_float(
        "alpha_rate_factor",
        None,
        "adam: what the outer learning rate is multiplied by for α; by default 1.",
        values,
    )
    flag_kinds.positive_float(
        "weight_decay",
        None,
        "Share of θ, times the outer learning rate, that each outer step takes away; of α, biases "
        "and γ and β of normalisations none. By default none.",
        values,
    )
    flag_kinds.fraction(
        "ema_momentum",
        None,
        "Momentum of moving averages of θ and α, which are what is validated, evaluated and "
        "exported; by default there are none.",
        values,
    )
    flag_kinds.positive_float(
        "clip_norm", None, "Largest norm of the meta-gradient; no limit if not set.", values
    )


def _define_running(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "task_batching",
        "auto",
        TASK_BATCHINGS,
        "Whether the tasks of a meta-batch are one batch of each operation, compiled, as a GPU "
        "needs it, or each has its own operations, which the cores of a CPU share; auto is batched "
        "on a GPU and where a model's operations are small.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "deterministic",
        False,
        "Whether to use only operations that give the same bits each time, and fail on others.",
        flag_values=values,
    )
    flag_kinds.integer("summary_interval", 100, 1, "Meta-iterations between summaries.", values)
    flag_kinds.integer(
        "checkpoint_interval", 1000, 1, "Meta-iterations between checkpoints.", values
    )
    flag_kinds.integer(
        "validation_tasks", 100, 2, "Validation tasks, scored at each checkpoint.", values
    )


def fill_in(values: flags.FlagValues) -> None:
    """Sets the optimizer and its momentum where they are not given.

    Raises:
      flags.Error: if the optimizer is not one for the task, or has no use for a flag that is given.
    """
    if values.optimizer is None:
        values.optimizer = "trpo" if values.task == "navigation" else "adam"
    if values.optimizer == "trpo" and values.task != "navigation":
        raise flags.IllegalFlagValueError(
            f"optimizer=trpo: is for --task=navigation, not {values.task}; should be adam or sgd"
        )
    for name, optimizers in OF_SOME_OPTIMIZERS.items():
        if values[name].value is not None and values.optimizer not in optimizers:
            raise flags.IllegalFlagValueError(
                f"{name}={values[name].value}: optimizer={values.optimizer} has no use for it; "
                "should be left out"
            )
    for name in ("decay", "warmup_iterations") if values.optimizer == "trpo" else ():
        if values[name].value != values[name].default:
            raise flags.IllegalFlagValueError(
                f"{name}={values[name].value}: optimizer=trpo has no learning rate; should be left "
                "out, or take optimizer=adam"
            )
    if values.optimizer == "trpo" and values.remat:
        raise flags.IllegalFlagValueError(
            "remat=True: optimizer=trpo differentiates forwards too, which needs what inner steps "
            "computed; should be left out, or take optimizer=adam"
        )
    if values.optimizer == "sgd" and values.momentum is None:
        values.momentum = 0.9

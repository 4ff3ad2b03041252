"""The flags that some algorithms use and others do not, see `metasgd_tf.flags.algorithms`."""

from absl import flags

from metasgd_tf.flags import flag_kinds

ALPHA_KINDS = ("per_weight", "per_layer", "scalar", "fixed")
INNER_OPTIMIZERS = ("adam", "sgd")
TRAIN_ON = ("sequences", "episodes")
ADAPTED = ("all", "all_but_norms", "last_layer")


def define_algorithm_flags(values: flags.FlagValues) -> None:
    """Defines them, None where they are not given."""
    _define_inner_updates(values)
    _define_maml_plus_plus_and_reptile(values)
    _define_embeddings_and_mann(values)


def _define_inner_updates(values: flags.FlagValues) -> None:
    flags.DEFINE_enum("alpha", None, ALPHA_KINDS, "Which rates α are learned.", flag_values=values)
    flag_kinds.finite_float(
        "alpha_init",
        None,
        "Initial value of all of α; by default 0.01 for MAML, 0.1 for maml_plus_plus, else drawn "
        "from [0.005, 0.1] by --seed.",
        values,
    )
    flag_kinds.finite_float(
        "body_alpha_init",
        None,
        "Initial value of α for all layers but the last; by default --alpha_init.",
        values,
    )
    flags.DEFINE_enum(
        "adapted",
        None,
        ADAPTED,
        "Which weights inner steps change: all (by default), all but γ and β of batch "
        "normalisation, or those of the last layer (by default of anil).",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "tied_head",
        None,
        "Classification: whether the last layer starts alike for every class.",
        flag_values=values,
    )
    flag_kinds.fraction(
        "label_smoothing",
        None,
        "Classification: share of the query targets that the outer loop spreads over all classes; "
        "by default none.",
        values,
    )
    flags.DEFINE_bool(
        "first_order", None, "Whether to ignore second derivatives.", flag_values=values
    )
    flags.DEFINE_bool(
        "remat",
        None,
        "Whether the outer gradient computes each inner step again in place of keeping it, which "
        "takes longer and less memory.",
        flag_values=values,
    )
    flag_kinds.integer(
        "inner_steps", None, 1, "Inner steps per task; by default the algorithm's own.", values
    )


def _define_maml_plus_plus_and_reptile(values: flags.FlagValues) -> None:
    flag_kinds.integer(
        "multi_step_iterations",
        None,
        0,
        "maml_plus_plus: meta-iterations in which the losses after all inner steps count, more and "
        "more the last; by default 5000.",
        values,
    )
    flag_kinds.integer(
        "first_order_iterations",
        None,
        0,
        "maml_plus_plus: meta-iterations that ignore second derivatives, the first ones; by "
        "default 0.",
        values,
    )
    flags.DEFINE_enum(
        "inner_optimizer",
        None,
        INNER_OPTIMIZERS,
        "reptile: the inner optimizer; by default adam, whose beta_1 is 0; sgd has no momentum.",
        flag_values=values,
    )
    flag_kinds.positive_float(
        "inner_rate", None, "reptile: the inner optimizer's rate; by default 0.001.", values
    )
    flag_kinds.integer(
        "inner_batch", None, 1, "reptile: examples of an inner step; by default 10.", values
    )


def _define_embeddings_and_mann(values: flags.FlagValues) -> None:
    flag_kinds.positive_float(
        "temperature",
        None,
        "matching_nets: what cosines are multiplied by; by default 1, as in the paper.",
        values,
    )
    flags.DEFINE_bool(
        "full_context_embeddings",
        None,
        "matching_nets: whether an image's embedding depends on the whole support set.",
        flag_values=values,
    )
    flag_kinds.integer(
        "train_ways",
        None,
        1,
        "Classes per task in training; by default --ways. Learners that change weights need "
        "--tied_head for it.",
        values,
    )
    flags.DEFINE_enum(
        "train_on",
        None,
        TRAIN_ON,
        "mann: whether training scores all examples of a task as they are shown (sequences, by "
        "default, as in the paper) or the query set after the support set (episodes).",
        flag_values=values,
    )

"""The values of `--algorithm`: what each sets, and what it is called in tables and figures."""

from typing import NamedTuple


class Algorithm(NamedTuple):
    """One value of `--algorithm`.

    Attributes:
      title: its name in tables and figures.
      alpha: one of `trainers.learners.alpha.KINDS`; None for a learner that takes no gradient steps
        on a task, which classifies by what it embeds.
      first_order: whether the outer gradient ignores second derivatives.
      alpha_init: the initial value of α; drawn at random, by the seed, if None.
      last_layer: whether inner steps change the last layer only.
    """

    title: str
    alpha: str | None
    first_order: bool = False
    alpha_init: float | None = None
    last_layer: bool = False


ALGORITHMS = {
    "meta_sgd": Algorithm("Meta-SGD", "per_weight"),
    "meta_sgd_first_order": Algorithm("first-order Meta-SGD", "per_weight", first_order=True),
    "layer_rates": Algorithm("one rate a layer", "per_layer"),
    "scalar_rate": Algorithm("one rate", "scalar"),
    "maml": Algorithm("MAML", "fixed", alpha_init=0.01),
    "maml_first_order": Algorithm("first-order MAML", "fixed", first_order=True, alpha_init=0.01),
    "anil": Algorithm("ANIL", "fixed", alpha_init=0.01, last_layer=True),
    "matching_nets": Algorithm("Matching Nets", None),
    "prototypical_nets": Algorithm("Prototypical Nets", None),
}

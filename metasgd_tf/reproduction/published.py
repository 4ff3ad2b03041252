"""The published figures, and the settings with which each row of a table is run here.

The figures are those of Li et al. 2017, Tables 1 to 4, unless stated otherwise.
"""

from typing import NamedTuple

LEARNERS = ("maml", "meta_sgd")
"""Values of `--algorithm`, in the order of the tables' rows."""

SHOTS = (5, 10, 20)
TABLE_1 = {
    (5, "maml"): ((1.13, 0.18), (0.85, 0.14), (0.71, 0.12)),
    (5, "meta_sgd"): ((0.90, 0.16), (0.63, 0.12), (0.50, 0.10)),
    (10, "maml"): ((1.17, 0.16), (0.77, 0.11), (0.56, 0.08)),
    (10, "meta_sgd"): ((0.88, 0.14), (0.53, 0.09), (0.35, 0.06)),
    (20, "maml"): ((1.29, 0.20), (0.76, 0.12), (0.48, 0.08)),
    (20, "meta_sgd"): ((1.01, 0.17), (0.54, 0.08), (0.31, 0.05)),
}
"""Mean squared error ± 95 % CI at 5, 10 and 20 shots, by the shots of training and the learner."""

STARTS = ("fixed", "varying")
TABLE_4 = {
    ("fixed", "maml"): (-9.12, 0.66),
    ("fixed", "meta_sgd"): (-8.64, 0.68),
    ("varying", "maml"): (-10.71, 0.76),
    ("varying", "meta_sgd"): (-10.15, 0.62),
}
"""Average return ± 95 % CI after one update, by the start and the learner."""

CELLS = {"5way1shot": (5, 1), "5way5shot": (5, 5), "20way1shot": (20, 1), "20way5shot": (20, 5)}
"""Ways and shots of the columns of tables 2 and 3."""


def words(cell: str) -> str:
    """Returns the name of one of `CELLS` in tables, such as `5-way 1-shot`."""
    ways, shots = CELLS[cell]
    return f"{ways}-way {shots}-shot"


Figures = tuple[tuple[float, float | None] | None, ...]
"""Accuracy in percent and its 95 % CI for each of `CELLS`; None where none was published."""


class Row(NamedTuple):
    """A learner of tables 2 and 3 as it is run here.

    Attributes:
      learner: its name; a key of `Table.learners` if its figures were published.
      config: the last part of its flagfile's name.
      inner_steps: inner steps in the evaluation, which may be more than in training.
    """

    learner: str
    config: str
    inner_steps: int


class Table(NamedTuple):
    """Table 2 or 3.

    Attributes:
      task: the tasks, a value of `--task`.
      learners: the published figures of learners that are run here.
      others: the published figures of other learners.
      rows: the learners that are run, by the ways of a cell.
    """

    task: str
    learners: dict[str, Figures]
    others: dict[str, Figures]
    rows: dict[int, tuple[Row, ...]]


def plain(*means: float | None) -> Figures:
    """Returns figures that were published without an interval."""
    return tuple(None if mean is None else (mean, None) for mean in means)


META_SGD = Row("Meta-SGD", "meta_sgd", 1)
MAML_1_STEP = Row("MAML, 1 step", "maml_1step", 1)

TABLES = {
    2: Table(
        "omniglot",
        learners={
            "Meta-SGD": ((99.53, 0.26), (99.93, 0.09), (95.93, 0.38), (98.97, 0.19)),
            "MAML": ((98.7, 0.4), (99.9, 0.1), (95.8, 0.3), (98.9, 0.2)),
        },
        others={
            "Siamese Nets (as MAML's paper has them)": plain(97.3, 98.4, 88.2, 97.0),
            "Matching Nets": plain(98.1, 98.9, 93.8, 98.5),
            "MANN, no convolutions (from MAML's paper)": plain(82.8, 94.9, None, None),
            "Prototypical Nets (2017; not checked)": plain(98.8, 99.7, 96.0, 98.9),
            "Reptile, transductive (2018; not checked)": plain(97.68, 99.48, 89.43, 97.12),
            "MAML++ (2019; 5 checkpoints together)": plain(99.47, 99.93, 97.65, 99.33),
        },
        rows={
            5: (META_SGD, Row("MAML", "maml", 3), MAML_1_STEP),
            20: (META_SGD, Row("MAML", "maml", 5), MAML_1_STEP),
        },
    ),
    3: Table(
        "mini_imagenet",
        learners={
            "Meta-SGD": ((50.47, 1.87), (64.03, 0.94), (17.56, 0.64), (28.92, 0.35)),
            "MAML": ((48.70, 1.84), (63.11, 0.92), (16.49, 0.58), (19.29, 0.29)),
        },
        others={
            "Matching Nets (full-context embeddings)": (
                (43.56, 0.84),
                (55.31, 0.73),
                (17.31, 0.22),
                (22.69, 0.20),
            ),
            "Meta-LSTM": ((43.44, 0.77), (60.60, 0.71), (16.70, 0.23), (26.06, 0.25)),
        },
        rows={
            5: (META_SGD, Row("MAML", "maml", 10), MAML_1_STEP),
            20: (META_SGD, Row("MAML", "maml", 10), MAML_1_STEP),
        },
    ),
}


def figure(table: Table, learner: str, cell: str) -> tuple[float | None, float | None]:
    """Returns the published mean and interval of a learner in a cell; None where there is none."""
    figures = table.learners.get(learner) or table.others.get(learner)
    return (figures and figures[list(CELLS).index(cell)]) or (None, None)

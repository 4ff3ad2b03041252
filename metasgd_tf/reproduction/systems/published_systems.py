"""The systems that Meta-SGD is compared with: what was published of each, and by whom.

The figures of the paper's own tables are those of `published`. A figure of MANN, Siamese Nets or an
ensemble is no measurement by the protocol of the others; its source says so, and where a figure
could not be checked against its paper.
"""

from typing import NamedTuple

from metasgd_tf.reproduction.published import CELLS, SHOTS, TABLE_1, TABLES, Figures, plain

SYSTEMS = {
    "meta_sgd": "Meta-SGD",
    "maml": "MAML",
    "siamese_nets": "Siamese Nets",
    "matching_nets": "Matching Nets",
    "mann": "MANN",
    "meta_lstm": "Meta-LSTM",
    "prototypical_nets": "Prototypical Nets",
    "reptile": "Reptile",
    "anil": "ANIL",
    "maml_plus_plus": "MAML++",
}
"""Titles by the value of `--algorithm`, in the order of the rows."""

COMPARED = {1: ("maml", "meta_sgd", "mann"), 2: tuple(SYSTEMS), 3: tuple(SYSTEMS)}
"""The systems that belong into the comparison of a table."""

EVALUATION_STEPS = {2: {"reptile": 5}, 3: {"reptile": 10}}
"""Inner steps in the evaluation of tables of images, where others are published than in training.

MAML's are in `published.TABLES`.
"""


class Published(NamedTuple):
    """What was published of a system on the cells of table 2 or 3.

    Attributes:
      figures: its accuracies.
      source: where they are from, and in what they differ from the others.
    """

    figures: Figures
    source: str


_OURS, _OTHERS = TABLES[2].learners, TABLES[2].others
OMNIGLOT = {
    "meta_sgd": Published(_OURS["Meta-SGD"], "Li et al. 2017, table 2"),
    "maml": Published(_OURS["MAML"], "Finn et al. 2017, as in Li et al. 2017, table 2"),
    "siamese_nets": Published(
        _OTHERS["Siamese Nets (as MAML's paper has them)"],
        "Finn et al. 2017; not Koch et al.'s own network, but a reimplementation by Vinyals et al. "
        "2016, who have 88.1 for 20-way 1-shot",
    ),
    "matching_nets": Published(
        _OTHERS["Matching Nets"], "Vinyals et al. 2016, without full-context embeddings"
    ),
    "mann": Published(
        _OTHERS["MANN, no convolutions (from MAML's paper)"],
        "Finn et al. 2017, of Santoro et al. 2016, where they are the accuracies when a class is "
        "presented for the 2nd and the 5th time in a sequence, not those on a query set",
    ),
    "prototypical_nets": Published(
        _OTHERS["Prototypical Nets (2017; not checked)"], "Snell et al. 2017; not checked"
    ),
    "reptile": Published(
        _OTHERS["Reptile, transductive (2018; not checked)"],
        "Nichol et al. 2018, transductive; not checked",
    ),
    "anil": Published(
        plain(None, None, 96.2, 98.0),
        "Raghu et al. 2020, beside MAML's 93.7 and 96.4 there; without intervals; not checked",
    ),
    "maml_plus_plus": Published(
        _OTHERS["MAML++ (2019; 5 checkpoints together)"],
        "Antoniou et al. 2019, five checkpoints together, where ours is one",
    ),
}

_OURS, _OTHERS = TABLES[3].learners, TABLES[3].others
MINI_IMAGENET = {
    "meta_sgd": Published(_OURS["Meta-SGD"], "Li et al. 2017, table 3"),
    "maml": Published(_OURS["MAML"], "Finn et al. 2017 and Li et al. 2017, table 3"),
    "matching_nets": Published(
        _OTHERS["Matching Nets (full-context embeddings)"],
        "Ravi and Larochelle 2017 and Li et al. 2017, table 3, with full-context embeddings",
    ),
    "meta_lstm": Published(
        _OTHERS["Meta-LSTM"], "Ravi and Larochelle 2017 and Li et al. 2017, table 3"
    ),
    "anil": Published(
        plain(46.7, 61.5, None, None), "Raghu et al. 2020; without intervals; not checked"
    ),
}

PUBLISHED = {2: OMNIGLOT, 3: MINI_IMAGENET}
"""By the number of the table, then by the value of `--algorithm`."""


class Figure(NamedTuple):
    """A published score with its 95 % confidence interval and its source; None where none was."""

    mean: float | None = None
    ci95: float | None = None
    source: str | None = None


def figure(number: int, algorithm: str, cell: str, shots: int) -> Figure:
    """Returns what was published of a system in a cell.

    Args:
      number: the table's number, 1 to 3.
      algorithm: a value of `--algorithm`.
      cell: one of `compared.cells(number)`.
      shots: support examples in the test, which in table 1 may differ from those of training.
    """
    if number == 1:
        figures = TABLE_1.get((int(cell.removesuffix("shot")), algorithm))
        return Figure(*figures[SHOTS.index(shots)], "Li et al. 2017, table 1") if figures else NONE
    published = PUBLISHED[number].get(algorithm)
    held = published and published.figures[list(CELLS).index(cell)]
    return Figure(*held, published.source) if published and held else NONE


NONE = Figure()

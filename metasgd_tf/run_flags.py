"""The flags that describe a run: defined, resolved, kept in its directory and read back.

Nothing here imports TensorFlow, so that a command answers `--help` and refuses a bad flag at once.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from metasgd_tf import tasks

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "configs"
FILE_NAME = "flags.txt"
ALPHA_KINDS = ("per_weight", "per_layer", "scalar", "fixed")
BATCH_NORMS = ("transductive", "support")
OPTIMIZERS = ("adam", "sgd", "trpo")
REWARDS = ("distance", "squared_distance")
STARTS = ("fixed", "varying")
SURROGATES = ("plain", "dice")
DECAYS = ("none", "cosine")
CHECKPOINT_KINDS = ("last", "best")
MAX_SEED = 2**31 - 1


class Algorithm(NamedTuple):
    """A usual choice of α and of the outer gradient.

    Attributes:
      alpha: one of `ALPHA_KINDS`.
      first_order: whether second derivatives are left out.
      alpha_init: where α starts; drawn by seed if None.
    """

    alpha: str
    first_order: bool = False
    alpha_init: float | None = None


ALGORITHMS = {
    "meta_sgd": Algorithm("per_weight"),
    "meta_sgd_first_order": Algorithm("per_weight", first_order=True),
    "layer_rates": Algorithm("per_layer"),
    "scalar_rate": Algorithm("scalar"),
    "maml": Algorithm("fixed", alpha_init=0.01),
    "maml_first_order": Algorithm("fixed", first_order=True, alpha_init=0.01),
}

TASK_FLAGS = (
    "task",
    "data_dir",
    "manual_dir",
    "fixed_frequency",
    "image_dir",
    "dataset",
    "class_splits",
    "reward",
    "start",
    "horizon",
)
"""The flags that choose a distribution over tasks, and not how it is learned.

The seed of the classes' split is not one of them: a run judged on another split would be judged on
classes that it was trained on. `class_splits` is one, as another folder has other classes.
"""

FREE_FLAGS = (
    "iterations",
    "summary_interval",
    "checkpoint_interval",
    "validation_tasks",
    "data_dir",
    "manual_dir",
)
"""The flags that may change when a run goes on: they do not change what it learns on the way."""


def define_task_flags(values: flags.FlagValues, default_task: str | None) -> None:
    """Defines `TASK_FLAGS`."""
    flags.DEFINE_enum("task", default_task, tasks.NAMES, "Which tasks.", flag_values=values)
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where TensorFlow Datasets keeps its data; by default TFDS_DATA_DIR or its own choice.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "manual_dir",
        None,
        "mini_imagenet: what to prepare it from; by default downloads/manual in --data_dir.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "fixed_frequency", False, "Sinusoid: whether ω is 1, as in MAML's.", flag_values=values
    )
    flags.DEFINE_string(
        "image_dir",
        None,
        "image_folder: the folder, with one sub-folder of PNG, JPEG, BMP or GIF files a class.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "dataset",
        None,
        "tfds_images: name of the data set in TensorFlow Datasets.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "class_splits",
        None,
        "image_folder, tfds_images: a CSV with the header class,split and for each class train, "
        "validation or test; without one 64 %, 16 % and 20 % are drawn by --split_seed.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "reward",
        "distance",
        REWARDS,
        "navigation: minus the distance to the goal, as in published code, or minus its square.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "start",
        "fixed",
        STARTS,
        "navigation: whether episodes begin at the origin or anywhere in the goals' square.",
        flag_values=values,
    )
    _integer("horizon", 100, 1, "navigation: most steps of an episode.", values)


def define_run_flags(values: flags.FlagValues) -> None:
    """Defines every flag that a run depends on."""
    define_task_flags(values, "sinusoid")
    _integer("split_seed", 0, 0, "What the classes' split is drawn by.", values, MAX_SEED)
    _define_picture_flags(values)
    flags.DEFINE_enum(
        "algorithm",
        "meta_sgd",
        list(ALGORITHMS),
        "Which --alpha, --alpha_init and --first_order, where these are not given themselves.",
        flag_values=values,
    )
    flags.DEFINE_enum("alpha", None, ALPHA_KINDS, "What of α is learned.", flag_values=values)
    flags.DEFINE_float(
        "alpha_init",
        None,
        "Where all of α starts; by default MAML's 0.01, else drawn from [0.005, 0.1] by --seed.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "first_order", None, "Whether second derivatives are left out.", flag_values=values
    )
    flags.DEFINE_string(
        "model",
        None,
        "Another network than the usual one, as package.module:function, called with input_shape, "
        "output_size and seed; of this project's own: models.conv4:conv4_pooled_64, "
        "models.conv4:conv4_pooled_32, models.resnet12:resnet12.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "batch_norm",
        "transductive",
        BATCH_NORMS,
        "Whose statistics batch normalisation uses for a query: the query set's or the support's.",
        flag_values=values,
    )
    _integer("ways", 5, 1, "Classes of a task (classification).", values)
    _integer("shots", 5, 1, "Support examples (of a class).", values)
    _integer("queries", 5, 1, "Query examples (of a class) in training.", values)
    _define_navigation_flags(values)
    _define_training_flags(values)
    _integer("seed", 0, 0, "What everything random but the split is drawn by.", values, MAX_SEED)


def _define_training_flags(values: flags.FlagValues) -> None:
    _integer("inner_steps", 1, 1, "Updates that learn a task.", values)
    _integer("meta_batch_size", 4, 1, "Tasks of a meta-iteration.", values)
    _integer("iterations", 60_000, 1, "Meta-iterations.", values)
    flags.DEFINE_enum(
        "optimizer",
        None,
        OPTIMIZERS,
        "The outer one; by default adam, and for navigation trpo; sgd has momentum 0.9.",
        flag_values=values,
    )
    _positive_float("meta_learning_rate", 1e-3, "The outer optimizer's learning rate.", values)
    flags.DEFINE_enum(
        "decay",
        "none",
        DECAYS,
        "The outer learning rate stays as it is, or falls to 0 at --iterations as a half cosine.",
        flag_values=values,
    )
    _positive_float(
        "clip_norm", None, "Largest norm of the meta-gradient; no limit if not set.", values
    )
    flags.DEFINE_bool(
        "deterministic",
        False,
        "Whether TensorFlow may use only operations that give the same bits each time, or refuse.",
        flag_values=values,
    )
    _integer("summary_interval", 100, 1, "Meta-iterations between summaries.", values)
    _integer("checkpoint_interval", 1000, 1, "Meta-iterations between checkpoints.", values)
    _integer("validation_tasks", 100, 2, "Tasks of a validation, at each checkpoint.", values)


def _define_navigation_flags(values: flags.FlagValues) -> None:
    _integer("trajectories", 20, 1, "navigation: of a task, before an update and after.", values)
    for loop, what in (("inner", "a task is learned by"), ("outer", "the outer step is made by")):
        _fraction(f"{loop}_discount", 0.99, f"navigation: γ of the advantages that {what}.", values)
        _fraction(
            f"{loop}_gae_lambda", 1.0, f"navigation: λ of the advantages that {what}.", values
        )
    flags.DEFINE_bool(
        "inner_normalise",
        True,
        "navigation: whether the advantages that a task is learned by get mean 0 and standard "
        "deviation 1 in each task; those of the outer step always do.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "surrogate",
        "plain",
        SURROGATES,
        "navigation: the inner loss; dice has the outer gradient know of the sampling too.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "outer_every_step",
        False,
        "navigation: whether the outer loss is the mean over what is met after each inner step, "
        "not what is met after the last one.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "entropy_weight",
        0.0,
        "navigation: what the policy's entropy counts in the inner loss; above 0 an update lowers "
        "it.",
        flag_values=values,
    )
    _positive_float(
        "trust_region",
        0.01,
        "navigation: the mean KL divergence that a step of trpo may go.",
        values,
    )


def _define_picture_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool(
        "allow_incomplete",
        False,
        "mini_imagenet: whether to take a set that lacks some of its pictures, knowingly.",
        flag_values=values,
    )
    _integer("image_size", 84, 8, "image_folder, tfds_images: height and width.", values)
    flags.DEFINE_integer(
        "image_channels",
        3,
        "image_folder, tfds_images: 1 for grey, 3 for colour.",
        flag_values=values,
    )
    flags.register_validator(
        "image_channels",
        lambda value: value in (1, 3),
        "should be 1 or 3",
        flag_values=values,
    )


def _integer(
    name: str,
    default: int,
    least: int,
    text: str,
    values: flags.FlagValues,
    most: int | None = None,
) -> None:
    flags.DEFINE_integer(
        name, default, text, lower_bound=least, upper_bound=most, flag_values=values
    )


def _fraction(name: str, default: float, text: str, values: flags.FlagValues) -> None:
    flags.DEFINE_float(name, default, text, lower_bound=0.0, upper_bound=1.0, flag_values=values)


def _positive_float(name: str, default: float | None, text: str, values: flags.FlagValues) -> None:
    flags.DEFINE_float(name, default, text, flag_values=values)
    flags.register_validator(
        name,
        lambda value: value is None or 0 < value < float("inf"),
        "should be a positive number",
        flag_values=values,
    )


def parse(arguments: Sequence[str]) -> flags.FlagValues:
    """Returns the settings of a run from command-line arguments, `--flagfile=…` among them.

    Raises:
      flags.Error: if they name an unknown flag, a bad value, or a file that cannot be opened.
    """
    values = flags.FlagValues()
    define_run_flags(values)
    values(["run", *arguments])
    return values


def resolve(values: flags.FlagValues) -> flags.FlagValues:
    """Returns a copy of a run's flags in which what the algorithm or the task implies is set.

    Raises:
      flags.Error: if the optimizer is not one for the task.
    """
    resolved = parse(serialize(values))
    algorithm = ALGORITHMS[resolved.algorithm]
    if resolved.alpha is None:
        resolved.alpha = algorithm.alpha
    if resolved.first_order is None:
        resolved.first_order = algorithm.first_order
    if resolved.alpha_init is None:
        resolved.alpha_init = algorithm.alpha_init
    if resolved.optimizer is None:
        resolved.optimizer = "trpo" if resolved.task == "navigation" else "adam"
    if resolved.optimizer == "trpo" and resolved.task != "navigation":
        raise flags.IllegalFlagValueError(
            f"optimizer=trpo: is for --task=navigation, not {resolved.task}; should be adam or sgd"
        )
    return resolved


def names() -> list[str]:
    """Returns the names of the flags that a run depends on."""
    values = flags.FlagValues()
    define_run_flags(values)
    return list(values)


def serialize(values: flags.FlagValues) -> list[str]:
    """Returns the arguments that set a run's flags; those that are None are left out."""
    return [values[name].serialize() for name in names() if values[name].value is not None]


def differences(new: flags.FlagValues, old: flags.FlagValues) -> list[str]:
    """Returns where two runs would not be the same run: `--name=new instead of old`."""
    free = set(FREE_FLAGS)
    if new["decay"].value != "none":
        free.remove("iterations")  # The learning rate's way depends on where it ends.
    return [
        f"--{name}={new[name].value} instead of {old[name].value}"
        for name in sorted(old)
        if name not in free and new[name].value != old[name].value
    ]


def write(values: flags.FlagValues, model_dir: str) -> None:
    """Keeps a run's flags in its directory, as a flagfile."""
    path = pathlib.Path(model_dir) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text("\n".join(serialize(values)) + "\n", encoding="utf-8")
    os.replace(draft, path)


def read(model_dir: str) -> flags.FlagValues:
    """Reads back what `write` kept.

    Raises:
      flags.Error: if the directory holds no run, or one that this version cannot read.
    """
    path = pathlib.Path(model_dir) / FILE_NAME
    if not path.exists():
        raise flags.Error(f"model_dir={model_dir}: holds no run; name a directory that train wrote")
    return parse([f"--flagfile={path}"])

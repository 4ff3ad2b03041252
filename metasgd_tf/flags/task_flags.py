"""The flags of the families of tasks."""

from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import flag_kinds

REWARDS = ("distance", "squared_distance")
STARTS = ("fixed", "varying")
SURROGATES = ("plain", "dice")

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
    "trajectories",
)
"""The flags that choose a distribution over tasks and what is met of each, not how it is learned.

The seed of the classes' split is not one of them: a run evaluated on another split would be
evaluated on classes that it was trained on. `class_splits` is one, as
another folder has other classes.
"""


def define_task_flags(values: flags.FlagValues, default_task: str | None) -> None:
    """Defines `TASK_FLAGS`."""
    flags.DEFINE_string(
        "task",
        default_task,
        f"Which tasks: {', '.join(tasks.NAMES)}, or some of your own as package.module:function, "
        "called with the run's flags and the splits that will be drawn from, which returns a "
        "trainers.TaskFamily.",
        flag_values=values,
    )
    flags.register_validator(
        "task",
        lambda name: name is None or name in tasks.NAMES or bool(tasks.FUNCTION.fullmatch(name)),
        f"should be one of {', '.join(tasks.NAMES)}, or package.module:function",
        flag_values=values,
    )
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
        "image_folder: the folder, with one sub-folder of PNG, JPEG, BMP, GIF, WebP or TIFF files "
        "a class; or with such folders in train, val or validation, and test, taken as that split.",
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
    flag_kinds.integer("horizon", 100, 1, "navigation: most steps of an episode.", values)
    flag_kinds.integer(
        "trajectories", 20, 1, "navigation: of a task, before an update and after.", values
    )


def define_image_flags(values: flags.FlagValues) -> None:
    """Defines how images are loaded."""
    flags.DEFINE_bool(
        "allow_incomplete",
        False,
        "mini_imagenet: whether to take a set that lacks some of its images, knowingly.",
        flag_values=values,
    )
    flag_kinds.integer("image_size", 84, 8, "image_folder, tfds_images: height and width.", values)
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


def define_navigation_flags(values: flags.FlagValues) -> None:
    """Defines how policies are learned."""
    for loop, what in (("inner", "a task is learned by"), ("outer", "the outer step is made by")):
        flag_kinds.fraction(
            f"{loop}_discount", 0.99, f"navigation: γ of the advantages that {what}.", values
        )
        flag_kinds.fraction(
            f"{loop}_gae_lambda", 1.0, f"navigation: λ of the advantages that {what}.", values
        )
    flags.DEFINE_bool(
        "inner_normalise",
        True,
        "navigation: whether the advantages that a task is learned by get mean 0 and standard "
        "deviation 1 in each task; those of the outer step always do.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "inner_times_reward",
        False,
        "navigation: whether these are then taken times the mean size of the task's rewards, so "
        "that an update goes as far as there is to go.",
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
        "times_deviation",
        False,
        "navigation: whether the inner loss is taken times the policy's standard deviation, so "
        "that later updates are no larger than the first.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "entropy_weight",
        0.0,
        "navigation: what the policy's entropy counts in the inner loss; above 0 an update lowers "
        "it.",
        flag_values=values,
    )
    flag_kinds.positive_float(
        "trust_region",
        0.01,
        "navigation: the mean KL divergence that a step of trpo may go.",
        values,
    )

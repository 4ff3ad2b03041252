"""The flags of the task families."""

from absl import flags

from metasgd_tf import tasks
from metasgd_tf.flags import flag_kinds

REWARDS = ("distance", "squared_distance")
STARTS = ("fixed", "varying")
SURROGATES = ("plain", "dice")
SPLITS_OF_CHARACTERS = ("characters", "lake")
PROTOCOLS = ("standard", "maml")

TASK_FLAGS = (
    "task",
    "data_dir",
    "manual_dir",
    "fixed_frequency",
    "image_dir",
    "dataset",
    "class_splits",
    "protocol",
    "within_alphabet",
    "reward",
    "start",
    "horizon",
    "trajectories",
)
"""The flags that choose a distribution over tasks and its episodes, not how tasks are learned.

`split` and `split_seed` are not among them: a run evaluated on another split would be evaluated on
classes that it was trained on. `class_splits` is one, as another folder has other classes.
"""


def define_task_flags(values: flags.FlagValues, default_task: str | None) -> None:
    """Defines `TASK_FLAGS`."""
    flags.DEFINE_string(
        "task",
        default_task,
        f"Which tasks: {', '.join(tasks.NAMES)}, or your own as package.module:function, a "
        "function of the run's flags and the splits to draw from that returns a "
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
        "Data directory of TensorFlow Datasets; by default TFDS_DATA_DIR, or else its own default.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "manual_dir",
        None,
        "mini_imagenet: folder to prepare it from; by default downloads/manual in --data_dir.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "fixed_frequency", False, "sinusoid: whether ω is 1, as for MAML.", flag_values=values
    )
    flags.DEFINE_string(
        "image_dir",
        None,
        "image_folder: the folder, with one sub-folder of PNG, JPEG, BMP, GIF, WebP or TIFF files "
        "per class; or with such sub-folders in train, val (or validation) and test, which are "
        "then the splits.",
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
        "validation or test; by default 64 %, 16 % and 20 % of the classes are drawn by "
        "--split_seed.",
        flag_values=values,
    )
    _define_protocol_flags(values)
    _define_episode_flags(values)


def _define_protocol_flags(values: flags.FlagValues) -> None:
    """Defines those of `TASK_FLAGS` that say how tasks are drawn from characters of Omniglot."""
    flags.DEFINE_enum(
        "protocol",
        "standard",
        PROTOCOLS,
        "omniglot: how tasks of validation and test are drawn: upright characters with 15 queries "
        "a class (standard), or as in the published code of MAML, each character turned by a "
        "random multiple of 90°, with as many queries as shots (maml).",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "within_alphabet",
        False,
        "omniglot: whether the characters of a task of validation or test are all of one alphabet, "
        "of those that have enough.",
        flag_values=values,
    )


def define_split_flags(values: flags.FlagValues) -> None:
    """Defines the flags that divide classes by chance or by a named split."""
    flags.DEFINE_enum(
        "split",
        "characters",
        SPLITS_OF_CHARACTERS,
        "omniglot: whether 1,200 characters of all alphabets are drawn for training and validation "
        "(characters), or 30 alphabets are for these and the other 20 for the test, as Lake et al. "
        "divide them (lake).",
        flag_values=values,
    )
    flag_kinds.integer(
        "split_seed", 0, 0, "Seed of the split of the classes.", values, flag_kinds.MAX_SEED
    )


def _define_episode_flags(values: flags.FlagValues) -> None:
    """Defines those of `TASK_FLAGS` that describe navigation."""
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
    flag_kinds.integer("horizon", 100, 1, "navigation: maximum steps per episode.", values)
    flag_kinds.integer(
        "trajectories", 20, 1, "navigation: per task, before and after each update.", values
    )


def define_image_flags(values: flags.FlagValues) -> None:
    """Defines the flags for loading images."""
    flags.DEFINE_bool(
        "allow_incomplete",
        False,
        "mini_imagenet: whether to accept a data set that lacks some of its images.",
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


def define_variety_flags(values: flags.FlagValues) -> None:
    """Defines the flags that make more classes and other drawings of those in training."""
    flags.DEFINE_bool(
        "reflections",
        False,
        "omniglot: whether mirror images are further classes in training, beside the rotations.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "whole_alphabets",
        False,
        "omniglot: whether a task of training has the characters of an alphabet, all turned alike, "
        "and then those of another until it has its ways; they are harder to tell apart than "
        "characters of all alphabets.",
        flag_values=values,
    )
    for name, of in (("class", "all drawings of a class share"), ("drawing", "each drawing has")):
        flag_kinds.fraction(
            f"{name}_distortion",
            0.0,
            f"omniglot: strength of a random affine map in training that {of}; at 1 it turns by up "
            "to 45°, shears by 0.5, scales by e^±0.4 and shifts by 0.15 of the side.",
            values,
        )
    flag_kinds.fraction(
        "stroke_width",
        0.0,
        "omniglot: how far strokes are at most made thicker or thinner in training, 1 for the "
        "largest or smallest of the 3×3 pixels around each.",
        values,
    )


def define_navigation_flags(values: flags.FlagValues) -> None:
    """Defines the flags for learning policies."""
    for loop, what in (("inner", "the inner steps"), ("outer", "the outer step")):
        flag_kinds.fraction(
            f"{loop}_discount", 0.99, f"navigation: γ of the advantages in {what}.", values
        )
        flag_kinds.fraction(
            f"{loop}_gae_lambda", 1.0, f"navigation: λ of the advantages in {what}.", values
        )
    flags.DEFINE_bool(
        "inner_normalise",
        True,
        "navigation: whether to normalise the advantages in the inner steps to mean 0 and standard "
        "deviation 1 in each task; those in the outer step always are.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "inner_times_reward",
        False,
        "navigation: whether to then multiply the advantages in the inner steps by the task's mean "
        "absolute reward, so that updates are larger the farther away the goal is.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "surrogate",
        "plain",
        SURROGATES,
        "navigation: the inner loss; with dice the outer gradient also accounts for how θ affects "
        "which trajectories are sampled.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "times_deviation",
        False,
        "navigation: whether to multiply the inner loss by the policy's standard deviation, so "
        "that later updates are no larger than the first.",
        flag_values=values,
    )
    flag_kinds.finite_float(
        "entropy_weight",
        0.0,
        "navigation: weight of the policy's entropy in the inner loss; above 0 an update lowers "
        "the entropy.",
        values,
    )
    flag_kinds.positive_float(
        "trust_region",
        0.01,
        "navigation: largest mean KL divergence of a trpo step.",
        values,
    )

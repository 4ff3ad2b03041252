"""The flags that describe a run: defined, resolved, saved in its directory and read back.

Nothing here imports TensorFlow, so that `--help` and errors in flags appear at once.
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from metasgd_tf.flags import (
    algorithm_flags,
    algorithms,
    flag_kinds,
    flag_uses,
    task_flags,
    training_flags,
)
from metasgd_tf.output.atomic_file import replaced

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
FILE_NAME = "flags.txt"
FOLDER_NAMES = "surrogateescape"
"""How the file holds the name of a folder that is not UTF-8: as its bytes."""
ALWAYS_WRITTEN = ("task", "algorithm", "seed")
"""Flags that every version wrote into the file. Without them another run would be read: flags that
are not there have their defaults."""
COMMENTS = ("#", "//")
"""What lines of a flagfile begin with that set no flag."""
BATCH_NORMS = ("transductive", "support")
CHECKPOINT_KINDS = ("last", "best")
MAX_SEED = flag_kinds.MAX_SEED
MODULES = (
    __name__,
    algorithm_flags.__name__,
    task_flags.__name__,
    training_flags.__name__,
    flag_kinds.__name__,
)
"""Modules whose flags a command must adopt so that --help lists them."""


FREE_FLAGS = (
    "iterations",
    "summary_interval",
    "checkpoint_interval",
    "validation_tasks",
    "data_dir",
    "manual_dir",
)
"""The flags that may change when a run is resumed: they do not affect what an iteration does."""


def define_run_flags(values: flags.FlagValues) -> None:
    """Defines every flag that a run depends on."""
    task_flags.define_task_flags(values, "sinusoid")
    task_flags.define_split_flags(values)
    task_flags.define_image_flags(values)
    task_flags.define_variety_flags(values)
    flags.DEFINE_enum(
        "algorithm",
        "meta_sgd",
        list(algorithms.ALGORITHMS),
        "The learner. It sets the flags that it uses and that are not given, and refuses those "
        "that only others use.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "model",
        None,
        "Another network than the task's default, as package.module:function, called with "
        "input_shape, output_size and seed; of a classifier it should give logits, without a "
        "softmax. MANN takes all of it but its last layer, in place of an image's pixels. This "
        "project has models.conv4:conv4_128, models.conv4:conv4_pooled_64, "
        "models.conv4:conv4_pooled_32, models.conv4:conv4_image_norm_64, "
        "models.conv4:conv4_layer_norm_64, models.conv4:conv4_wide_layer_norm, "
        "models.resnet12:resnet12, models.memory_network:normalised_pixels.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "batch_norm",
        "transductive",
        BATCH_NORMS,
        "Whose statistics batch normalisation uses for queries: the query set's (transductive) or "
        "the support set's.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        algorithms.PRECISIONS,
        "In what the network's layers compute, as a dtype policy of Keras: θ, α, updates, batch "
        "statistics and losses are float32 with each.",
        flag_values=values,
    )
    flag_kinds.integer("ways", 5, 2, "Classes per task (classification).", values)
    flag_kinds.integer("shots", 5, 1, "Support examples (per class).", values)
    flag_kinds.integer("queries", 5, 1, "Query examples (per class) in training.", values)
    task_flags.define_navigation_flags(values)
    algorithm_flags.define_algorithm_flags(values)
    training_flags.define_training_flags(values)
    flag_kinds.integer("seed", 0, 0, "Seed of everything random but the split.", values, MAX_SEED)


def parse(arguments: Sequence[str]) -> flags.FlagValues:
    """Returns the settings of a run from command-line arguments, `--flagfile=…` among them.

    Raises:
      flags.Error: if they name an unknown flag, a bad value, or a file that cannot be opened, or
        one of them is no flag.
    """
    values = flags.FlagValues()
    define_run_flags(values)
    _, *rest = values(["run", *arguments])
    if rest:
        raise flags.Error(f"unexpected argument {rest[0]!r}: every option is --name=value")
    return values


def resolve(values: flags.FlagValues) -> flags.FlagValues:
    """Returns a copy of a run's flags with the defaults of the algorithm and the task filled in.

    Raises:
      flags.Error: if the optimizer or the algorithm is not one for the task, or has no use for a
        flag that is set.
    """
    resolved = parse(serialize(values))
    kind = algorithms.kind_of(resolved.task)
    if kind is not None:
        algorithms.refuse_other_kinds(resolved.algorithm, resolved.task, kind)
    algorithms.refuse_half_precision(resolved, kind)
    algorithms.fill_in(resolved)
    training_flags.fill_in(resolved)
    return resolved


def refuse_unused(values: flags.FlagValues) -> None:
    """Checks that the tasks of a run use all flags that are set to other than their defaults.

    Not a part of `resolve`: earlier versions trained with flags that the tasks did not use, and
    such runs can still be read.

    Raises:
      flags.Error: if they have no use for one.
    """
    given = {n: values[n].value for n in names() if values[n].value != values[n].default}
    flag_uses.refuse_unused(values.task, given)


def of_config(name: str, *arguments: str) -> flags.FlagValues:
    """Returns the resolved flags of one of the project's flagfiles.

    Args:
      name: the flagfile's name in `CONFIGS`, without its ending.
      *arguments: flags that override it.

    Raises:
      flags.Error: if there is none of this name, or the flags are refused.
    """
    return resolve(parse([f"--flagfile={CONFIGS / name}.flags", *arguments]))


def names() -> list[str]:
    """Returns the names of the flags that a run depends on."""
    values = flags.FlagValues()
    define_run_flags(values)
    return list(values)


def serialize(values: flags.FlagValues) -> list[str]:
    """Returns the arguments that set a run's flags; those that are None are left out."""
    return [values[name].serialize() for name in names() if values[name].value is not None]


def differences(new: flags.FlagValues, old: flags.FlagValues) -> list[str]:
    """Returns the differing flags that make two runs distinct: `--name=new instead of old`.

    A flag that was not there when a run was begun counts as its default.
    """
    new, old = resolve(new), resolve(old)
    free = {*FREE_FLAGS, *flag_uses.unused(new.task)}
    if new["decay"].value != "none":
        free.remove("iterations")  # The learning rate depends on the last iteration.
    return [
        f"--{name}={new[name].value} instead of {old[name].value}"
        for name in sorted(old)
        if name not in free and new[name].value != old[name].value
    ]


def write(values: flags.FlagValues, model_dir: str) -> None:
    """Saves a run's flags in its directory, as a flagfile."""
    path = pathlib.Path(model_dir) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path, errors=FOLDER_NAMES) as file:
        file.write("\n".join(serialize(values)) + "\n")


def read(model_dir: str, flag: str = "model_dir") -> flags.FlagValues:
    """Reads the flags that `write` saved.

    Args:
      model_dir: the run's directory.
      flag: the flag that names it, for error messages.

    Raises:
      flags.Error: if the directory holds no run, or one that this version cannot read.
    """
    path = pathlib.Path(model_dir) / FILE_NAME
    if not path.exists():
        if any(path.parent.glob("*/checkpoint")):
            raise flags.Error(
                f"{flag}={model_dir}: has checkpoints and no {FILE_NAME}, which says how to read "
                "them; put back the one that train wrote there, or name another directory"
            )
        raise flags.Error(f"{flag}={model_dir}: holds no run; name a directory that train wrote")
    lines = path.read_text(encoding="utf-8", errors=FOLDER_NAMES).split("\n")
    try:
        # Names of folders may end in spaces.
        values = parse([line for line in lines if line.strip() and not line.startswith(COMMENTS)])
    except flags.Error as error:
        raise flags.Error(_damaged(model_dir, flag, str(error))) from error
    lacking = [f"--{name}" for name in ALWAYS_WRITTEN if not values[name].present]
    if lacking:
        raise flags.Error(_damaged(model_dir, flag, f"it has no {', '.join(lacking)}"))
    return values


def _damaged(model_dir: str, flag: str, reason: str) -> str:
    return (
        f"{flag}={model_dir}: its {FILE_NAME} is not as train of this version writes it "
        f"({reason.rstrip('.')}); put a whole copy in its place, or name another directory"
    )

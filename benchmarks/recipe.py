"""Searches for a recipe: candidates on Omniglot, each trained by the same number of tasks.

    python -m benchmarks.recipe --search_dir=DIR --cell=20way1shot --candidates=base,tied,tied+ema

Each candidate is the cell's flagfile, `configs/omniglot_<cell>_meta_sgd.flags`, with the flags of
`CANDIDATES`, as many meta-iterations as make up `--budget` tasks, and the learning rate falling
along a half cosine to 0 over them. Several joined by a plus are one candidate with the flags of
all. The last checkpoint is scored on 600 tasks of validation classes, the same for all, and on as
many of training classes, upright or turned and not distorted; no test class plays a part.

`DIR/<cell>/<candidate>` is a run's directory as `train` writes it: stopped (by Ctrl-C, SIGTERM or a
crash), a candidate goes on from its last checkpoint when the program is called again.
`DIR/<cell>/<candidate>.json` then has its result, with the score of every task; what is there is
not done again. `DIR/<cell>.json` collects them, so that several processes may search at once. The
table that is printed has each candidate's difference to `base`, paired task by task.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from absl import flags

from metasgd_tf import command_line

if TYPE_CHECKING:
    from trainers.families import Family

SEARCH_DIR = flags.DEFINE_string("search_dir", None, "Runs and results.", required=True)
CELL = flags.DEFINE_string("cell", "20way1shot", "Ways and shots, as flagfiles are named.")
NAMES = flags.DEFINE_list("candidates", ["base"], "Some of them; several joined by + are one.")
BUDGET = flags.DEFINE_integer("budget", 64_000, "Tasks of a training.", lower_bound=1)

BASE = "base"
CANDIDATES: dict[str, tuple[str, ...]] = {
    BASE: (),
    # More classes, and other drawings of them.
    "reflections": ("--reflections",),
    "alphabets": ("--whole_alphabets",),
    "class_0.2": ("--class_distortion=0.2",),
    "class_0.4": ("--class_distortion=0.4",),
    "class_0.8": ("--class_distortion=0.8",),
    "drawing_0.05": ("--drawing_distortion=0.05",),
    "drawing_0.1": ("--drawing_distortion=0.1",),
    "drawing_0.2": ("--drawing_distortion=0.2",),
    "strokes_0.3": ("--stroke_width=0.3",),
    "strokes_0.6": ("--stroke_width=0.6",),
    # The inner update. Tied, one step moves the last layer alone anyhow; so it is faster.
    "tied": ("--tied_head", "--adapted=last_layer"),
    "ways_60": ("--train_ways=60",),
    "ways_100": ("--train_ways=100",),
    "ways_1.5": ("--train_ways={half_more}",),
    "ways_2": ("--train_ways={twice}",),
    "without_norms": ("--adapted=all_but_norms",),
    "last_layer": ("--adapted=last_layer",),
    "body_0": ("--body_alpha_init=0",),
    "body_0.002": ("--body_alpha_init=0.002",),
    "alpha_0.1": ("--alpha_init=0.1",),
    "alpha_0.4": ("--alpha_init=0.4",),
    "alpha_4": ("--alpha_init=4",),
    "alpha_10": ("--alpha_init=10",),
    # The outer loop.
    "alpha_rate_3": ("--alpha_rate_factor=3",),
    "alpha_rate_10": ("--alpha_rate_factor=10",),
    "ema": ("--ema_momentum=0.995",),
    "ema_0.999": ("--ema_momentum=0.999",),
    "rate_0.0005": ("--meta_learning_rate=0.0005",),
    "rate_0.002": ("--meta_learning_rate=0.002",),
    "rate_0.004": ("--meta_learning_rate=0.004",),
    "rate_0.008": ("--meta_learning_rate=0.008",),
    "warmup": ("--warmup_iterations=500",),
    "clip": ("--clip_norm=1",),
    "decay_0.03": ("--weight_decay=0.03",),
    "decay_0.1": ("--weight_decay=0.1",),
    "smooth_0.05": ("--label_smoothing=0.05",),
    "smooth_0.1": ("--label_smoothing=0.1",),
    # Sizes. Tasks with more queries take longer.
    "queries_1": ("--queries=1",),
    "queries_3": ("--queries=3",),
    "queries_10": ("--queries=10",),
    "queries_15": ("--queries=15",),
    "batch_1": ("--meta_batch_size=1",),
    "batch_2": ("--meta_batch_size=2",),
    "batch_3": ("--meta_batch_size=3",),
    "batch_4": ("--meta_batch_size=4",),
    "batch_8": ("--meta_batch_size=8",),
    "batch_16": ("--meta_batch_size=16",),
    "batch_32": ("--meta_batch_size=32",),
    "pooled": ("--model=models.conv4:conv4_pooled_64",),
    "layer_norm": ("--model=models.conv4:conv4_layer_norm_64",),
    "wide": ("--model=models.conv4:conv4_128",),
    "wide_layer_norm": ("--model=models.conv4:conv4_wide_layer_norm",),
}
"""What of the cell's flagfile each one replaces."""

SCORED = 600
"""Tasks of validation classes, and of training classes, that a candidate is scored on."""

VALIDATIONS = 2
"""How often a training is validated for its curve in TensorBoard."""


def arguments_of(name: str, ways: int) -> list[str]:
    """Returns the flags of a candidate, or of several joined by a plus.

    Args:
      name: of `CANDIDATES`, or such names with a plus between them.
      ways: the cell's.

    Raises:
      flags.Error: if there is none of this name.
    """
    unknown = [part for part in name.split("+") if part not in CANDIDATES]
    if unknown:
        raise flags.IllegalFlagValueError(
            f"candidates={name}: there is no {', '.join(unknown)}; should be of "
            f"{', '.join(CANDIDATES)}"
        )
    sizes = {"half_more": ways * 3 // 2, "twice": ways * 2}
    return [flag.format(**sizes) for part in name.split("+") for flag in CANDIDATES[part]]


def settings_of(cell: str, name: str, budget: int) -> flags.FlagValues:
    """Returns the resolved flags of a candidate's run.

    Args:
      cell: such as `20way1shot`.
      name: the candidate's.
      budget: tasks of the training.

    Raises:
      flags.Error: if there is no such cell or candidate, or its flags are refused.
    """
    from metasgd_tf.flags import run_flags

    config = f"omniglot_{cell}_meta_sgd"
    ways = run_flags.of_config(config).ways
    settings = run_flags.of_config(config, "--decay=cosine", *arguments_of(name, ways))
    settings.iterations = max(1, budget // settings.meta_batch_size)
    settings.checkpoint_interval = max(1, -(-settings.iterations // VALIDATIONS))
    return settings


def search(
    search_dir: str, cell: str, names: Iterable[str], budget: int, scored: int = SCORED
) -> dict[str, Any]:
    """Trains and scores the candidates that are not done yet, and collects all results.

    Args:
      search_dir: holds the runs and the results.
      cell: such as `20way1shot`.
      names: the candidates.
      budget: tasks of each training.
      scored: tasks that each is scored on.

    Returns:
      By name the results of all candidates that are done, these and those of earlier calls.

    Raises:
      InputError: if there are results of another budget, number of tasks or other flags.
      flags.Error: if there is no such cell or candidate.
    """
    from metasgd_tf import tasks

    folder = pathlib.Path(search_dir) / cell
    base = settings_of(cell, BASE, budget)
    # Names are refused before anything slow starts.
    todo = {name: settings_of(cell, name, budget) for name in names}
    family = None
    for name, settings in todo.items():
        path = folder / f"{name}.json"
        asked = {"budget": budget, "scored": scored, "flags": arguments_of(name, base.ways)}
        if path.exists():
            _refuse_others(path, asked)
            continue
        family = family or tasks.from_flags(base, ("train", "validation"))
        _write(path, {**asked, **_run(settings, str(folder / name), family, scored)})
        _write(folder.with_suffix(".json"), _collected(folder))
    return _collected(folder)


def _refuse_others(path: pathlib.Path, asked: dict[str, Any]) -> None:
    """Checks that the result in a file is of what is asked for."""
    from trainers.errors import InputError

    found = json.loads(path.read_text(encoding="utf-8"))
    for name, value in asked.items():
        if found[name] != value:
            raise InputError(
                f"search_dir: {path} is of {name}={found[name]} instead of {value}; ask for the "
                "same, or name another search_dir"
            )


def _collected(folder: pathlib.Path) -> dict[str, Any]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def _write(path: pathlib.Path, contents: dict[str, Any]) -> None:
    from metasgd_tf.output.atomic_file import replaced

    with replaced(path) as file:
        file.write(json.dumps(contents, indent=1) + "\n")


def _run(settings: flags.FlagValues, run_dir: str, family: "Family", scored: int) -> dict[str, Any]:
    """Trains a candidate to the end, and scores its last checkpoint on the base's tasks."""
    from metasgd_tf.evaluation.restoring import restored_learner
    from metasgd_tf.output.provenance import provenance
    from metasgd_tf.runs.training import train_run
    from trainers.families import Part
    from trainers.seeds import stream
    from trainers.supervised.evaluation import mean_and_ci95

    train_run(settings, run_dir)
    learner, origin = restored_learner(family, settings, run_dir)
    (usual,) = family.protocols(scored)
    parts = {
        name: Part(split, stream(0, split))
        for name, split in (("validation", "validation"), ("training", "train"))
    }
    evaluate = family.evaluation(learner, usual._replace(before=0), list(parts.values()))
    found: dict[str, Any] = {"iterations": origin.iteration, "seconds": round(origin.seconds, 1)}
    for name, scores in zip(parts, evaluate(), strict=True):
        accuracies = scores[family.metric][:, -1]
        mean, ci95 = mean_and_ci95(accuracies)
        found[name] = {
            "mean": mean,
            "ci95": ci95,
            "by_task": [round(float(accuracy), 6) for accuracy in accuracies],
        }
    return {**found, **provenance()}


def table(candidates: dict[str, Any]) -> str:
    """Returns the results of candidates as text, the best on validation first."""
    from metasgd_tf.evaluation.comparison import paired_difference
    from metasgd_tf.output.text_table import aligned

    rows = [("candidate", "validation, %", "minus base, points", "training, %", "seconds")]
    for name in sorted(candidates, key=lambda one: -candidates[one]["validation"]["mean"]):
        found, difference = candidates[name], ""
        if BASE in candidates and name != BASE:
            of_tasks = (candidates[one]["validation"]["by_task"] for one in (name, BASE))
            paired = paired_difference(*of_tasks)
            difference = f"{100 * paired['difference']:+.2f} ± {100 * paired['ci95']:.2f}"
        validation, training = (
            f"{100 * found[split]['mean']:.2f} ± {100 * found[split]['ci95']:.2f}"
            for split in ("validation", "training")
        )
        rows.append((name, validation, difference, training, f"{found['seconds']:,.0f}"))
    return aligned(rows)


def main() -> None:
    """Runs the candidates and prints the table of all that are done."""
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    print(table(search(SEARCH_DIR.value, CELL.value, NAMES.value, BUDGET.value)))


if __name__ == "__main__":
    command_line.run(main)

"""Evaluates a run: `python -m metasgd_tf.evaluate --model_dir=DIR`.

Prints a table and writes DIR/evaluation.json and, with the scores of each task, DIR/evaluation.csv.
With --task (and the flags that belong to it) the run is evaluated on other tasks of the same shape,
"cross-domain", and has evaluation_cross_domain.json. With --compare_with a second run is evaluated
on the same tasks; files are written for the first run only. With --distribution, devices or
machines share the tasks (docs/cluster.md).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from metasgd_tf import command_line
from metasgd_tf.flags import distribution_flags, run_flags, task_flags
from metasgd_tf.flags.distribution_flags import CLUSTER, DISTRIBUTION

if TYPE_CHECKING:  # At once they would load TensorFlow, which --help does without.
    from metasgd_tf.evaluation.reports import Evaluation
    from metasgd_tf.evaluation.trained_runs import LoadedRun

MODEL_DIR = flags.DEFINE_string("model_dir", None, "The run's directory.", required=True)
flags.register_validator("model_dir", lambda path: path != "", "should name a directory")
NUM_TASKS = flags.DEFINE_integer(
    "num_tasks",
    None,
    "Number of test tasks; by default 600, and for the sinusoid the paper's 100 curves.",
    lower_bound=2,
)
WAYS = flags.DEFINE_integer(
    "ways",
    None,
    "Classification: classes of a test task; by default as in the run. Learners that compare "
    "embeddings and those with a tied last layer take any number of them.",
    lower_bound=2,
)
EVAL_SEED = flags.DEFINE_integer("eval_seed", 0, "Seed of the test tasks.", 0, run_flags.MAX_SEED)
INNER_STEPS = flags.DEFINE_integer(
    "inner_steps", None, "Inner steps; by default as in training, navigation 3.", lower_bound=0
)
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    "last",
    run_flags.CHECKPOINT_KINDS,
    "Which checkpoint: the last one, or the best one on validation tasks.",
)
COMPARE_WITH = flags.DEFINE_string(
    "compare_with",
    None,
    "Directory of another run: evaluates it on the same tasks and prints the paired difference, "
    "this run minus the other. Each run makes its own number of inner steps unless "
    "--inner_steps is given.",
)
flags.register_validator("compare_with", lambda path: path != "", "should name a directory")
CONFUSION = flags.DEFINE_bool(
    "confusion",
    False,
    "Classification: whether to write confusion.csv, which counts the predicted classes of each "
    "class, and to print the ten worst classes.",
)
PRESENTATIONS = flags.DEFINE_bool(
    "presentations",
    False,
    "MANN: whether to show test tasks of images as sequences too, and print and write the accuracy "
    "at the 1st, 2nd, … presentation of a class.",
)
task_flags.define_task_flags(flags.FLAGS, default_task=None)
for module in (*run_flags.MODULES, distribution_flags.__name__):  # So that --help lists them.
    flags.adopt_module_key_flags(sys.modules[module])


def main() -> None:
    """Evaluates the run and prints the tables."""
    from metasgd_tf.evaluation.reports import refuse_unwritable
    from metasgd_tf.evaluation.trained_runs import evaluate
    from metasgd_tf.runs.training import identity
    from metasgd_tf.runs.workers import Workers, strategy_for
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    protocol: dict[str, Any] = {
        "num_tasks": NUM_TASKS.value,
        "eval_seed": EVAL_SEED.value,
        "inner_steps": INNER_STEPS.value,
    }
    strategy = strategy_for(DISTRIBUTION.value, CLUSTER.value)
    workers = Workers(strategy)
    with workers.noticing_losses("evaluate anew"):
        # In its scope the learners' variables are on every replica.
        with strategy.scope():
            with workers.together():
                if workers.chief:
                    refuse_unwritable(MODEL_DIR.value)
                runs = _loaded(strategy.num_replicas_in_sync)
            for run in runs if workers.count > 1 else []:
                asked = {f"--{name}": value for name, value in protocol.items()}
                asked |= {"the number of runs": len(runs), "the checkpoint": run.origin.iteration}
                workers.refuse_differing(
                    identity(run.settings, run.family) | asked,
                    "start the same command on all of them, with the same version and data",
                )
            evaluations = [evaluate(run, **protocol) for run in runs]
        with workers.together():
            if workers.chief:
                _report(runs, evaluations, protocol)


def _loaded(replicas: int) -> list[LoadedRun]:
    """Loads the run, and the other one to compare it with if there is one.

    Bad arguments are refused here, before anything slow starts.
    """
    from metasgd_tf.evaluation import comparison, confusion, presentations
    from metasgd_tf.evaluation.trained_runs import load_run, refuse_steps, refuse_unshared

    other_task = {
        name: flags.FLAGS[name].value for name in task_flags.TASK_FLAGS if flags.FLAGS[name].present
    }
    if WAYS.value is not None:
        other_task["ways"] = WAYS.value
    runs = [load_run(MODEL_DIR.value, CHECKPOINT.value, other_task)]
    if COMPARE_WITH.value:
        runs.append(comparison.load_other(runs[0], COMPARE_WITH.value, other_task))
    refuse_steps(runs, INNER_STEPS.value)
    for run in runs if replicas > 1 else []:
        refuse_unshared(run, DISTRIBUTION.value)
    if CONFUSION.value:
        confusion.image_family(runs[0])
    if PRESENTATIONS.value:
        presentations.parts(runs[0])
    return runs


def _report(runs: list[LoadedRun], evaluations: list[Evaluation], protocol: dict[str, Any]) -> None:
    """Compares, prints the tables and writes the files of the first run."""
    from metasgd_tf.evaluation import comparison, confusion, presentations
    from metasgd_tf.evaluation.reports import table, write

    run, evaluated = runs[0], evaluations[0]
    text = table(evaluated.report)
    if runs[1:]:
        comparison.compare(run, evaluated, runs[1], evaluations[1])
        others = f"{COMPARE_WITH.value}: {table(evaluations[1].report)}"
        difference = comparison.table(
            MODEL_DIR.value, COMPARE_WITH.value, evaluated.report["comparison"]
        )
        text = f"{MODEL_DIR.value}: {text}\n\n{others}\n\n{difference}"
    if PRESENTATIONS.value:
        rows = presentations.presentations(
            run, num_tasks=NUM_TASKS.value, eval_seed=EVAL_SEED.value
        )
        evaluated.report["presentations"] = rows
        text = f"{text}\n\n{presentations.table(rows)}"
    # Printed first: what was found is not to be lost where it cannot be written.
    print(text)
    write(MODEL_DIR.value, evaluated)
    if CONFUSION.value:
        counted = confusion.confusion(run, **protocol)
        print(f"\n{confusion.table(counted)}")
        cross_domain = evaluated.report["cross_domain"]
        confusion.write(MODEL_DIR.value, counted, run.family.protocol_name, cross_domain)


if __name__ == "__main__":
    command_line.run(main)

"""Evaluates a run: `python -m metasgd_tf.evaluate --model_dir=DIR`.

Prints a table and writes DIR/evaluation.json and, score by score, DIR/evaluation.csv. With --task
(and what belongs to it) the run is judged on other tasks of the same shape, "cross-domain".
"""

from absl import flags

from metasgd_tf import command_line, run_flags

MODEL_DIR = flags.DEFINE_string("model_dir", None, "The run's directory.", required=True)
flags.register_validator("model_dir", lambda path: path != "", "should name a directory")
NUM_TASKS = flags.DEFINE_integer(
    "num_tasks",
    None,
    "Test tasks; by default 600, and for the sinusoid the paper's 100 curves.",
    lower_bound=2,
)
EVAL_SEED = flags.DEFINE_integer(
    "eval_seed", 0, "What the test tasks are drawn by.", 0, run_flags.MAX_SEED
)
INNER_STEPS = flags.DEFINE_integer(
    "inner_steps", None, "Updates that learn a task; by default the run's own.", lower_bound=0
)
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    "last",
    run_flags.CHECKPOINT_KINDS,
    "The learner as training left it last, or as it was best on validation tasks.",
)
run_flags.define_task_flags(flags.FLAGS, default_task=None)
flags.adopt_module_key_flags(run_flags)  # So that --help lists them.


def main() -> None:
    """Evaluates, and prints the table."""
    from metasgd_tf.evaluation import evaluate_run, table
    from trainers.devices import use_cores_for_tasks

    use_cores_for_tasks()
    evaluation = evaluate_run(
        MODEL_DIR.value,
        num_tasks=NUM_TASKS.value,
        eval_seed=EVAL_SEED.value,
        inner_steps=INNER_STEPS.value,
        checkpoint=CHECKPOINT.value,
        other_task={
            name: flags.FLAGS[name].value
            for name in run_flags.TASK_FLAGS
            if flags.FLAGS[name].present
        },
    )
    print(table(evaluation.report))


if __name__ == "__main__":
    command_line.run(main)

"""Measures the rollouts of 2D navigation alone; a meta-iteration makes them twice.

    python -m benchmarks.rollouts

This project's system alone, at the sizes of the case `navigation`: 40 tasks of 20 trajectories of
100 steps, all at once. Compare with meta-iterations that `benchmarks.meta_step` measures within the
same hour on the same machine.
"""

import statistics
import time

from absl import app, flags

from benchmarks.harness import cases

_ROUNDS = flags.DEFINE_integer("rounds", 20, "Collections to time.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Collects trajectories and prints the seconds that it took."""
    del argv
    from benchmarks.systems import metasgd_tf

    case = cases.CASES["navigation"]
    roll_out = metasgd_tf.rolling_out(case)
    begin = time.perf_counter()
    roll_out(0)
    print(f"first collection: {time.perf_counter() - begin:.1f} s")
    seconds = []
    for number in range(1, _ROUNDS.value + 1):
        begin = time.perf_counter()
        roll_out(number)
        seconds.append(time.perf_counter() - begin)
    print(
        f"{case.tasks} x {case.shots} x {case.horizon} steps: {statistics.median(seconds):.3f} s "
        f"({min(seconds):.3f} to {max(seconds):.3f}), median of {len(seconds)}"
    )


if __name__ == "__main__":
    app.run(main)

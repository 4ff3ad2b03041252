"""The tab Curve: learners of the sinusoid side by side, after each of their first steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from metasgd_tf.clients.classifying import facts
from metasgd_tf.clients.loading import load_newest
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.output.listing import counted
from metasgd_tf.serving.signatures import STEPS
from metasgd_tf.webpage import reading
from trainers.errors import InputError

FLAG = "curve_export_dirs"
X_RANGE = (-5.0, 5.0)
Y_RANGE = (-6.0, 6.0)
"""What the plots show: somewhat more than amplitudes of up to 5."""
GRID = np.linspace(*X_RANGE, 121, dtype=np.float32)
MOST_STEPS = 3
MOST_POINTS = 50
EXAMPLE_POINTS = 5
NO_POINT = "Click points of a curve in either plot, or fill in an example."


class CurveTab:
    """Fits of exports of the sinusoid to points."""

    def __init__(self, export_dirs: Sequence[str]):
        """Loads the newest version of each export.

        Raises:
          InputError: if there is none, or it is of another task or of a learner that makes no
            gradient steps.
        """
        self._learners: list[tuple[str, Any]] = []
        for export_dir in export_dirs:
            loaded = load_newest(export_dir, FLAG)
            about = facts(export_dir)
            if about.get("task") != "sinusoid" or f"adapt{STEPS}" not in loaded.signatures:
                raise InputError(
                    f"{FLAG}={export_dir}: should be an export of a run of sinusoid whose learner "
                    "makes gradient steps"
                )
            name = ALGORITHMS[about["algorithm"]].title
            trained = f"{about['shots']} points, {counted(about['inner_steps'], 'step')}"
            self._learners.append((f"{name}, trained on {trained}", loaded))
        # The first call of a graph takes longer than any other.
        self.answer({"points": [[0, 0]]})

    def answer(self, request: Any) -> dict[str, Any]:
        """Fits every learner to points.

        Args:
          request: `points`, a list of [x, y] in the ranges of the plots.

        Returns:
          `x`, and `learners`, each a `name` and its `fits` after 0, 1, 2 and 3 steps, numbers of
          as many as `x`. Without points a `sentence` too, and the fits after 0 steps alone.

        Raises:
          RequestError: if the request is of another form.
        """
        points = reading.each(
            reading.field(request, "points"),
            "points",
            MOST_POINTS,
            lambda value, name: reading.point(value, name, X_RANGE, Y_RANGE),
        )
        steps = range(MOST_STEPS + 1 if points else 1)
        # Of a support set the exports demand one point at least; without steps it has no effect.
        support = np.array([points or [(0, 0)]], np.float32)
        fitted = [
            {"name": name, "fits": _fits(loaded.signatures, support, steps)}
            for name, loaded in self._learners
        ]
        said = {} if points else {"sentence": NO_POINT}
        return said | {"x": GRID.round(4).tolist(), "learners": fitted}

    def example(self, request: Any) -> dict[str, Any]:
        """Draws a curve as the tasks of the sinusoid are drawn, and points on its left half.

        Source: Li et al. 2017, section 4.1 and figure 3.

        Args:
          request: `seed`, what they are drawn by.

        Returns:
          `points`, and the `curve` at `x`.
        """
        rng = np.random.default_rng(reading.seed(request))
        # Not below 1, where a curve is hardly seen.
        amplitude, frequency = rng.uniform(1, 5), rng.uniform(0.8, 1.2)
        phase = rng.uniform(0, np.pi)
        x = np.sort(rng.uniform(X_RANGE[0], 0, EXAMPLE_POINTS))

        def curve(x: np.ndarray) -> np.ndarray:
            return amplitude * np.sin(frequency * x + phase)

        return {
            "points": np.stack([x, curve(x)], axis=1).round(4).tolist(),
            "curve": curve(GRID).round(4).tolist(),
            "x": GRID.round(4).tolist(),
        }


def _fits(signatures: Any, support: np.ndarray, steps: range) -> list[list[float]]:
    """Returns a learner's fits to [1, N, 2] at the grid after each number of steps."""
    given = {
        "support_inputs": tf.constant(support[..., :1]),
        "support_targets": tf.constant(support[..., 1:]),
    }
    adapt, predict = signatures[f"adapt{STEPS}"], signatures["predict"]
    states = [adapt(**given, inner_steps=tf.constant(count))["state"] for count in steps]
    queries = np.broadcast_to(GRID[np.newaxis, :, np.newaxis], (len(steps), len(GRID), 1))
    fits = predict(state=tf.concat(states, axis=0), query_inputs=tf.constant(queries))
    return fits["predictions"].numpy()[..., 0].astype(float).round(4).tolist()

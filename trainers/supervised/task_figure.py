"""A figure of any supervised task: a learner's outputs before and after adaptation."""

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from matplotlib import figure

    from trainers.episodes import Episode


def task_figure(episode: "Episode", before: Any, after: Any) -> "figure.Figure":
    """Draws outputs for the query set against its targets; the diagonal is where they agree.

    Of classes, given by whole numbers, the outputs' largest is taken. Of other outputs, those that
    have a target: a network may give more, such as the variance of each number.

    Args:
      episode: the task, as arrays.
      before: the outputs before adaptation, [M, ...].
      after: and after it.
    """
    # Training alone needs no figures.
    from matplotlib import figure

    (targets, *_) = (np.asarray(value) for value in tf.nest.flatten(episode.query_targets))
    drawn = figure.Figure(figsize=(7, 3.2), layout="constrained")
    both = drawn.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, outputs in zip(both, ("before", "after"), (before, after), strict=True):
        (first, *_) = (np.asarray(value) for value in tf.nest.flatten(outputs))
        answers = first.argmax(-1) if np.issubdtype(targets.dtype, np.integer) else first
        ends = [targets.min(), targets.max()]
        axes.plot(ends, ends, color="0.7", lw=1)
        asked, given = (value.reshape(len(value), -1) for value in (targets, answers))
        both_have = min(asked.shape[1], given.shape[1])
        axes.plot(asked[:, :both_have].ravel(), given[:, :both_have].ravel(), "o", ms=4, alpha=0.6)
        axes.set(title=f"{title} adaptation", xlabel="target")
    drawn.axes[0].set_ylabel("output")
    return drawn

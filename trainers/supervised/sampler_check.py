"""Checks the task sampler before training: it returns episodes and draws them by its seed."""

import tensorflow as tf

from trainers.compiling import log
from trainers.episodes import Episode, Sampler
from trainers.errors import InputError


def check_sampler(
    tasks: Sampler, seed: tf.Tensor, other: tf.Tensor, *, classes: int | None = None
) -> None:
    """Draws a few tasks, and logs a warning if the seeds do not decide which tasks they are.

    Args:
      tasks: a `tf.function` from a seed to an episode, as training runs it.
      seed: [2] (int32).
      other: another seed.
      classes: below what class numbers are, where targets are such.

    Raises:
      InputError: if the function raises an exception, returns no `Episode`, or one without
        examples, with other than one target for each input, or with class numbers that are none.
    """
    try:
        drawn = [tasks(at) for at in (seed, seed, other)]
    except InputError:
        raise
    except Exception as error:
        # It is the user's function, which may raise anything.
        (*_, reason) = str(error).strip().splitlines() or [""]
        raise InputError(
            f"tasks: drawing one raised {type(error).__name__} ({reason.strip()}); should return a "
            "trainers.Episode for a seed"
        ) from error
    if not all(isinstance(one, Episode) for one in drawn):
        raise InputError(
            f"tasks: returned a {type(drawn[0]).__name__}; should return a trainers.Episode"
        )
    for one in drawn:
        _refuse_empty(one)
        _refuse_uneven(one)
        if classes is not None:
            _refuse_other_classes(one, classes)
    first, again, another = drawn
    if not _equal(first, again):
        log.warning(
            "tasks drawn twice by one seed differ, so that runs cannot be repeated; draw by the "
            "seed, as trainers.uniform does"
        )
    elif _equal(first, another):
        log.warning(
            "tasks drawn by different seeds are the same; draw by the seed in TensorFlow, as "
            "trainers.uniform does: what Python or NumPy draws is drawn once and kept"
        )


def _refuse_empty(episode: Episode) -> None:
    """Checks that a task has examples to learn from, and others to be scored on."""
    for name, values in episode._asdict().items():
        sizes = [value.shape[:1] for value in tf.nest.flatten(values)]
        if any(size == [0] for size in sizes):
            raise InputError(
                f"tasks: the {name} of a task that was drawn hold nothing; should be of at least "
                "one example"
            )


def _refuse_uneven(episode: Episode) -> None:
    """Checks that there is a target for each input, as a loss may take one for all."""
    for kind in ("support", "query"):
        counts = {
            part: {int(value.shape[0]) for value in tf.nest.flatten(values) if value.shape.rank}
            for part, values in episode._asdict().items()
            if part.startswith(kind)
        }
        if len(set.union(*counts.values())) > 1:
            found = " and ".join(
                f"{part} of {', '.join(map(str, sorted(sizes)))}" for part, sizes in counts.items()
            )
            raise InputError(
                f"tasks: a task that was drawn has {found} examples; should be of equally many"
            )


def _refuse_other_classes(episode: Episode, classes: int) -> None:
    """Checks class numbers [N]; what has another shape may mark what is not to be scored.

    TensorFlow gives a loss that is not a number for others, raises an exception, or takes them for
    no class at all, depending on the loss and the device.
    """
    for name in ("support_targets", "query_targets"):
        targets = getattr(episode, name)
        if not tf.is_tensor(targets) or not targets.dtype.is_integer or targets.shape.rank != 1:
            continue
        numbers = targets.numpy()
        wrong = numbers[(numbers < 0) | (numbers >= classes)]
        if wrong.size:
            raise InputError(
                f"tasks: the {name} of a task that was drawn have class number {wrong[0]}; should "
                f"be from 0 to {classes - 1}, as there are {classes} classes"
            )


def _equal(one: Episode, other: Episode) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(a.shape == b.shape and bool(tf.reduce_all(_same(a, b))) for a, b in pairs)


def _same(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    if a.dtype.is_floating:
        return (a == b) | (tf.math.is_nan(a) & tf.math.is_nan(b))
    return a == b

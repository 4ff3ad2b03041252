"""The tab Draw: an export of Omniglot told five classes by a few drawings of each.

Strokes become images as Omniglot's were made: a pen of its width on 105 × 105 pixels, then what
training does with these. The query is asked about together with the support set's drawings. An
export of `--batch_norm=transductive` normalises with the statistics of what it is asked about
together, in training some images of every class; those of a single image are others, with which an
answer is right far less often.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from metasgd_tf.clients import drawings
from metasgd_tf.clients.classifying import facts
from metasgd_tf.clients.loading import load_newest
from metasgd_tf.images.ink import shrink
from metasgd_tf.serving.signatures import STEPS
from metasgd_tf.webpage import reading
from metasgd_tf.webpage.reading import Drawing
from trainers.errors import InputError

PEN = 5.5
"""Pixels, of 105: twice area by perimeter is 5.3 for Omniglot's strokes, and for this pen's 5.5."""
SETS_KEPT = 16
IMAGES_KEPT = 512
NOTHING_DRAWN = "Draw at least one example in each of two classes, or fill in the examples."
ONE_CLASS = "Only one class has a drawing: every query would be of it. Draw another class."
NO_QUERY = "Now draw what should be classified."


class DrawTab:
    """Answers of an export of Omniglot before and after adaptation.

    Attributes:
      ways: how many classes it tells apart.
    """

    def __init__(self, export_dir: str):
        """Loads the export's newest version.

        Raises:
          InputError: if there is none, or it is of another task.
        """
        self._loaded = load_newest(export_dir)
        about = facts(export_dir)
        if about.get("task") != "omniglot":
            raise InputError(
                f"export_dir={export_dir}: is of a run of {about.get('task')}; name an export of "
                "a run of omniglot"
            )
        self._signatures = self._loaded.signatures
        outputs = self._signatures["predict"].structured_outputs
        self.ways: int = outputs["probabilities"].shape[-1]
        self._image = functools.lru_cache(IMAGES_KEPT)(image)
        self._states = functools.lru_cache(SETS_KEPT)(self._adapt)
        # The first call of a graph takes longer than any other.
        shown = self.examples({"seed": 0})
        self.answer({"classes": shown["classes"], "query": shown["query"]})

    def answer(self, request: Any) -> dict[str, Any]:
        """Classifies a drawing.

        Args:
          request: `classes`, for each class its drawings, and `query`, a drawing. A drawing is a
            list of strokes, a stroke a list of points [x, y] in the unit square.

        Returns:
          Either a `sentence` that says what is missing, or the class probabilities, `adapted` and
          `unadapted`, the latter None for a learner without gradient steps, and what the network
          sees of the query, `seen`, 28 rows of 28 numbers from 0 to 255.

        Raises:
          RequestError: if the request is of another form.
        """
        classes = reading.each(
            reading.field(request, "classes"), "classes", self.ways, _drawings_of_a_class
        )
        query = reading.drawing(reading.field(request, "query"), "query")
        drawn = sum(any(of_class) for of_class in classes)
        if drawn < 2:
            return {"sentence": ONE_CLASS if drawn else NOTHING_DRAWN}
        if not query:
            return {"sentence": NO_QUERY}
        seen = self._image(query)
        states, support = self._states(classes)
        together = np.concatenate([seen[np.newaxis], support])
        probabilities = self._signatures["predict"](
            state=states, query_inputs=tf.constant(np.stack([together] * len(states)))
        )["probabilities"].numpy()[:, 0, : len(classes)]
        adapted, *others = probabilities.astype(float).round(5).tolist()
        return {
            "adapted": adapted,
            "unadapted": others[0] if others else None,
            "seen": np.rint(255 * seen[..., 0]).astype(int).tolist(),
        }

    def examples(self, request: Any) -> dict[str, Any]:
        """Makes drawings for every class, and one to classify.

        Args:
          request: `seed`, what they are drawn by.

        Returns:
          `names`, `classes` with one drawing each, and `query`.
        """
        seed = reading.seed(request)
        names = sorted(drawings.SYMBOLS)[: self.ways]
        asked = names[int(np.random.default_rng(seed).integers(len(names)))]
        return {
            "names": names,
            "classes": [[_as_lists(drawings.strokes(name, 2 * seed))] for name in names],
            "query": _as_lists(drawings.strokes(asked, 2 * seed + 1)),
            "query_name": asked,
        }

    def _adapt(self, classes: tuple[tuple[Drawing, ...], ...]) -> tuple[tf.Tensor, np.ndarray]:
        """Returns the states after adaptation and, if there is one, before it, and the images."""
        numbered = [(n, one) for n, of_class in enumerate(classes) for one in of_class if one]
        support = np.stack([self._image(one) for _, one in numbered])
        given = {
            "support_inputs": tf.constant(support[np.newaxis]),
            "support_targets": tf.constant([[number for number, _ in numbered]], tf.int32),
        }
        states = [self._signatures["adapt"](**given)["state"]]
        if f"adapt{STEPS}" in self._signatures:
            no_steps = tf.constant(0)
            unadapted = self._signatures[f"adapt{STEPS}"](**given, inner_steps=no_steps)
            states.append(unadapted["state"])
        return tf.concat(states, axis=0), support


def image(drawing: Drawing) -> np.ndarray:
    """Returns a drawing as the network takes it, [28, 28, 1] in [0, 1], ink 1 on paper 0."""
    inked = drawings.inked([np.array(stroke) for stroke in drawing], PEN)
    return shrink(tf.constant(np.asarray(inked)[..., np.newaxis])).numpy() / np.float32(255)


def _drawings_of_a_class(value: Any, name: str) -> tuple[Drawing, ...]:
    return reading.each(value, name, reading.MOST_DRAWINGS, reading.drawing)


def _as_lists(strokes: list[np.ndarray]) -> list[list[list[float]]]:
    return [np.clip(stroke, 0, 1).round(4).tolist() for stroke in strokes]

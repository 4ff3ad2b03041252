"""Classifies folders of images through an export's public signatures."""

import csv
import io
import json
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from metasgd_tf.clients.loading import load_newest
from metasgd_tf.flags import algorithms
from metasgd_tf.images.files import encoded_images, image_files, image_listing
from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.listing import listed
from metasgd_tf.output.shown_names import shown
from metasgd_tf.output.text_table import aligned
from metasgd_tf.serving import versions
from metasgd_tf.serving.signatures import STEPS
from trainers.errors import InputError

SIGNATURE = "classify_images"
ENDINGS = (".csv", ".json")


class Prediction(NamedTuple):
    """The prediction for one image.

    Attributes:
      path: the image.
      name: of the most probable class.
      probability: of that class.
      probabilities: of all classes by name, in the order of their names.
    """

    path: pathlib.Path
    name: str
    probability: float
    probabilities: dict[str, float]


def find_support(support_dir: str) -> dict[str, list[pathlib.Path]]:
    """Lists the images of each class, a sub-folder each; see `image_listing.find`."""
    return image_listing.find(support_dir, "support_dir")


def find_queries(query_dir: str) -> list[pathlib.Path]:
    """Lists the images in a folder in the order of their names.

    Files that are no images by their names are left out and named in a note.

    Raises:
      InputError: if it cannot be read, has none, or has folders.
    """
    try:
        held = image_listing.contents(query_dir)
    except OSError as error:
        raise InputError(
            f"query_dir={query_dir}: cannot be read ({error.strerror}); name a folder of images"
        ) from error
    folders = [entry.name for entry in held.folders]
    if folders or not held.images:
        problem = f"has folders in it ({listed(folders)})" if folders else "has no images"
        raise InputError(f"query_dir={query_dir}: {problem}; name a folder of images")
    image_listing.note_left_out(query_dir, "query_dir", held.others)
    return [pathlib.Path(entry) for entry in held.images]


def classify(
    export_dir: str,
    support: Mapping[str, Sequence[pathlib.Path]],
    queries: Sequence[pathlib.Path],
    inner_steps: int | None = None,
) -> list[Prediction]:
    """Learns classes from a few images and predicts the classes of others.

    Args:
      export_dir: an export; its newest version answers.
      support: the images of each class by its name, few. Those of other formats than PNG and JPEG
        are sent as PNG, which the export makes the same of as training would.
      queries: the images to classify.
      inner_steps: updates that learn the classes; the run's own number if not given.

    Raises:
      InputError: if there is no such export, it does not classify images, there are too many
        classes, or files cannot be used.
    """
    # To be held as long as its signatures are used.
    loaded = _loaded(export_dir)
    signature = _signature(loaded, export_dir, inner_steps)
    ways = signature.structured_outputs["probabilities"].shape[-1]
    if len(support) > ways:
        raise InputError(
            f"support_dir: holds {len(support)} classes, and this export tells up to {ways} apart; "
            "take some out, or export a run with more --ways"
        )
    further = {} if inner_steps is None else {"inner_steps": tf.constant(inner_steps)}

    paths = [path for files in support.values() for path in files]
    targets = [number for number, files in enumerate(support.values()) for _ in files]
    contents, problems = _contents([*paths, *queries])

    def ask(paths: Sequence[pathlib.Path], targets: Sequence[int], asked: Sequence[pathlib.Path]):
        return signature(
            support_inputs=tf.constant([[contents[path] for path in paths]]),
            support_targets=tf.constant([targets], tf.int32),
            query_inputs=tf.constant([[contents[path] for path in asked]]),
            **further,
        )["probabilities"].numpy()[0]

    if problems:
        _name_unusable(ask, contents, problems)
    try:
        probabilities = ask(paths, targets, queries)
    except tf.errors.InvalidArgumentError as error:
        _name_unusable(ask, contents, problems)
        refusal = encoded_images.refusal(error)
        raise InputError(f"the export refuses these images: {refusal}") from error
    names = list(support)
    return [
        Prediction(
            path,
            names[int(np.argmax(row))],
            float(np.max(row)),
            dict(zip(names, map(float, row), strict=False)),
        )
        for path, row in zip(queries, probabilities, strict=True)
    ]


def _signature(loaded: Any, export_dir: str, inner_steps: int | None) -> Any:
    """Returns the signature that classifies, by the run's own number of inner steps or another."""
    if inner_steps is None:
        return loaded.signatures[SIGNATURE]
    if SIGNATURE + STEPS not in loaded.signatures:
        raise InputError(algorithms.steps_refused(inner_steps, f"export_dir={export_dir}"))
    return loaded.signatures[SIGNATURE + STEPS]


def _loaded(export_dir: str):
    """Returns the newest version of an export that classifies images."""
    loaded = load_newest(export_dir)
    if SIGNATURE not in loaded.signatures:
        raise InputError(
            f"export_dir={export_dir}: is of a run that does not classify images; name one that "
            "does"
        )
    return loaded


def _contents(paths: Sequence[pathlib.Path]) -> tuple[dict[pathlib.Path, bytes], list[str]]:
    """Returns the bytes to send for each image, and the problems of images that cannot be sent."""
    contents, problems = {}, []
    for path in paths:
        try:
            contents[path] = image_files.png_or_jpeg(path)
        except image_files.UnusableImageError as error:
            problems.append(f"{path} ({error})")
    return contents, problems


def _name_unusable(
    ask: Callable[..., np.ndarray], paths: Iterable[pathlib.Path], problems: Sequence[str]
) -> None:
    """Sends each image on its own, and appends those that are refused to `problems`.

    Raises:
      InputError: if there are any of either.
    """
    problems = list(problems)
    for path in paths:
        try:
            ask([path], [0], [path])
        except tf.errors.InvalidArgumentError as error:
            problems.append(f"{path} ({encoded_images.refusal(error)})")
    if problems:
        raise InputError(
            f"files that cannot be used: {listed(problems)}; give {image_files.NAMED} files alone"
        )


def facts(export_dir: str) -> dict[str, Any]:
    """Returns the contents of an export's export.json; empty if that is none."""
    path = versions.newest(export_dir) / "assets.extra" / "export.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def table(predictions: Sequence[Prediction]) -> str:
    """Returns predictions as text, a row an image."""
    rows = [("name", "class", "probability")]
    rows += [(one.path.name, one.name, f"{one.probability:.4f}") for one in predictions]
    return aligned(rows)


def refuse_other_endings(output: str) -> None:
    """Checks that an output file's ending is one of the known formats.

    Raises:
      InputError: if it does not.
    """
    if pathlib.Path(output).suffix not in ENDINGS:
        raise InputError(f"output={output}: should end in {' or '.join(ENDINGS)}")


def write(predictions: Sequence[Prediction], output: str, about: Mapping[str, Any]) -> None:
    """Writes predictions: as CSV name, class and probability, as JSON those of all classes too.

    Names are those that `shown` makes of the files' and the folders'.

    Args:
      predictions: what `classify` gave.
      output: a file name that ends in .csv or .json.
      about: what JSON says of the export.

    Raises:
      InputError: if it cannot be written.
    """
    rows = [
        {
            "name": shown(one.path.name),
            "class": shown(one.name),
            "probability": round(one.probability, 6),
        }
        for one in predictions
    ]
    text = io.StringIO(newline="")
    if pathlib.Path(output).suffix == ".csv":
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    else:
        results = [
            row
            | {"probabilities": {shown(name): round(p, 6) for name, p in one.probabilities.items()}}
            for row, one in zip(rows, predictions, strict=True)
        ]
        text.write(json.dumps({"export": about, "results": results}, indent=2) + "\n")
    try:
        with replaced(pathlib.Path(output)) as file:
            file.write(text.getvalue())
    except OSError as error:
        raise InputError(
            f"output={output}: cannot be written ({error.strerror}); name a file that can"
        ) from error

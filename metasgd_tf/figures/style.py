"""What figures of runs share: the choice of runs, their styles, the font sizes, and saving.

Figures are 7 inches wide, the width of a page's text, and no text is below 8 points. Runs differ by
colours that every kind of colour vision can tell apart, and by line style, for prints in grey.
"""

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
from absl import flags
from matplotlib import figure

from metasgd_tf.drawing.episodes import BLUE, GREEN, PURPLE, VERMILLION
from metasgd_tf.evaluation.restoring import restored_learner
from metasgd_tf.flags import run_flags
from metasgd_tf.flags.algorithms import ALGORITHMS
from metasgd_tf.output.atomic_file import drafted
from metasgd_tf.output.listing import counted
from metasgd_tf.output.shown_names import shown
from trainers.checkpoints.loading import Origin
from trainers.errors import InputError
from trainers.families import Family
from trainers.learners.learner import Learner

WIDTH = 7.0
LOOK = {
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # A directory's name may hold dollar signs.
    "text.parse_math": False,
    # Publishers refuse fonts of Type 3, the default.
    "pdf.fonttype": 42,
    "svg.hashsalt": "metasgd_tf",
}
"""Settings of matplotlib under which figures are drawn and saved."""

STYLES: tuple[dict[str, Any], ...] = (
    {"color": VERMILLION, "linestyle": "-"},
    {"color": BLUE, "linestyle": (0, (4, 1.5))},
    {"color": GREEN, "linestyle": (0, (5, 1.2, 1, 1.2))},
    {"color": PURPLE, "linestyle": (0, (1, 1))},
)

# Without these settings a file has its date in it, so that no two are equal.
METADATA: dict[str, dict[str, None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


class Run(NamedTuple):
    """A run in a figure.

    Attributes:
      model_dir: its directory, as the user named it.
      settings: its flags.
      label: its learner's name, followed by its directory if two runs have the same name.
      style: the colour and the line style of everything that is drawn of it.
    """

    model_dir: str
    settings: flags.FlagValues
    label: str
    style: dict[str, Any]


def chosen(model_dirs: Sequence[str]) -> list[Run]:
    """Returns the runs of these directories.

    Raises:
      InputError: if there are none or more than there are styles, or one is named twice.
      flags.Error: if a directory holds no run.
    """
    if not 1 <= len(model_dirs) <= len(STYLES):
        raise InputError(f"model_dirs={','.join(model_dirs)}: name one to {len(STYLES)} runs")
    paths = [os.path.realpath(model_dir) for model_dir in model_dirs]
    for model_dir, path in zip(model_dirs, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"model_dirs={','.join(model_dirs)}: name {model_dir} only once")
    settings = [run_flags.read(model_dir, "model_dirs") for model_dir in model_dirs]
    names = [_name(values) for values in settings]
    if len(set(names)) < len(names):
        root = os.path.commonpath(paths)
        names = [
            f"{name} ({shown(os.path.relpath(path, root))})"
            for name, path in zip(names, paths, strict=True)
        ]
    return [Run(*run) for run in zip(model_dirs, settings, names, STYLES, strict=False)]


def restored(run: Run, family: Family, checkpoint: str) -> tuple[Learner, Origin]:
    """Returns what `restored_learner` does of a run."""
    return restored_learner(family, run.settings, run.model_dir, checkpoint, flag="model_dirs")


def _name(settings: flags.FlagValues) -> str:
    algorithm = ALGORITHMS[settings.algorithm]
    name = algorithm.title
    steps = settings.inner_steps or algorithm.flags.get("inner_steps")
    return f"{name}, {counted(steps, 'step')}" if steps else name


def legend(drawn: figure.Figure, handles: Sequence[Any]) -> None:
    """Puts a legend above a figure, where it covers nothing, in as few rows as it fits in.

    Args:
      drawn: a figure with constrained layout.
      handles: lines, each with its label.
    """
    for rows in range(1, len(handles) + 1):
        made = drawn.legend(
            handles=handles,
            loc="outside upper center",
            ncols=math.ceil(len(handles) / rows),
            handlelength=3.3,
        )
        if rows == len(handles) or made.get_window_extent().width <= drawn.bbox.width:
            return
        made.remove()


def refuse_other_endings(path: str, flag: str = "output") -> None:
    """Checks that `save` can write a file with this ending.

    Raises:
      InputError: if it cannot; the message begins with the flag.
    """
    if pathlib.Path(path).suffix not in METADATA:
        raise InputError(f"{flag}={path}: should end in .png, .svg or .pdf")


def save(drawn: figure.Figure, path: str, flag: str = "output") -> None:
    """Writes a figure in the format of the file's ending; equal data give equal bytes.

    Args:
      drawn: the figure.
      path: the file; missing folders are created.
      flag: the flag that names the file, for error messages.

    Raises:
      InputError: if the ending is another than .png, .svg and .pdf, or the file cannot be written.
    """
    refuse_other_endings(path, flag)
    file = pathlib.Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context(LOOK), drafted(file) as draft:
            drawn.savefig(draft, format=file.suffix[1:], dpi=200, metadata=METADATA[file.suffix])
    except OSError as error:
        raise InputError(
            f"{flag}={path}: cannot be written ({error.strerror}); name a file that can"
        ) from error

"""How a command ended, bit by bit, so that two endings can be compared."""

import hashlib
import json
import pathlib
from collections.abc import Mapping

Ending = Mapping[str, str]
"""What a command left, by a name each: digests, and the names of the files."""

_LEFT_OUT = ("training/iterations_per_second", "task")
"""A curve that no two runs share, and pictures, which are drawn behind the training: the one of the
last checkpoint before a kill may be missing."""


def of_training(model_dir: pathlib.Path) -> Ending:
    """Returns what a training left: its checkpoints, θ, α, the optimizer's state, the curves.

    Not how long it took, and not when something was written.
    """
    import tensorflow as tf

    left = {}
    for folder in ("checkpoints", "best"):
        files = sorted(path.name for path in (model_dir / folder).iterdir())
        left[f"{folder}: the files"] = " ".join(files)
        last = last_checkpoint(model_dir, folder)
        reader = tf.train.load_checkpoint(str(model_dir / folder / last))
        for name in reader.get_variable_to_shape_map():
            if name.endswith("VALUE") and not name.startswith(("save_counter", "seconds")):
                left[f"{folder}: {name}"] = _digest(reader.get_tensor(name).tobytes())
    for folder in ("train", "validation"):
        left |= {
            f"{folder}: {tag} at {step}": digest
            for (tag, step), digest in curves(model_dir / folder).items()
        }
    return left


def last_checkpoint(model_dir: pathlib.Path, folder: str = "checkpoints") -> str:
    """Returns the name of the last checkpoint of a run, such as `ckpt-20`."""
    names = [index.stem for index in (model_dir / folder).glob("ckpt-*.index")]
    return max(names, key=lambda name: int(name.partition("-")[2]))


def curves(folder: pathlib.Path) -> dict[tuple[str, int], str]:
    """Returns digests of what the event files of a folder hold, by tag and iteration."""
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    held = {}
    for path in sorted(folder.glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        try:
            for record in RawEventFileLoader(str(path)).Load():
                event = tf.compat.v1.Event.FromString(record)
                for value in event.summary.value:
                    if value.tag not in _LEFT_OUT:
                        held[value.tag, event.step] = _digest(value.SerializeToString())
        except tf.errors.DataLossError:
            continue  # Its writer was killed in the midst of the last one.
    return held


def of_evaluation(model_dir: pathlib.Path) -> Ending:
    """Returns what an evaluation left."""
    return _files([model_dir / "evaluation.json", model_dir / "evaluation.csv"], model_dir)


def of_export(export_dir: pathlib.Path) -> Ending:
    """Returns what an export left as its only version, file by file."""
    (version,) = (path for path in export_dir.iterdir() if path.name.isdecimal())
    return _files([path for path in version.rglob("*") if path.is_file()], version)


def differences(one: Ending, other: Ending) -> list[str]:
    """Returns the names of what differs between two endings."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def digest(ending: Ending) -> str:
    """Returns one short text that stands for an ending."""
    return _digest(json.dumps(ending, sort_keys=True).encode())


def _files(paths: list[pathlib.Path], below: pathlib.Path) -> Ending:
    return {str(path.relative_to(below)): _digest(_contents(path)) for path in paths}


def _contents(path: pathlib.Path) -> bytes:
    """Returns what a file holds; of JSON not the commit, which may be another by then."""
    if path.suffix != ".json":
        return path.read_bytes()
    held = json.loads(path.read_text(encoding="utf-8"))
    held.pop("commit", None)
    return json.dumps(held).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
